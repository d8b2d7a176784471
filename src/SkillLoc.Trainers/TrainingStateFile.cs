using System.Globalization;
using System.Text.Json;
using SkillLoc.Models.Checkpoints;
using static TorchSharp.torch;

namespace SkillLoc.Trainers;

/// <summary>
/// The file from which an interrupted fine-tuning goes on: one safetensors file with what trains, its moments and its best values, with
/// what was recorded of the training rows, and with the description of the run that it belongs to. One file, since only a single rename
/// survives a kill at any moment.
/// </summary>
internal sealed class TrainingStateFile(string path, IReadOnlyDictionary<string, string> run)
{
    private const string Format = "skillloc-training-state";
    private const string Version = "2";

    /// <summary>The seed of the run that a state file belongs to; null where there is none. What else is wrong with the file
    /// <see cref="Load"/> tells.</summary>
    /// <exception cref="InvalidDataException">The file is damaged.</exception>
    public static int? SeedOf(string? path)
    {
        if (!File.Exists(path))
        {
            return null;
        }

        using SafetensorsFile file = SafetensorsFile.Open(path);
        try
        {
            return file.Metadata.TryGetValue("run", out string? run)
                && JsonSerializer.Deserialize<Dictionary<string, string>>(run)?.GetValueOrDefault("seed") is { } text
                && int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int seed) ? seed : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>Writes the state; an older one is replaced when the new one is complete.</summary>
    public void Save(TrainingState state, TrainedParameter[] parameters)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        using var scope = NewDisposeScope();
        (string, Tensor)[] tensors =
        [
            .. parameters.SelectMany(parameter => parameter.State),
            .. state.Epochs.Select((epoch, i) => (RightName(i), tensor(epoch.Right))),
            .. state.Epochs.Select((epoch, i) => (ConfidenceName(i), tensor(epoch.Confidence))),
        ];
        SafetensorsWriter.Write(path, tensors, new Dictionary<string, string>(StringComparer.Ordinal)
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
        });
    }

    /// <summary>Reads the state, if there is one, and gives the parameters their values.</summary>
    /// <returns>The state, or null when there is no file.</returns>
    /// <exception cref="InvalidOperationException">The file belongs to another run.</exception>
    /// <exception cref="InvalidDataException">The file is damaged, or holds no state.</exception>
    public TrainingState? Load(TrainedParameter[] parameters)
    {
        AtomicFile.RemoveLeftovers(path);
        if (!File.Exists(path))
        {
            return null;
        }

        using SafetensorsFile file = SafetensorsFile.Open(path);
        if (file.Metadata.GetValueOrDefault("format") != Format || file.Metadata.GetValueOrDefault("version") != Version)
        {
            throw new InvalidDataException(
                $"{path} is no training state: its metadata must say format '{Format}', version '{Version}'. Name another file.");
        }

        CheckRun(file);
        foreach (TrainedParameter parameter in parameters)
        {
            parameter.Load(file);
        }

        return new()
        {
            Step = (int)Number("step")!.Value,
            Rows = (long)Number("rows")!.Value,
            Seconds = Number("seconds")!.Value,
            Loss = Number("loss")!.Value,
            Metric = Number("metric"),
            Best = Number("best_metric") is { } metric ? (metric, (int)Number("best_step")!.Value) : null,
            LossSum = Number("loss_sum")!.Value,
            Stale = (int)Number("stale")!.Value,
            Epochs = [.. Epochs(file)],
        };

        double? Number(string key) => file.Metadata[key] is { Length: > 0 } text ? double.Parse(text, CultureInfo.InvariantCulture) : null;
    }

    /// <summary>Removes the file.</summary>
    public void Delete() => File.Delete(path);

    private static IEnumerable<EpochScores> Epochs(SafetensorsFile file)
    {
        for (int epoch = 0; file.Contains(RightName(epoch)); epoch++)
        {
            using Tensor right = file.Read(RightName(epoch)), confidence = file.Read(ConfidenceName(epoch));
            yield return new(right.data<bool>().ToArray(), confidence.data<float>().ToArray());
        }
    }

    private static string RightName(int epoch) => $"epoch.{Text(epoch)}.right";

    private static string ConfidenceName(int epoch) => $"epoch.{Text(epoch)}.confidence";

    private static string Text(double? number) => number?.ToString("R", CultureInfo.InvariantCulture) ?? "";

    private void CheckRun(SafetensorsFile file)
    {
        var stored = JsonSerializer.Deserialize<SortedDictionary<string, string>>(file.Metadata["run"])!;
        string[] differences =
        [
            .. stored.Keys.Union(run.Keys).Order(StringComparer.Ordinal)
                .Where(name => stored.GetValueOrDefault(name) != run.GetValueOrDefault(name))
                .Select(name => $"{name} is {stored.GetValueOrDefault(name, "not set")} there and {run.GetValueOrDefault(name, "not set")} here"),
        ];
        if (differences.Length > 0)
        {
            throw new InvalidOperationException(
                $"{path} is the state of another run: its fingerprint is {RunFingerprint.Of(stored)}, and this run's is "
                + $"{RunFingerprint.Of(run)}. {string.Join("; ", differences)}. Run with the options and data that it was made with, or remove it.");
        }
    }
}
