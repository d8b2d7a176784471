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
        MLContext context, IDataView data, string labelColumn, DataViewSchema.Column score, Func<DataViewRowCursor, Func<float[]>> reader)
    {
        DataViewSchema.Column label = EvaluatedColumn.Find(data.Schema, labelColumn);
        bool isBinary = Probabilities.IsBinary(score);
        LabelTexts? texts = isBinary || !score.HasSlotNames() ? null : new(context, data, labelColumn);
        string[]? names = texts is null or { AreBareKeys: true } ? null : Probabilities.Labels(data.Schema, score);
        using IEnumerator<string>? labels = names is null ? null : texts!.Read().GetEnumerator();
        using DataViewRowCursor cursor = data.GetRowCursor([label, score]);
        Func<int> readLabel = isBinary ? BinaryLabel.Reader(cursor, label) : Keys(cursor, label);
        Func<float[]> readScores = reader(cursor);
        bool any = false, known = names is null;
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
                $"No label of column '{labelColumn}' is among the slots of '{score.Name}', which are named {EvaluatedColumn.Quote(names!)}: "
                + "labels and scores go together by name.");
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
