using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Transforms;

namespace SkillLoc.Evaluators;

/// <summary>
/// Reads a score column and checks that the scores are probabilities. ML.NET's binary trainers have one number per row, the probability of
/// true.
/// </summary>
internal sealed class Probabilities(DataViewRowCursor cursor, DataViewSchema.Column column)
{
    private const float Tolerance = 1e-3f;
    private const string Probability = "Probability";
    private static readonly string[] BinaryLabels = ["False", "True"];

    private readonly Func<float[]> _read = IsBinary(column) ? Binary(cursor, column) : Several(cursor, column);

    /// <summary>Finds a score column; for the margin of a binary trainer, the probability column beside it.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is missing or of another type, or is a margin without a probability
    /// column.</exception>
    public static DataViewSchema.Column Find(DataViewSchema schema, string name)
    {
        DataViewSchema.Column column = FindAny(schema, name, out bool isMargin);
        return !isMargin || !IsMarked(column)
            ? column
            : throw EvaluatedColumn.WrongType(
                column,
                $"a probability: this is a trainer's plain score, of which mlContext.BinaryClassification.Calibrators makes one"
            );
    }

    /// <summary>Finds a score column, whatever its numbers; beside the margin of a binary trainer the probability that was made of
    /// it.</summary>
    /// <param name="schema">The columns.</param>
    /// <param name="name">The score column's name.</param>
    /// <param name="isMargin">Whether it is a binary trainer's margin, without a probability beside it.</param>
    /// <exception cref="ArgumentOutOfRangeException">It is missing or of another type.</exception>
    public static DataViewSchema.Column FindAny(DataViewSchema schema, string name, out bool isMargin)
    {
        isMargin = false;
        DataViewSchema.Column column = EvaluatedColumn.Find(schema, name);
        if (column.Type is VectorDataViewType { Size: >= 2 } vector && vector.ItemType == NumberDataViewType.Single)
        {
            return column;
        }

        if (column.Type != NumberDataViewType.Single)
        {
            throw EvaluatedColumn.WrongType(column, "a vector of Single with a known size of at least 2, or a binary trainer's Single");
        }

        // Trainers mark what their columns hold, and which belong together; of what a file holds the names must tell. A calibrator marks
        // its probability as a score.
        if (IsProbability(column) || (KindOf(column) is null && column.Name != "Score"))
        {
            return column;
        }

        DataViewSchema.Column[] beside =
        [
            .. schema.Where(other => !other.IsHidden && IsBinary(other) && IsProbability(other) && SetOf(other) == SetOf(column)),
        ];
        isMargin = beside.Length == 0;
        return isMargin ? column : beside[0];
    }

    /// <summary>Whether a column is from a binary trainer, with one number per row.</summary>
    public static bool IsBinary(DataViewSchema.Column column) => column.Type == NumberDataViewType.Single;

    /// <summary>The labels named by the slots of a score column; False and True for a binary trainer.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The slots have no names, or a name occurs twice.</exception>
    public static string[] Labels(DataViewSchema schema, DataViewSchema.Column column)
    {
        if (IsBinary(column))
        {
            return BinaryLabels;
        }

        if (!column.HasSlotNames())
        {
            throw EvaluatedColumn.WrongType(
                column,
                "a vector whose slots are named after the labels, as SkillLoc's and ML.NET's trainers make it"
            );
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

    /// <summary>Returns the probabilities of the current row.</summary>
    /// <exception cref="InvalidOperationException">The scores are not probabilities.</exception>
    public float[] Read()
    {
        float[] probabilities = _read();
        return Are(probabilities) ? probabilities : throw NoProbabilities(column, cursor.Position, probabilities);
    }

    /// <summary>Whether numbers are probabilities of all there is.</summary>
    public static bool Are(float[] scores) =>
        scores.All(p => p >= -Tolerance && p <= 1 + Tolerance) && Math.Abs(scores.Sum() - 1) <= Tolerance;

    /// <summary>The exception for scores that are not probabilities.</summary>
    public static InvalidOperationException NoProbabilities(DataViewSchema.Column column, long row, float[] scores) =>
        new(
            IsBinary(column)
                ? $"Row {row} of column '{column.Name}' is {scores[1]}; calibration needs a probability: a number from 0 to 1."
                : $"Row {row} of column '{column.Name}' is [{string.Join(", ", scores)}]; calibration needs "
                    + "probabilities: numbers from 0 to 1 that sum to 1."
        );

    /// <summary>A reader of a vector of scores.</summary>
    public static Func<float[]> Several(DataViewRowCursor cursor, DataViewSchema.Column column)
    {
        ValueGetter<VBuffer<float>> read = cursor.GetGetter<VBuffer<float>>(column);
        VBuffer<float> scores = default;
        return () =>
        {
            read(ref scores);
            return [.. scores.DenseValues()];
        };
    }

    /// <summary>A reader of a binary trainer's one number.</summary>
    public static Func<float[]> One(DataViewRowCursor cursor, DataViewSchema.Column column)
    {
        ValueGetter<float> read = cursor.GetGetter<float>(column);
        float score = 0;
        return () =>
        {
            read(ref score);
            return [score];
        };
    }

    private static Func<float[]> Binary(DataViewRowCursor cursor, DataViewSchema.Column column)
    {
        Func<float[]> read = One(cursor, column);
        return () => read() is [var probability] ? [1 - probability, probability] : [];
    }

    /// <summary>Whether a column is a binary trainer's probability of true.</summary>
    public static bool IsProbability(DataViewSchema.Column column) => column.Name == Probability || KindOf(column) == Probability;

    /// <summary>Whether a trainer or a model says what a column holds.</summary>
    public static bool IsMarked(DataViewSchema.Column column) => KindOf(column) is not null;

    /// <summary>Whether a column is what a regression predicts.</summary>
    public static bool IsRegression(DataViewSchema.Column column) => TextOf(column, "ScoreColumnKind") == "Regression";

    private static string? KindOf(DataViewSchema.Column column) => TextOf(column, "ScoreValueKind");

    private static string? TextOf(DataViewSchema.Column column, string annotation)
    {
        if (column.Annotations.Schema.GetColumnOrNull(annotation)?.Type is not TextDataViewType)
        {
            return null;
        }

        ReadOnlyMemory<char> text = default;
        column.Annotations.GetValue(annotation, ref text);
        return text.ToString();
    }

    private static uint SetOf(DataViewSchema.Column column)
    {
        uint set = 0;
        if (column.Annotations.Schema.GetColumnOrNull("ScoreColumnSetId")?.Type is KeyDataViewType type && type.RawType == typeof(uint))
        {
            column.Annotations.GetValue("ScoreColumnSetId", ref set);
        }

        return set;
    }
}
