using System.Diagnostics;
using System.Text.Json;
using Microsoft.ML;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.NativeCalls;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tuning;
using SkillLoc.Trainers;
using SkillLoc.Transforms;
using TorchSharp;
using TorchSharp.Modules;
using F = TorchSharp.torch.nn.functional;

namespace SkillLoc.Benchmarks;

/// <summary>What grafting costs beyond the passes through the model that it needs.</summary>
public static class GraftJobs
{
    private const int MicroBatch = 8;
    private const double SmallestSparsity = 1e-4;

    /// <summary>
    /// Epochs of mask training against the forward and backward passes that they need. The learning rate is so small that the mask stays
    /// as it is, so that no epoch after the first one evaluates.
    /// </summary>
    /// <param name="workload">What to train on.</param>
    /// <param name="batches">Micro-batches of 8 rows; an epoch takes all rows.</param>
    /// <param name="epochs">Epochs that are timed.</param>
    /// <returns>A line of JSON: medians in seconds and their ratios.</returns>
    public static string Epoch(Workload workload, int batches, int epochs)
    {
        var context = new MLContext(seed: 1);
        var clock = new StepClock();
        using TextScoringTransformer tuned = workload.LoadTuned();
        IDataView rows = workload.View(context, batches * MicroBatch);
        using (
            context
                .SkillLoc()
                .GraftMask(
                    new GraftMaskEstimator.Options
                    {
                        FineTuned = tuned,
                        Epochs = epochs + 1,
                        BatchSize = MicroBatch,
                        MaxBatchesPerEpoch = batches,
                        LearningRate = 1e-30,
                        Progress = clock,
                    }
                )
                .Fit(rows)
        ) { }

        var passes = new StepClock();
        TextClassifier classifier = tuned.Classifier;
        Review[] reviews = [.. workload.Reviews(batches * MicroBatch)];
        EncodedText[] texts = [.. reviews.Select(review => classifier.Encode(review.Text))];
        long[] labels = [.. reviews.Select(review => review.Label == "0" ? 0L : 1L)];
        Parameter[] considered = [.. new ParameterSelection().Of(classifier.Backbone).Select(name => classifier.Backbone.Parameters[name])];
        foreach (Parameter parameter in considered)
        {
            parameter.requires_grad_(true);
        }

        for (int i = 0; i <= epochs; i++)
        {
            foreach (int[] part in ScoringBatch.Split([.. texts.Select(text => text.Ids.Length)], classifier.Backbone.Device))
            {
                using DisposeScope scope = torch.NewDisposeScope();
                using TokenBatch batch = classifier.Batch([.. part.Select(row => texts[row])]);
                torch.Tensor losses = F.cross_entropy(
                    classifier.Logits(batch),
                    torch.tensor(part.Select(row => labels[row]).ToArray()),
                    reduction: torch.nn.Reduction.None
                );
                losses.Div_(texts.Length).sum().backward();
            }

            passes.Begin();
        }

        (double wall, double processor) = clock.Median();
        (double passesWall, double passesProcessor) = passes.Median();
        return JsonSerializer.Serialize(
            new
            {
                epochSeconds = wall,
                passesSeconds = passesWall,
                ratio = wall / passesWall,
                processorRatio = processor / passesProcessor,
            }
        );
    }

    /// <summary>A sweep over five sparsities without training against one of them; evaluations are counted apart.</summary>
    /// <param name="workload">What to graft.</param>
    /// <param name="rows">Rows of data.</param>
    /// <returns>A line of JSON: processor seconds, and the sweep's without those of its further evaluations as a share of the single
    /// run's.</returns>
    public static string Sweep(Workload workload, int rows)
    {
        double[] sparsities = [1e-5, 1e-4, 1e-3, 1e-2, 5e-2];
        var context = new MLContext(seed: 1);
        using TextScoringTransformer tuned = workload.LoadTuned();
        IDataView view = workload.View(context, rows);
        GraftMaskEstimator.Options Options(double sparsity) =>
            new()
            {
                FineTuned = tuned,
                Epochs = 0,
                Sparsity = sparsity,
                BatchSize = MicroBatch,
                MaxBatchesPerEpoch = rows / MicroBatch,
            };
        EncodedText[] texts = [.. workload.Reviews(rows).Select(review => tuned.Classifier.Encode(review.Text))];
        tuned.Classifier.Score(texts);
        double evaluation = Seconds(() => tuned.Classifier.Score(texts));
        double single = Seconds(() => context.SkillLoc().GraftMask(Options(sparsities[^1])).Fit(view).Dispose());
        double sweep = Seconds(() => context.SkillLoc().Grafts.SweepSparsity(Options(0), sparsities).Run(view));

        // The single run holds one evaluation; the sweep one for each sparsity, the pre-trained and the fine-tuned model.
        int further = sparsities.Length + 2 - 1;
        return JsonSerializer.Serialize(
            new
            {
                evaluation,
                single,
                sweep,
                ratio = (sweep - (further * evaluation)) / single,
            }
        );
    }

    /// <summary>Putting a graft of 0.01 % into a resident model and taking it out, in place.</summary>
    /// <param name="workload">The model.</param>
    /// <param name="times">How often.</param>
    /// <returns>A line of JSON: medians in milliseconds, in a row and with other memory read in between, and those of an operator a
    /// tensor.</returns>
    public static string Switch(Workload workload, int times)
    {
        using var model = LanguageModel.Load(workload.Base);
        Graft graft;
        using (var mask = new GraftMask(model, model, new ParameterSelection().Of(model)))
        {
            mask.SetRandomBasePatch(SmallestSparsity, seed: 1);
            graft = new()
            {
                BaseFingerprint = model.Fingerprint(),
                Parts = [.. mask.Parts().Select(part => part with { Values = Array.ConvertAll(part.Values, value => value + 1) })],
            };
        }

        using GraftSwitch change = graft.Prepare(model, graft.BaseFingerprint);
        using torch.Tensor other = torch.ones(64 << 20);
        var results = new Dictionary<string, double> { ["scalars"] = graft.Count, ["tensors"] = graft.Parts.Count };
        foreach (bool cold in new[] { false, true })
        {
            List<double> apply = [],
                remove = [];
            for (int i = 0; i < times; i++)
            {
                Disturb();
                apply.Add(Milliseconds(change.Apply));
                Disturb();
                remove.Add(Milliseconds(change.Remove));
            }

            results[cold ? "applyColdMs" : "applyMs"] = Median(apply);
            results[cold ? "removeColdMs" : "removeMs"] = Median(remove);

            void Disturb()
            {
                if (cold)
                {
                    other.sum().Dispose();
                }
            }
        }

        results["operatorsMs"] = Median([
            .. Enumerable.Range(0, times).Select(_ => Milliseconds(() => graft.MergeInto(model, graft.BaseFingerprint))),
        ]);
        change.Apply();
        change.Remove();
        results["unchanged"] = model.Fingerprint() == graft.BaseFingerprint ? 1 : 0;
        return JsonSerializer.Serialize(results);
    }

    private static double Milliseconds(Action action)
    {
        long start = Stopwatch.GetTimestamp();
        action();
        return Stopwatch.GetElapsedTime(start).TotalMilliseconds;
    }

    /// <summary>Processor seconds of all threads.</summary>
    internal static double Seconds(Action action)
    {
        TimeSpan start = Environment.CpuUsage.TotalTime;
        action();
        return (Environment.CpuUsage.TotalTime - start).TotalSeconds;
    }

    internal static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);
}
