using System.Runtime.InteropServices;
using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Transforms;

namespace SkillLoc.Evaluators;

/// <summary>What is measured of one row: the slots of its true and its most probable label, and how far its probabilities are off.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct MeasuredRow(int Label, int Predicted, double Confidence, double LabelProbability, double SquaredError)
{
    public bool IsRight => Label == Predicted;

    /// <summary>Reads the labelled rows of a view. Where keys have values and scores slot names they go together by name, as keys may stand
    /// in another order than the scores; else the i-th key is the label of the i-th score. Of a binary trainer true is the label of the
    /// second.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing or of another type.</exception>
    /// <exception cref="InvalidOperationException">There are no labelled rows, no label is among the names of the slots, or a row's scores
    /// are no probabilities.</exception>
    public static IEnumerable<MeasuredRow> Read(MLContext context, IDataView data, string labelColumn, string scoreColumn)
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

    /// <summary>Judges one row; of equal probabilities the first is the prediction.</summary>
    public static MeasuredRow Of(int label, float[] probabilities)
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
