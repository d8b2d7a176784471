using System.Text.Json;
using Microsoft.ML;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Grafts;
using SkillLoc.Onnx;
using SkillLoc.Transforms;

namespace SkillLoc.Serve;

/// <summary>
/// Loads a folder of skills, each called like its file: <c>NAME/</c>, a classifier's checkpoint folder; <c>NAME.zip</c>, a pipeline;
/// <c>NAME.onnx</c>, an exported classifier; <c>NAME.safetensors</c>, a graft or tuned weights for the base, of which all grafts share one model. <c>NAME.calibration.json</c> beside
/// it is shown on the page.
/// </summary>
/// <param name="ml">The context.</param>
/// <param name="folder">The folder.</param>
/// <param name="baseCheckpoint">The base of grafts and tuned weights; or of grafts alone a file that <c>OnnxBase.Save</c> wrote.</param>
public sealed class SkillFolder(MLContext ml, string folder, Func<string> baseCheckpoint)
{
    private const string Torch = "TorchSharp",
        Onnx = "ONNX Runtime";

    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web);

    /// <summary>Whether there is a skill in the folder.</summary>
    public bool IsEmpty => !Directory.Exists(folder) || !Entries().Any();

    /// <summary>Loads the models.</summary>
    /// <param name="failed">Receives the name of a skill that could not be loaded, and why; the others are loaded all the same.</param>
    /// <returns>The models; the caller disposes their scorers.</returns>
    public IEnumerable<LoadedModel> Load(Action<string, Exception> failed)
    {
        ArgumentNullException.ThrowIfNull(failed);
        var grafts = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (string path in Entries())
        {
            string name = Directory.Exists(path) ? Path.GetFileName(path) : Path.GetFileNameWithoutExtension(path);
            if (IsGraft(path))
            {
                // Read once here, so that a damaged one keeps the others from nothing.
                if (Try(name, () => Graft.Load(path)) is not null)
                {
                    grafts.Add(name, path);
                }
            }
            else if (Try(name, () => One(name, path)) is { } model)
            {
                yield return model;
            }
        }

        if (grafts.Count > 0 && Try(string.Join(", ", grafts.Keys), () => Grafted(grafts)) is { } set)
        {
            yield return set;
        }

        T? Try<T>(string name, Func<T> load)
            where T : class
        {
            try
            {
                return load();
            }
            catch (Exception error) when (error is not OutOfMemoryException)
            {
                failed(name, error);
                return null;
            }
        }
    }

    private IEnumerable<string> Entries() =>
        Directory
            .EnumerateFileSystemEntries(folder)
            .Where(path =>
                !Path.GetFileName(path).StartsWith('.')
                && (Path.GetExtension(path) is ".onnx" or ".zip" or ".safetensors" || File.Exists(Path.Join(path, "config.json")))
            )
            .Order(StringComparer.Ordinal);

    private static bool IsGraft(string path)
    {
        if (Path.GetExtension(path) != ".safetensors")
        {
            return false;
        }

        try
        {
            using var file = SafetensorsFile.Open(path);
            return file.Metadata.GetValueOrDefault("format") == Graft.FileFormat;
        }
        catch (InvalidDataException)
        {
            // Loading it says what is wrong.
            return false;
        }
    }

    private LoadedModel One(string name, string path)
    {
        ITransformer model = Path.GetExtension(path) switch
        {
            ".onnx" => ml.SkillLoc().LoadOnnxScorer(path),
            ".zip" => ml.SkillLoc().LoadModel(path, out _),
            ".safetensors" => ml.SkillLoc().Connectivity.LoadTextScorer(baseCheckpoint(), path),
            _ => ml.SkillLoc().Connectivity.LoadTextScorer(path),
        };
        return Checked(name, new(ml, model), [(name, ReadsPairs(model))], Path.GetExtension(path) == ".onnx" ? Onnx : Torch);
    }

    private LoadedModel Grafted(IReadOnlyDictionary<string, string> grafts)
    {
        string reference = baseCheckpoint();
        bool isOnnx = Path.GetExtension(reference) == ".onnx";
        (ITransformer set, Func<string, ScoringSettings> settingsOf) = isOnnx ? OnOnnx() : OnTorch();
        var settings = grafts.Keys.ToDictionary(name => name, settingsOf, StringComparer.Ordinal);
        return Checked(
            "grafts",
            new(ml, set, name => settings[name].Labels),
            settings.Select(pair => (pair.Key, pair.Value.HasTextPair)),
            isOnnx ? Onnx : Torch
        );

        (ITransformer Set, Func<string, ScoringSettings> SettingsOf) OnOnnx()
        {
            OnnxGraftedModelSet onnx = ml.SkillLoc().Grafts.LoadOnnxModelSet(reference, grafts);
            return (onnx, onnx.SettingsOf);
        }

        (ITransformer Set, Func<string, ScoringSettings> SettingsOf) OnTorch()
        {
            var loaded = grafts.ToDictionary(pair => pair.Key, pair => Graft.Load(pair.Value), StringComparer.Ordinal);
            GraftedModelSet torch = ml.SkillLoc().Grafts.CreateModelSet(reference, loaded);
            return (torch, name => torch.Use(name, classifier => classifier.Settings));
        }
    }

    /// <summary>Whether a model refuses rows of single texts.</summary>
    private bool ReadsPairs(ITransformer model)
    {
        try
        {
            model.GetOutputSchema(ml.Data.LoadFromEnumerable<SingleText>([]).Schema);
            return false;
        }
        catch (ArgumentException)
        {
            return true;
        }
    }

    /// <summary>A model that has scored a text, so that whatever is missing shows now, and the first request is as quick as others.</summary>
    private LoadedModel Checked(string name, SkillScorer scorer, IEnumerable<(string Name, bool IsPair)> skills, string runtime)
    {
        try
        {
            SkillDescription[] described =
            [
                .. skills.Select(skill => new SkillDescription(skill.Name, scorer.Labels(skill.Name), skill.IsPair, runtime)
                {
                    Calibration = ReadCalibration(skill.Name),
                }),
            ];
            scorer.Score([
                .. described.Select(skill => new TextRow
                {
                    Text = "warm-up",
                    TextPair = "warm-up",
                    Skill = skill.Name,
                }),
            ]);
            return new(name, scorer, described);
        }
        catch
        {
            scorer.Dispose();
            throw;
        }
    }

    private Calibration? ReadCalibration(string name)
    {
        string path = Path.Join(folder, name + Calibration.FileSuffix);
        return File.Exists(path) ? JsonSerializer.Deserialize<Calibration>(File.ReadAllText(path), Json) : null;
    }

    private sealed class SingleText
    {
        public string Label { get; set; } = "";

        public string Text { get; set; } = "";
    }
}
