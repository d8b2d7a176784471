using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Merging;
using SkillLoc.Models.Neurons;
using SkillLoc.Models.Tuning;
using SkillLoc.Trainers;
using SkillLoc.Transforms;

namespace SkillLoc.Benchmarks;

/// <summary>
/// Time and memory against the size of the work: each job with one of its sizes changed, in a process of its own. The models are small
/// RoBERTas, on which what grows too fast shows soonest, and one of RoBERTa-large's size.
/// </summary>
public static class CostCurves
{
    private const string LargeAxis = "large";
    private const int Vocabulary = 8192;
    private const int TrainingBatch = 16;
    private const int WarmupRows = 64;

    private static readonly CostPoint Usual = new(Rows: 1000, Words: 12, Layers: 2, Hidden: 128, Sparsity: 1e-3, Skills: 4);

    // RoBERTa-large's layers; the vocabulary is smaller.
    private static readonly CostPoint Large = Usual with { Rows = 64, Layers = 24, Hidden = 1024, Skills = 2 };

    private static readonly Dictionary<string, Action<CostPoint, string>> Jobs = new(StringComparer.Ordinal)
    {
        ["fit"] = (point, folder) => Fit(point, folder, steps: null),
        ["fit, one update"] = (point, folder) => Fit(point, folder, steps: 1),
        ["transform"] = Transform,
        ["mask"] = Mask,
        ["probe"] = Probe,
        ["path"] = Path26,
        ["switch"] = Switch,
        ["skills"] = Skills,
        ["merge"] = Merge,
    };

    /// <summary>Measures all curves, or those of one job, and prints a table for each.</summary>
    /// <param name="folder">Where checkpoints are made; those that are there are taken.</param>
    /// <param name="job">The job; null for all.</param>
    /// <param name="only">The size that changes; null for all.</param>
    public static void Run(string folder, string? job = null, string? only = null)
    {
        foreach ((string name, string axis, CostPoint[] points) in Curves())
        {
            if ((job is not null && job != name) || (only is not null && only != axis))
            {
                continue;
            }

            Console.WriteLine(
                $"\n{name} against {axis}, {points[0].Layers} x {points[0].Hidden}\n\n| {axis} | seconds | growth | peak MiB |\n|---|---|---|---|"
            );
            CostMeasure? before = null;
            CostPoint? previous = null;
            foreach (CostPoint point in points)
            {
                CostMeasure measure = InProcess(folder, name, point);
                string growth =
                    before is null || previous is null
                        ? ""
                        : Text(Math.Log(measure.Seconds / before.Seconds) / Math.Log(point.Of(axis) / previous.Of(axis)), "0.00");
                Console.WriteLine(
                    $"| {point.Of(axis).ToString("#,0.#####", CultureInfo.InvariantCulture)} | {Text(measure.Seconds, "0.000")} | {growth} "
                        + $"| {Text(measure.PeakMiB, "0")} |"
                );
                (before, previous) = (measure, point);
            }
        }
    }

    /// <summary>Measures one point in this process.</summary>
    /// <param name="folder">Where the checkpoints are.</param>
    /// <param name="job">The job.</param>
    /// <param name="point">The sizes, as JSON.</param>
    /// <returns>A line of JSON: processor seconds, and the largest resident set less that of before.</returns>
    public static string Measure(string folder, string job, string point)
    {
        CostPoint sizes = JsonSerializer.Deserialize<CostPoint>(point)!;
        Action<CostPoint, string> run = Jobs[job];
        run(sizes with { Rows = Math.Min(sizes.Rows, WarmupRows) }, folder);
        double before = PeakMemory.Restart();
        double seconds = GraftJobs.Seconds(() => run(sizes, folder));
        return JsonSerializer.Serialize(new CostMeasure(seconds, PeakMemory.MiB() - before));
    }

    private static IEnumerable<(string Job, string Axis, CostPoint[] Points)> Curves()
    {
        foreach (string job in new[] { "fit", "mask", "probe" })
        {
            yield return (job, "rows", Rows(1_000, 10_000, 100_000));
            yield return (job, "words", Words());
            yield return (job, "layers", Layers());
        }

        yield return ("fit, one update", "rows", Rows(10_000, 100_000, 1_000_000));
        yield return ("transform", "rows", Rows(1_000, 10_000, 100_000, 1_000_000));
        yield return ("transform", "words", Words());
        yield return ("transform", "layers", Layers());
        yield return ("transform", "hidden", Hidden());
        yield return ("fit", "hidden", Hidden());
        yield return ("path", "rows", Rows(300, 3_000, 30_000));
        yield return ("path", "layers", Layers());
        yield return (
            "switch",
            "sparsity",
            [.. new[] { 1e-4, 1e-3, 1e-2, 1e-1 }.Select(value => Usual with { Layers = 8, Sparsity = value })]
        );
        yield return ("switch", "layers", Layers());
        yield return ("skills", "skills", [.. new[] { 1, 10, 100 }.Select(value => Usual with { Skills = value })]);
        yield return ("merge", "skills", [.. new[] { 2, 4, 8, 16 }.Select(value => Usual with { Skills = value })]);
        yield return ("merge", "layers", Layers());
        foreach (string job in new[] { "fit", "transform", "switch", "merge" })
        {
            yield return (job, LargeAxis, [Large]);
        }

        static CostPoint[] Rows(params int[] values) => [.. values.Select(value => Usual with { Rows = value })];
        static CostPoint[] Words() => [.. new[] { 8, 32, 128, 450 }.Select(value => Usual with { Words = value })];
        static CostPoint[] Hidden() => [.. new[] { 128, 256, 512, 1024 }.Select(value => Usual with { Hidden = value })];
        static CostPoint[] Layers() => [.. new[] { 2, 4, 8, 16 }.Select(value => Usual with { Layers = value })];
    }

    private static CostMeasure InProcess(string folder, string job, CostPoint point)
    {
        _ = Workload(folder, point);
        var start = new ProcessStartInfo(Environment.ProcessPath!, ["curve", folder, job, JsonSerializer.Serialize(point)])
        {
            RedirectStandardOutput = true,
        };
        using Process process = Process.Start(start)!;
        string line = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0
            ? JsonSerializer.Deserialize<CostMeasure>(line)!
            : throw new InvalidOperationException($"{job} of {point} ended with {process.ExitCode}.");
    }

    private static Workload Workload(string folder, CostPoint point)
    {
        var workload = new Workload(Path.Join(folder, FormattableString.Invariant($"{point.Layers}x{point.Hidden}")));
        if (!File.Exists(Path.Join(workload.Tuned, "model.safetensors")))
        {
            workload.Write(point.Layers, point.Hidden, Vocabulary);
        }

        return workload;
    }

    private static IDataView View(MLContext context, Workload workload, CostPoint point)
    {
        IDataView texts = context.Data.LoadFromEnumerable(workload.Reviews(point.Rows, point.Words, point.Skills));
        return context.Transforms.Conversion.MapValueToKey("Label").Fit(texts).Transform(texts);
    }

    private static void Fit(CostPoint point, string folder, int? steps)
    {
        var context = new MLContext(seed: 1);
        Workload workload = Workload(folder, point);
        context
            .SkillLoc()
            .PromptFineTune(
                new PromptFineTuneTrainer.Options
                {
                    Checkpoint = workload.Base,
                    Task = Benchmarks.Workload.Task,
                    Optimizer = OptimizerKind.AdamW,
                    LearningRate = 1e-5,
                    BatchSize = TrainingBatch,
                    Epochs = 1,
                    MaxSteps = steps,
                    MaxLength = 512,
                }
            )
            .Fit(View(context, workload, point))
            .Dispose();
    }

    private static void Transform(CostPoint point, string folder)
    {
        var context = new MLContext(seed: 1);
        Workload workload = Workload(folder, point);
        using TextScoringTransformer tuned = workload.LoadTuned();
        Read(tuned.Transform(View(context, workload, point)));
    }

    private static void Mask(CostPoint point, string folder)
    {
        var context = new MLContext(seed: 1);
        Workload workload = Workload(folder, point);
        using TextScoringTransformer tuned = workload.LoadTuned();
        context
            .SkillLoc()
            .GraftMask(
                new GraftMaskEstimator.Options
                {
                    FineTuned = tuned,
                    Sparsity = point.Sparsity,
                    Epochs = 1,
                    MaxBatchesPerEpoch = point.Rows,
                }
            )
            .Fit(View(context, workload, point))
            .Dispose();
    }

    private static void Probe(CostPoint point, string folder)
    {
        var context = new MLContext(seed: 1);
        Workload workload = Workload(folder, point);
        using TextScoringTransformer tuned = workload.LoadTuned();
        context.SkillLoc().ProbeSkillNeurons(tuned, NeuronProbeKind.TextMean).Fit(View(context, workload, point)).Dispose();
    }

    private static void Path26(CostPoint point, string folder)
    {
        var context = new MLContext(seed: 1);
        Workload workload = Workload(folder, point);
        using TextScoringTransformer first = workload.LoadTuned();
        using TextScoringTransformer last = workload.LoadTuned();
        context.SkillLoc().Connectivity.EvaluateInterpolation(first, last, View(context, workload, point));
    }

    // A thousand switches: one takes too little time for a process's clock.
    private static void Switch(CostPoint point, string folder)
    {
        Workload workload = Workload(folder, point);
        using var model = LanguageModel.Load(workload.Base);
        Graft graft = RandomGraft(model, point.Sparsity, seed: 1);
        using GraftSwitch change = graft.Prepare(model, graft.BaseFingerprint);
        for (int i = 0; i < 1000; i++)
        {
            change.Apply();
            change.Remove();
        }
    }

    private static void Skills(CostPoint point, string folder)
    {
        var context = new MLContext(seed: 1);
        Workload workload = Workload(folder, point);
        var grafts = new Dictionary<string, Graft>(StringComparer.Ordinal);
        using (var model = LanguageModel.Load(workload.Base))
        {
            for (int skill = 0; skill < point.Skills; skill++)
            {
                grafts[Benchmarks.Workload.SkillName(skill)] = RandomGraft(model, point.Sparsity, skill);
            }
        }

        using GraftedModelSet set = context.SkillLoc().Grafts.CreateModelSet(workload.Base, grafts);
        Read(set.Transform(View(context, workload, point)));
    }

    private static void Merge(CostPoint point, string folder)
    {
        Workload workload = Workload(folder, point);
        string merged = Path.Join(folder, "merged");
        new MLContext(seed: 1)
            .SkillLoc()
            .Merging.MergeModels(
                new MergeRecipe
                {
                    Method = "ties",
                    BaseModel = workload.Base,
                    Models = [.. Enumerable.Repeat<MergeInput>(workload.Tuned, point.Skills)],
                    Parameters = new Dictionary<string, MergeSetting>(StringComparer.Ordinal) { ["density"] = 0.2 },
                },
                merged
            );
        Directory.Delete(merged, recursive: true);
    }

    private static Graft RandomGraft(LanguageModel model, double sparsity, int seed)
    {
        using var mask = new GraftMask(model, model, new ParameterSelection().Of(model));
        mask.SetRandomBasePatch(sparsity, seed);
        return new()
        {
            BaseFingerprint = model.Fingerprint(),
            Settings = Benchmarks.Workload.Settings.ToJson(),
            Parts = [.. mask.Parts().Select(part => part with { Values = Array.ConvertAll(part.Values, value => value + 1e-3f) })],
        };
    }

    private static void Read(IDataView scored)
    {
        using DataViewRowCursor cursor = scored.GetRowCursor([scored.Schema["Score"]]);
        ValueGetter<VBuffer<float>> score = cursor.GetGetter<VBuffer<float>>(scored.Schema["Score"]);
        VBuffer<float> value = default;
        while (cursor.MoveNext())
        {
            score(ref value);
        }
    }

    private static string Text(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);
}

/// <summary>The sizes of a job.</summary>
/// <param name="Rows">Rows of data.</param>
/// <param name="Words">Words of each row.</param>
/// <param name="Layers">Layers of the model.</param>
/// <param name="Hidden">Hidden units of the model.</param>
/// <param name="Sparsity">Share of a graft's parameters.</param>
/// <param name="Skills">Grafts on one base, or models that are merged.</param>
public sealed record CostPoint(int Rows, int Words, int Layers, int Hidden, double Sparsity, int Skills)
{
    /// <summary>The size of this name.</summary>
    /// <param name="axis">The name.</param>
    /// <returns>The size.</returns>
    public double Of(string axis) =>
        axis switch
        {
            "rows" or "large" => Rows,
            "words" => Words,
            "layers" => Layers,
            "hidden" => Hidden,
            "sparsity" => Sparsity,
            _ => Skills,
        };
}

/// <summary>What a job cost.</summary>
/// <param name="Seconds">Processor time.</param>
/// <param name="PeakMiB">The largest resident set, less that of before.</param>
public sealed record CostMeasure(double Seconds, double PeakMiB);
