using System.Runtime.InteropServices;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace SkillLoc.Evaluators;

/// <summary>A model and a set; everything that needs no scoring is checked on construction.</summary>
internal sealed class SetScoring
{
    private readonly IDataView _scored;
    private readonly DataViewSchema.Column _score;
    private readonly string[] _labels;
    private readonly int[] _slots;

    /// <exception cref="InvalidOperationException">The model cannot score the set, or does not know one of its labels.</exception>
    public SetScoring(string model, ITransformer transformer, LabeledSet set, string scoreColumn)
    {
        Model = model;
        Set = set.Name;
        try
        {
            _scored = transformer.Transform(set.Data);
            _score = Probabilities.Find(_scored.Schema, scoreColumn);
            _labels = Probabilities.Labels(_scored.Schema, _score);
            _slots = set.Slots(_labels);
        }
        catch (Exception error) when (error is ArgumentException or InvalidOperationException)
        {
            throw Located(error);
        }
    }

    public string Model { get; }

    public string Set { get; }

    /// <summary>Scores the set once.</summary>
    /// <exception cref="InvalidOperationException">A row cannot be scored, or its scores are not probabilities.</exception>
    public ScoredSet Score()
    {
        var rows = new List<MeasuredRow>(_slots.Length);
        try
        {
            // Labels are the set's own, as a model may map its label column by the keys that it was trained with.
            using DataViewRowCursor cursor = _scored.GetRowCursor([_score]);
            var probabilities = new Probabilities(cursor, _score);
            int row = 0;
            for (; cursor.MoveNext(); row++)
            {
                if (row < _slots.Length && _slots[row] >= 0)
                {
                    rows.Add(MeasuredRow.Of(_slots[row], probabilities.Read()));
                }
            }

            return row == _slots.Length
                ? new(_labels, [.. rows])
                : throw new InvalidOperationException(
                    $"The set has {_slots.Length} rows and the model gives {row}; it must score each row."
                );
        }
        catch (Exception error) when (error is ArgumentException or InvalidOperationException)
        {
            throw Located(error);
        }
    }

    private InvalidOperationException Located(Exception error) => new($"Model '{Model}' on set '{Set}': {error.Message}", error);
}

/// <summary>The labelled rows of a set with the scores of a model.</summary>
/// <param name="Labels">The model's labels, by slot.</param>
/// <param name="Rows">At least one row.</param>
internal sealed record ScoredSet(string[] Labels, MeasuredRow[] Rows)
{
    public IEnumerable<string> Predictions => Rows.Select(row => Labels[row.Predicted]);

    /// <summary>
    /// The mean of the labels' F1, 2 TP / (2 TP + FP + FN), over the labels that some row has or is predicted to have.
    /// </summary>
    public double MacroF1()
    {
        double[] right = new double[Labels.Length];
        double[] occurring = new double[Labels.Length];
        foreach (MeasuredRow row in Rows)
        {
            right[row.Label] += row.IsRight ? 1 : 0;
            occurring[row.Label]++;
            occurring[row.Predicted]++;
        }

        return right.Zip(occurring).Where(label => label.Second > 0).Average(label => 2 * label.First / label.Second);
    }
}

/// <summary>The measures of one row: the slots of its true and its most probable label, and the errors of its probabilities.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct MeasuredRow(int Label, int Predicted, double Confidence, double LabelProbability, double SquaredError)
{
    public bool IsRight => Label == Predicted;

    /// <summary>Reads the labelled rows of a view, whose scores must be probabilities. A label that the scores lack counts as wrong with
    /// probability 0.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing or of another type.</exception>
    /// <exception cref="InvalidOperationException">There are no labelled rows, no label is among the names of the slots, or a row's scores
    /// are not probabilities.</exception>
    public static IEnumerable<MeasuredRow> Read(MLContext context, IDataView data, string labelColumn, string scoreColumn)
    {
        LabeledScores.CheckLabel(data.Schema, labelColumn, scoreColumn);
        DataViewSchema.Column score = Probabilities.Find(data.Schema, scoreColumn);
        return LabeledScores
            .Read(context, data, labelColumn, score, cursor => new Probabilities(cursor, score).Read)
            .Select(row => Of(row.Slot, row.Scores));
    }

    /// <summary>Measures one row; ties are predicted as the first label.</summary>
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
