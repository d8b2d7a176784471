using System.Globalization;
using SkillLoc.Models.Checkpoints;
using static TorchSharp.torch;

namespace SkillLoc.Models.Classification;

/// <summary>The labels that a classification head shares with a trained one. Rows of the last projection are matched by label name, never
/// by position; <c>LABEL_1</c>, as a Hugging Face folder without names has it, also matches the label <c>1</c>.</summary>
/// <param name="Kept">The labels whose trained rows were copied, in the new head's order.</param>
/// <param name="Fresh">The labels that the trained head lacks, whose rows are initialised.</param>
/// <param name="Dropped">The labels of the trained head that the new head lacks.</param>
public sealed record HeadMatch(IReadOnlyList<string> Kept, IReadOnlyList<string> Fresh, IReadOnlyList<string> Dropped)
{
    private const string UnnamedPrefix = "LABEL_";

    private int[] _rows = [];

    /// <summary>Whether both heads have the same labels, in any order.</summary>
    public bool IsWhole => Fresh.Count == 0 && Dropped.Count == 0;

    /// <summary>The name that <c>transformers</c> gives a label without one.</summary>
    internal static string Unnamed(int id) => string.Create(CultureInfo.InvariantCulture, $"{UnnamedPrefix}{id}");

    /// <summary>Matches labels by name.</summary>
    /// <param name="labels">The new head's.</param>
    /// <param name="trained">The trained head's, in the order of its rows.</param>
    internal static HeadMatch Between(IReadOnlyList<string> labels, IReadOnlyList<string> trained)
    {
        int[] rows = [.. labels.Select(label => IndexOf(label) is >= 0 and var named ? named : IndexOf(UnnamedPrefix + label))];
        return new(
            [.. labels.Where((_, i) => rows[i] >= 0)],
            [.. labels.Where((_, i) => rows[i] < 0)],
            [.. trained.Where((_, row) => !rows.Contains(row))]
        )
        {
            _rows = rows,
        };

        int IndexOf(string label)
        {
            for (int row = 0; row < trained.Count; row++)
            {
                if (trained[row] == label)
                {
                    return row;
                }
            }

            return -1;
        }
    }

    /// <summary>Assembles the new head's rows from trained rows where they exist, else from an initialised tensor.</summary>
    /// <param name="trained">The trained head's tensor, one row per label.</param>
    /// <param name="fresh">Creates the initialised tensor, one row per label of the new head; called only if a row is missing, and null if
    /// none can be.</param>
    internal Tensor Take(Tensor trained, Func<Tensor>? fresh = null)
    {
        if (Fresh.Count == 0)
        {
            return trained.index_select(0, tensor(Array.ConvertAll(_rows, row => (long)row), device: trained.device));
        }

        Tensor rows = fresh!();
        int[] known = [.. Enumerable.Range(0, _rows.Length).Where(i => _rows[i] >= 0)];
        return known.Length == 0
            ? rows
            : rows.index_copy_(
                0,
                tensor(Array.ConvertAll(known, i => (long)i), device: trained.device),
                trained.index_select(0, tensor(Array.ConvertAll(known, i => (long)_rows[i]), device: trained.device))
            );
    }
}

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
        if (
            ClassifierSettings.Find(folder.Path, folder.Config) is { } settings
            && (
                folder.Config.NamesLabels
                || settings.Labels.Count == rows
                || File.Exists(Path.Join(folder.Path, ClassifierSettings.FileName))
            )
        )
        {
            return settings.Head != kind ? null
                : rows is null
                    ? throw new InvalidDataException(
                        $"{folder.Path} says that it is a classifier with the head {kind}, and its weights ({folder.Weights.Path}) lack "
                            + $"'{weight}': the folder is incomplete."
                    )
                : rows == settings.Labels.Count ? new(folder, settings.Labels)
                : throw new InvalidDataException(
                    $"{folder.Path} names the {settings.Labels.Count} labels {Quote(settings.Labels)}, and '{weight}' in "
                        + $"{folder.Weights.Path} has {rows} rows."
                );
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
    public InvalidDataException Lacks(string name, long[] shape) =>
        new(
            $"{_folder.Path} is a classifier of {Quote(Labels)}, and its weights ({_folder.Weights.Path}) lack '{name}' of the shape "
                + $"[{string.Join(", ", shape)}]: the folder is incomplete."
        );

    private static string Quote(IEnumerable<string> labels) => string.Join(", ", labels.Select(label => $"'{label}'"));
}
