using Microsoft.ML;
using Microsoft.ML.Data;

namespace SkillLoc.Evaluators;

/// <summary>Reads a score column, row by row, and sees to it that the scores are probabilities.</summary>
internal sealed class Probabilities(DataViewRowCursor cursor, DataViewSchema.Column column)
{
    private const float Tolerance = 1e-3f;

    private readonly ValueGetter<VBuffer<float>> _read = cursor.GetGetter<VBuffer<float>>(column);
    private VBuffer<float> _scores;

    /// <summary>Finds a score column.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The column is missing or of another type.</exception>
    public static DataViewSchema.Column Find(DataViewSchema schema, string name)
    {
        DataViewSchema.Column column = EvaluatedColumn.Find(schema, name);
        return column.Type is VectorDataViewType { Size: >= 2 } vector && vector.ItemType == NumberDataViewType.Single
            ? column
            : throw EvaluatedColumn.WrongType(column, "a vector of Single with a known size of at least 2");
    }

    /// <summary>The labels that the slots of a score column are named after.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The slots have no names, or two have the same.</exception>
    public static string[] Labels(DataViewSchema schema, DataViewSchema.Column column)
    {
        if (!column.HasSlotNames())
        {
            throw EvaluatedColumn.WrongType(column, "a vector whose slots are named after the labels, as SkillLoc's and ML.NET's trainers make it");
        }

        VBuffer<ReadOnlyMemory<char>> names = default;
        column.GetSlotNames(ref names);
        string[] labels = [.. names.DenseValues().Select(name => LabelOf(name.ToString()))];
        return labels.Distinct(StringComparer.Ordinal).Count() == labels.Length
            ? labels
            : throw EvaluatedColumn.WrongType(column, $"a vector whose slots have different names, not {EvaluatedColumn.Quote(labels)}");

        // In a loaded model the slot of a label that is called as a column is has the score's name before it.
        string LabelOf(string slot)
        {
            string label = slot.StartsWith(column.Name + ".", StringComparison.Ordinal) ? slot[(column.Name.Length + 1)..] : slot;
            return label.Length == 0 || schema.GetColumnOrNull(label) is not null ? label : slot;
        }
    }

    /// <summary>The probabilities of the cursor's row.</summary>
    /// <exception cref="InvalidOperationException">The scores are no probabilities.</exception>
    public float[] Read()
    {
        _read(ref _scores);
        float[] probabilities = [.. _scores.DenseValues()];
        return probabilities.All(p => p >= -Tolerance && p <= 1 + Tolerance) && Math.Abs(probabilities.Sum() - 1) <= Tolerance
            ? probabilities
            : throw new InvalidOperationException(
                $"Row {cursor.Position} of column '{column.Name}' is [{string.Join(", ", probabilities)}]; calibration needs "
                + "probabilities: numbers from 0 to 1 that sum to 1.");
    }
}
