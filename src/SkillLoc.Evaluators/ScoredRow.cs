using System.Runtime.InteropServices;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace SkillLoc.Evaluators;

/// <summary>What is measured of one row: the slots of its true and its most probable label, and how far its probabilities are off.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct ScoredRow(int Label, int Predicted, double Confidence, double LabelProbability, double SquaredError)
{
    public bool IsRight => Label == Predicted;

    /// <summary>
    /// Reads the labelled rows of a view, whose i-th key is the label of the i-th score; of a binary trainer true is the label of the
    /// second.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing or of another type.</exception>
    /// <exception cref="InvalidOperationException">There are no labelled rows, or a row's scores are no probabilities.</exception>
    public static IEnumerable<ScoredRow> Read(IDataView data, string labelColumn, string scoreColumn)
    {
        DataViewSchema.Column label = EvaluatedColumn.Find(data.Schema, labelColumn);
        bool isBinary = data.Schema.GetColumnOrNull(scoreColumn) is { } named && Probabilities.IsBinary(named);
        if (!isBinary && (label.Type is not KeyDataViewType || label.Type.RawType != typeof(uint)))
        {
            throw EvaluatedColumn.WrongType(label, "a key, as MapValueToKey makes it");
        }

        DataViewSchema.Column score = Probabilities.Find(data.Schema, scoreColumn);
        using DataViewRowCursor cursor = data.GetRowCursor([label, score]);
        Func<int> readLabel = isBinary ? BinaryLabel.Reader(cursor, label) : Keys(cursor, label);
        var probabilities = new Probabilities(cursor, score);
        bool any = false;
        while (cursor.MoveNext())
        {
            int slot = readLabel();
            if (slot >= 0)
            {
                any = true;
                yield return Of(slot, probabilities.Read());
            }
        }

        if (!any)
        {
            throw new InvalidOperationException($"There are no rows with a label in column '{labelColumn}'.");
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
