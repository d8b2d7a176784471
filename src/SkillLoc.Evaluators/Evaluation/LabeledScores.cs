using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Transforms;

namespace SkillLoc.Evaluators;

/// <summary>Reads scores with the slot of each row's true label.</summary>
internal static class LabeledScores
{
    /// <summary>Throws unless the label column fits the scores: a key, or for a binary trainer a type that ML.NET's evaluator
    /// accepts.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is missing or of another type.</exception>
    public static void CheckLabel(DataViewSchema schema, string labelColumn, string scoreColumn)
    {
        DataViewSchema.Column label = EvaluatedColumn.Find(schema, labelColumn);
        bool isBinary = schema.GetColumnOrNull(scoreColumn) is { } score && Probabilities.IsBinary(score);
        if (!isBinary && (label.Type is not KeyDataViewType || label.Type.RawType != typeof(uint)))
        {
            throw EvaluatedColumn.WrongType(label, "a key, as MapValueToKey makes it");
        }
    }

    /// <summary>Reads the labelled rows of a view. If keys have values and scores have slot names, they are matched by name, as their
    /// orders may differ; else the i-th key is the label of the i-th score. For a binary trainer, true is the second label. A label that
    /// the scores lack has the slot after the last.</summary>
    /// <param name="context">The context.</param>
    /// <param name="data">The view.</param>
    /// <param name="labelColumn">The labels.</param>
    /// <param name="score">The scores.</param>
    /// <param name="reader">Creates the reader of a row's scores from the cursor.</param>
    /// <exception cref="InvalidOperationException">There are no labelled rows, or no label is among the names of the slots.</exception>
    public static IEnumerable<(int Slot, float[] Scores)> Read(
        MLContext context,
        IDataView data,
        string labelColumn,
        DataViewSchema.Column score,
        Func<DataViewRowCursor, Func<float[]>> reader
    )
    {
        DataViewSchema.Column label = EvaluatedColumn.Find(data.Schema, labelColumn);
        bool isBinary = Probabilities.IsBinary(score);
        LabelTexts? texts = isBinary || !score.HasSlotNames() ? null : new(context, data, labelColumn);
        string[]? names = texts is null or { AreBareKeys: true } ? null : Probabilities.Labels(data.Schema, score);
        using IEnumerator<string>? labels = names is null ? null : texts!.Read().GetEnumerator();
        using DataViewRowCursor cursor = data.GetRowCursor([label, score]);
        Func<int> readLabel = isBinary ? BinaryLabel.Reader(cursor, label) : Keys(cursor, label);
        Func<float[]> readScores = reader(cursor);
        bool any = false,
            known = names is null;
        while (cursor.MoveNext())
        {
            labels?.MoveNext();
            int slot = readLabel();
            if (slot >= 0)
            {
                any = true;
                slot = names is null ? slot : Array.IndexOf(names, labels!.Current);
                known |= slot >= 0;
                yield return (slot < 0 ? names!.Length : slot, readScores());
            }
        }

        if (!any)
        {
            throw new InvalidOperationException($"There are no rows with a label in column '{labelColumn}'.");
        }

        if (!known)
        {
            throw new InvalidOperationException(
                $"No label of column '{labelColumn}' is among the slots of '{score.Name}', which are named "
                    + $"{EvaluatedColumn.Quote(names!)}: "
                    + "labels and scores go together by name."
            );
        }
    }

    private static Func<int> Keys(DataViewRow row, DataViewSchema.Column column)
    {
        ValueGetter<uint> read = row.GetGetter<uint>(column);
        uint key = 0;
        return () =>
        {
            read(ref key);
            return (int)key - 1;
        };
    }
}

/// <summary>Reads binary labels like ML.NET's binary evaluator.</summary>
internal static class BinaryLabel
{
    /// <summary>
    /// Returns a reader of the row's label: 1 for true, 0 for false, -1 for missing. Numbers above 0 are true; of two keys, the one with a
    /// value that means true is true, else the second.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The column has another type.</exception>
    public static Func<int> Reader(DataViewRow row, DataViewSchema.Column column)
    {
        switch (column.Type)
        {
            case BooleanDataViewType:
                ValueGetter<bool> readBoolean = row.GetGetter<bool>(column);
                bool boolean = false;
                return () =>
                {
                    readBoolean(ref boolean);
                    return boolean ? 1 : 0;
                };
            case NumberDataViewType number when number == NumberDataViewType.Single:
                ValueGetter<float> readNumber = row.GetGetter<float>(column);
                float value = 0;
                return () =>
                {
                    readNumber(ref value);
                    return float.IsNaN(value) ? -1
                        : value > 0 ? 1
                        : 0;
                };
            case KeyDataViewType { Count: 2 } key when key.RawType == typeof(uint):
                ValueGetter<uint> readKey = row.GetGetter<uint>(column);
                bool isFirst = Values(column) is [true, false];
                uint label = 0;
                return () =>
                {
                    readKey(ref label);
                    return label == 0 ? -1
                        : label == (isFirst ? 1 : 2) ? 1
                        : 0;
                };
            default:
                throw EvaluatedColumn.WrongType(column, "a boolean, a Single, or a key with two values, as a binary trainer's label is");
        }
    }

    /// <summary>The meaning of two keys that stand for true and false.</summary>
    private static bool[] Values(DataViewSchema.Column column)
    {
        switch ((column.Annotations.Schema.GetColumnOrNull("KeyValues")?.Type as VectorDataViewType)?.ItemType)
        {
            case BooleanDataViewType:
                VBuffer<bool> values = default;
                column.GetKeyValues(ref values);
                return [.. values.DenseValues()];
            case TextDataViewType:
                VBuffer<ReadOnlyMemory<char>> texts = default;
                column.GetKeyValues(ref texts);
                return [.. texts.DenseValues().Where(text => bool.TryParse(text.Span, out _)).Select(text => bool.Parse(text.Span))];
            default:
                return [];
        }
    }
}

/// <summary>A named data set with true labels by name, read once for all models.</summary>
internal sealed class LabeledSet
{
    private readonly string[] _labels;

    /// <exception cref="ArgumentException">The label column is missing, or its labels have no names.</exception>
    /// <exception cref="InvalidOperationException">No row has a label.</exception>
    public LabeledSet(
        MLContext context,
        string name,
        IDataView data,
        string labelColumn,
        IReadOnlyDictionary<string, string>? labelMap = null
    )
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
                $"Set '{name}': the keys of column '{labelColumn}' have no values; labels are matched by name, so they must be text "
                    + "or keys "
                    + "with values, as MapValueToKey makes them.",
                nameof(data)
            );
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
        var slots = known.Index().ToDictionary(label => label.Item, label => label.Index, StringComparer.Ordinal);
        int[] found = new int[_labels.Length];
        for (int row = 0; row < found.Length; row++)
        {
            string label = LabelMap?.GetValueOrDefault(_labels[row], _labels[row]) ?? _labels[row];
            found[row] =
                _labels[row].Length == 0 ? -1
                : slots.TryGetValue(label, out int slot) ? slot
                : throw new InvalidOperationException(
                    $"Row {row} has the label '{_labels[row]}'{(label == _labels[row] ? "" : $", which is mapped to '{label}'")}; the "
                        + "model "
                        + $"knows {EvaluatedColumn.Quote(known)}. Map the set's labels to those."
                );
        }

        return found;
    }
}
