using System.Runtime.InteropServices;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace SkillLoc.Evaluators;

/// <summary>The measured values of a row: the slots of its true and its most probable label, and the error of its probabilities.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct ScoredRow(int Label, int Predicted, double Confidence, double LabelProbability, double SquaredError)
{
    public bool IsRight => Label == Predicted;

    /// <summary>Reads the labelled rows of a view. Keys with values and scores with slot names are matched by name, since their orders may
    /// differ; otherwise, the i-th key belongs to the i-th score. For a binary trainer, true is the second label.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing or of another type.</exception>
    /// <exception cref="InvalidOperationException">There are no labelled rows, no label is among the names of the slots, or scores are not
    /// probabilities.</exception>
    public static IEnumerable<ScoredRow> Read(MLContext context, IDataView data, string labelColumn, string scoreColumn)
    {
        DataViewSchema.Column label = EvaluatedColumn.Find(data.Schema, labelColumn);
        bool isBinary = data.Schema.GetColumnOrNull(scoreColumn) is { } named && Probabilities.IsBinary(named);
        if (!isBinary && (label.Type is not KeyDataViewType || label.Type.RawType != typeof(uint)))
        {
            throw EvaluatedColumn.WrongType(label, "a key, as MapValueToKey makes it");
        }

        DataViewSchema.Column score = Probabilities.Find(data.Schema, scoreColumn);
        LabelTexts? texts = isBinary || !score.HasSlotNames() ? null : new(context, data, labelColumn);
        string[]? names = texts is null or { AreBareKeys: true } ? null : Probabilities.Labels(data.Schema, score);
        using IEnumerator<string>? labels = names is null ? null : texts!.Read().GetEnumerator();
        using DataViewRowCursor cursor = data.GetRowCursor([label, score]);
        Func<int> readLabel = isBinary ? BinaryLabel.Reader(cursor, label) : Keys(cursor, label);
        var probabilities = new Probabilities(cursor, score);
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

                // A label that the scores do not know is wrong with probability 0.
                yield return Of(slot < 0 ? names!.Length : slot, probabilities.Read());
            }
        }

        if (!any)
        {
            throw new InvalidOperationException($"There are no rows with a label in column '{labelColumn}'.");
        }

        if (!known)
        {
            throw new InvalidOperationException(
                $"No label of column '{labelColumn}' is among the slots of '{scoreColumn}', which are named {EvaluatedColumn.Quote(names!)}: "
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

    /// <summary>Evaluates a row; ties of probabilities go to the first.</summary>
    public static ScoredRow Of(int label, float[] probabilities)
    {
        int predicted = Array.IndexOf(probabilities, probabilities.Max());
        double error = label < probabilities.Length ? 0 : 1;
        for (int i = 0; i < probabilities.Length; i++)
        {
            double difference = probabilities[i] - (i == label ? 1.0 : 0.0);
            error += difference * difference;
        }

        return new(label, predicted, probabilities[predicted], label < probabilities.Length ? probabilities[label] : 0, error);
    }
}
