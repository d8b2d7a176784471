using SkillLoc.Models.Checkpoints;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Classification;

/// <summary>The trained classification head of a checkpoint folder.</summary>
internal sealed class StoredHead
{
    private readonly CheckpointFolder _folder;

    private StoredHead(CheckpointFolder folder, IReadOnlyList<string> labels)
    {
        _folder = folder;
        Labels = labels;
    }

    /// <summary>The labels of the rows.</summary>
    public IReadOnlyList<string> Labels { get; }

    /// <summary>Finds the head of a folder with a <c>skillloc.json</c> or of a Hugging Face sequence classifier.</summary>
    /// <param name="folder">The opened folder.</param>
    /// <param name="kind">The kind of head to find.</param>
    /// <param name="output">The name of the kind's last projection.</param>
    /// <returns>The head; null if the folder has none of this kind.</returns>
    /// <exception cref="InvalidDataException">The folder declares the head but lacks its weights, or the numbers of labels and rows
    /// differ.</exception>
    public static StoredHead? Find(CheckpointFolder folder, HeadKind kind, string output)
    {
        string weight = output + ".weight";
        long? rows = folder.Weights.Tensors.FirstOrDefault(info => info.Name == weight) is { Shape: [var count, ..] } ? count : null;
        if (ClassifierSettings.Find(folder.Path, folder.Config) is { } settings
            && (folder.Config.NamesLabels || settings.Labels.Count == rows || File.Exists(Path.Join(folder.Path, ClassifierSettings.FileName))))
        {
            return settings.Head != kind ? null
                : rows is null ? throw new InvalidDataException(
                    $"{folder.Path} says that it is a classifier with the head {kind}, and its weights ({folder.Weights.Path}) lack "
                    + $"'{weight}': the folder is incomplete.")
                : rows == settings.Labels.Count ? new(folder, settings.Labels)
                : throw new InvalidDataException(
                    $"{folder.Path} names the {settings.Labels.Count} labels {Quote(settings.Labels)}, and '{weight}' in "
                    + $"{folder.Weights.Path} has {rows} rows.");
        }

        // transformers leaves out id2label where labels have no names.
        ModelConfig config = folder.Config;
        return rows is > 1 && kind == HeadKind.SequenceClassification && (config.Architectures.Count == 0 || config.IsSequenceClassifier)
            ? new(folder, [.. Enumerable.Range(0, (int)rows).Select(HeadMatch.Unnamed)])
            : null;
    }

    /// <summary>Reads a tensor of the head.</summary>
    /// <exception cref="InvalidDataException">The tensor is missing, has another shape, or contains NaN.</exception>
    public Tensor Read(string name, long[] shape, ScalarType dtype, Device device) =>
        _folder.Weights.Tensors.Any(info => info.Name == name && info.Shape.SequenceEqual(shape))
            ? _folder.Weights.ReadFinite(name, dtype, device)
            : throw Lacks(name, shape);

    /// <summary>The exception for a missing tensor of the head.</summary>
    public InvalidDataException Lacks(string name, long[] shape) => new(
        $"{_folder.Path} is a classifier of {Quote(Labels)}, and its weights ({_folder.Weights.Path}) lack '{name}' of the shape "
        + $"[{string.Join(", ", shape)}]: the folder is incomplete.");

    private static string Quote(IEnumerable<string> labels) => string.Join(", ", labels.Select(label => $"'{label}'"));
}
