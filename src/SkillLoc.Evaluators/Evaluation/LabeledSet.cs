using Microsoft.ML;
using SkillLoc.Transforms;

namespace SkillLoc.Evaluators;

/// <summary>A named data set with true labels by name, read once for all models.</summary>
internal sealed class LabeledSet
{
    private readonly string[] _labels;

    /// <exception cref="ArgumentException">The label column is missing, or its labels have no names.</exception>
    /// <exception cref="InvalidOperationException">No row has a label.</exception>
    public LabeledSet(MLContext context, string name, IDataView data, string labelColumn, IReadOnlyDictionary<string, string>? labelMap = null)
    {
        Name = name;
        Data = data;
        LabelMap = labelMap;
        LabelTexts texts;
        try
        {
            texts = new(context, data, labelColumn);
        }
        catch (ArgumentOutOfRangeException error)
        {
            throw new ArgumentException($"Set '{name}': {error.Message}", nameof(data), error);
        }

        if (texts.AreBareKeys)
        {
            throw new ArgumentException(
                $"Set '{name}': the keys of column '{labelColumn}' have no values; labels are matched by name, so they must be text or keys "
                + "with values, as MapValueToKey makes them.",
                nameof(data));
        }

        _labels = [.. texts.Read()];
        if (_labels.All(label => label.Length == 0))
        {
            throw new InvalidOperationException($"Set '{name}' has no rows with a label in column '{labelColumn}'.");
        }
    }

    public string Name { get; }

    public IDataView Data { get; }

    /// <summary>Maps labels of the set to labels of the model; others are unchanged.</summary>
    public IReadOnlyDictionary<string, string>? LabelMap { get; }

    /// <summary>Returns the slot of each row's label among the labels of a model, or -1 for unlabelled rows.</summary>
    /// <exception cref="InvalidOperationException">The model does not know a label.</exception>
    public int[] Slots(string[] known)
    {
        Dictionary<string, int> slots = known.Index().ToDictionary(label => label.Item, label => label.Index, StringComparer.Ordinal);
        var found = new int[_labels.Length];
        for (int row = 0; row < found.Length; row++)
        {
            string label = LabelMap?.GetValueOrDefault(_labels[row], _labels[row]) ?? _labels[row];
            found[row] = _labels[row].Length == 0 ? -1
                : slots.TryGetValue(label, out int slot) ? slot
                : throw new InvalidOperationException(
                    $"Row {row} has the label '{_labels[row]}'{(label == _labels[row] ? "" : $", which is mapped to '{label}'")}; the model "
                    + $"knows {EvaluatedColumn.Quote(known)}. Map the set's labels to those.");
        }

        return found;
    }
}
