using System.Globalization;
using System.Numerics;
using System.Text.Json;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Json;
using SkillLoc.Models.Runs;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Trainers;

/// <summary>The state of a fine-tuning, except its parameters.</summary>
internal sealed record TrainingState
{
    /// <summary>Number of completed updates, which determines the position in the data.</summary>
    public int Step { get; set; }

    /// <summary>Whether training is complete, instead of cancelled.</summary>
    public bool IsComplete { get; set; }

    /// <summary>Number of training rows processed.</summary>
    public long Rows { get; set; }

    /// <summary>Wall time, over all parts of a resumed run.</summary>
    public double Seconds { get; set; }

    /// <summary>The loss of the last update.</summary>
    public double Loss { get; set; } = double.NaN;

    /// <summary>The latest value of the validation metric.</summary>
    public double? Metric { get; set; }

    /// <summary>The best validation metric and its update.</summary>
    public (double Metric, int Step)? Best { get; set; }

    /// <summary>The sum of the losses of the updates since the last validation.</summary>
    public double LossSum { get; set; }

    /// <summary>Number of consecutive validations without improvement.</summary>
    public int Stale { get; set; }

    /// <summary>The training dynamics after each epoch, if requested.</summary>
    public List<EpochScores> Epochs { get; init; } = [];

    /// <summary>Returns its metrics for a log of runs (methods, A.11).</summary>
    public RunRecord ToRecord(
        string kind,
        string task,
        string checkpoint,
        string? fingerprint,
        int trainingRows,
        IReadOnlyDictionary<string, string> options
    )
    {
        var metrics = new Dictionary<string, double>(StringComparer.Ordinal);
        if (Step > 0)
        {
            metrics["loss"] = Loss;
        }

        if (Metric is { } last)
        {
            metrics["last_validation"] = last;
        }

        if (Best is { } best)
        {
            metrics["validation"] = best.Metric;
            metrics["best_step"] = best.Step;
        }

        return new()
        {
            Kind = kind,
            Task = task,
            Checkpoint = checkpoint,
            Fingerprint = fingerprint,
            Rows = trainingRows,
            Steps = Step,
            Seconds = Seconds,
            Options = options,
            Metrics = metrics,
        };
    }
}

/// <summary>Correctness and confidence of the training rows after an epoch (methods, C.6).</summary>
/// <param name="Right">Whether each row is predicted correctly.</param>
/// <param name="Confidence">The probability of each row's true label.</param>
internal sealed record EpochScores(bool[] Right, float[] Confidence)
{
    /// <summary>Creates the scores from the task's result.</summary>
    public EpochScores((bool[] Right, float[] Confidence) scores)
        : this(scores.Right, scores.Confidence) { }
}

/// <summary>
/// The state file from which an interrupted fine-tuning resumes: one safetensors file with trained parameters, moments, best values,
/// training dynamics and the run description. A single file, since only one rename is atomic.
/// </summary>
internal sealed class TrainingStateFile(string path, IReadOnlyDictionary<string, string> run)
{
    private const string Format = "skillloc-training-state";
    private const string Version = "2";

    private static readonly JsonSerializerOptions Plain = new() { AllowDuplicateProperties = false };

    /// <summary>Returns the seed in a state file; null without a file. <see cref="Load"/> reports other errors.</summary>
    /// <exception cref="InvalidDataException">The file is damaged.</exception>
    public static int? SeedOf(string? path)
    {
        if (!File.Exists(path))
        {
            return null;
        }

        using var file = SafetensorsFile.Open(path);
        try
        {
            return
                file.Metadata.TryGetValue("run", out string? run)
                && JsonText.Read<Dictionary<string, string>>(run, path, Plain).GetValueOrDefault("seed") is { } text
                && int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int seed)
                ? seed
                : null;
        }
        catch (InvalidDataException)
        {
            return null;
        }
    }

    /// <summary>Writes the state; an existing file is replaced once the new one is complete.</summary>
    public void Save(TrainingState state, TrainedParameter[] parameters)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        using DisposeScope scope = NewDisposeScope();
        (string, Tensor)[] tensors =
        [
            .. parameters.SelectMany(parameter => parameter.State),
            .. state.Epochs.Select((epoch, i) => (RightName(i), tensor(epoch.Right))),
            .. state.Epochs.Select((epoch, i) => (ConfidenceName(i), tensor(epoch.Confidence))),
        ];
        SafetensorsWriter.Write(
            path,
            tensors,
            new Dictionary<string, string>(StringComparer.Ordinal)
            {
                ["format"] = Format,
                ["version"] = Version,
                ["run"] = JsonSerializer.Serialize(run),
                ["step"] = Text(state.Step),
                ["rows"] = Text(state.Rows),
                ["seconds"] = Text(state.Seconds),
                ["loss"] = Text(state.Loss),
                ["metric"] = Text(state.Metric),
                ["best_metric"] = Text(state.Best?.Metric),
                ["best_step"] = Text(state.Best?.Step),
                ["loss_sum"] = Text(state.LossSum),
                ["stale"] = Text(state.Stale),
            }
        );
    }

    /// <summary>Reads the state, if there is one, and restores the parameters.</summary>
    /// <param name="parameters">The trained parameters.</param>
    /// <param name="steps">Total number of updates.</param>
    /// <returns>The state, or null without a file.</returns>
    /// <exception cref="InvalidOperationException">The file belongs to another run.</exception>
    /// <exception cref="InvalidDataException">The file is damaged, or is not a state file.</exception>
    public TrainingState? Load(TrainedParameter[] parameters, int steps)
    {
        AtomicFile.RemoveLeftovers(path);
        if (!File.Exists(path))
        {
            return null;
        }

        using var file = SafetensorsFile.Open(path);
        if (file.Metadata.GetValueOrDefault("format") != Format || file.Metadata.GetValueOrDefault("version") != Version)
        {
            throw new InvalidDataException(
                $"{path} is no training state: its metadata must say format '{Format}', version '{Version}'. Name another file."
            );
        }

        CheckRun(file);
        int step = Whole("step", steps);
        var state = new TrainingState
        {
            Step = step,
            Rows = Whole("rows", long.MaxValue),
            Seconds = Number("seconds") is { } seconds and >= 0 ? seconds : throw Wrong("seconds", "a number from 0 on"),
            Loss = Number("loss", isFinite: false) ?? throw Wrong("loss", "a number"),
            Metric = Number("metric", isFinite: false),
            Best = Number("best_metric", isFinite: false) is { } metric ? (metric, Whole("best_step", step)) : null,
            LossSum = Number("loss_sum", isFinite: false) ?? throw Wrong("loss_sum", "a number"),
            Stale = Whole("stale", step),
            Epochs = [.. Epochs(file)],
        };
        foreach (TrainedParameter parameter in parameters)
        {
            parameter.Load(file);
        }

        return state;

        T Whole<T>(string key, T most)
            where T : struct, IBinaryInteger<T> =>
            T.TryParse(Value(key), NumberStyles.None, CultureInfo.InvariantCulture, out T value) && value <= most
                ? value
                : throw Wrong(key, $"a whole number from 0 to {most}");

        // Empty for none.
        double? Number(string key, bool isFinite = true) =>
            Value(key) is not { Length: > 0 } text ? null
            : double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double value)
            && (double.IsFinite(value) || !isFinite)
                ? value
            : throw Wrong(key, "a number");

        string Value(string key) => file.Metadata.GetValueOrDefault(key) ?? throw Wrong(key, "there");

        InvalidDataException Wrong(string key, string right) =>
            new(
                $"{path}: the metadata's '{key}' is {(file.Metadata.TryGetValue(key, out string? text) ? $"'{text}'" : "missing")}; "
                    + $"it must be {right}. "
                    + "The state is damaged: remove it to start anew."
            );
    }

    /// <summary>Removes the file.</summary>
    public void Delete() => File.Delete(path);

    private IEnumerable<EpochScores> Epochs(SafetensorsFile file)
    {
        for (int epoch = 0; file.Contains(RightName(epoch)); epoch++)
        {
            TensorInfo? right = Info(RightName(epoch), ScalarType.Bool),
                confidence = Info(ConfidenceName(epoch), ScalarType.Float32);
            if (right is null || confidence is null || !right.Shape.SequenceEqual(confidence.Shape))
            {
                throw new InvalidDataException(
                    $"{path}: '{RightName(epoch)}' and '{ConfidenceName(epoch)}' must be as many flags and numbers. The state is "
                        + "damaged: remove it to start anew."
                );
            }

            using Tensor flags = file.Read(right.Name),
                numbers = file.ReadFinite(confidence.Name);
            yield return new(flags.data<bool>().ToArray(), numbers.data<float>().ToArray());
        }

        TensorInfo? Info(string name, ScalarType type) => file.InfoOf(name) is { Shape.Length: 1 } info && info.Dtype == type ? info : null;
    }

    private static string RightName(int epoch) => $"epoch.{Text(epoch)}.right";

    private static string ConfidenceName(int epoch) => $"epoch.{Text(epoch)}.confidence";

    private static string Text(double? number) => number?.ToString("R", CultureInfo.InvariantCulture) ?? "";

    private void CheckRun(SafetensorsFile file)
    {
        SortedDictionary<string, string> stored = Run(file);
        string[] differences =
        [
            .. stored
                .Keys.Union(run.Keys)
                .Order(StringComparer.Ordinal)
                .Where(name => stored.GetValueOrDefault(name) != run.GetValueOrDefault(name))
                .Select(name =>
                    $"{name} is {stored.GetValueOrDefault(name, "not set")} there and {run.GetValueOrDefault(name, "not set")} here"
                ),
        ];
        if (differences.Length > 0)
        {
            throw new InvalidOperationException(
                $"{path} is the state of another run: its fingerprint is {RunFingerprint.Of(stored)}, and this run's is "
                    + $"{RunFingerprint.Of(run)}. {string.Join("; ", differences)}. Run with the options and data that it was made "
                    + "with, or remove it."
            );
        }
    }

    private SortedDictionary<string, string> Run(SafetensorsFile file) =>
        JsonText.Read<SortedDictionary<string, string>>(
            file.Metadata.GetValueOrDefault("run", "null"),
            $"{path}: the metadata's 'run' does not describe a run",
            Plain
        );
}
