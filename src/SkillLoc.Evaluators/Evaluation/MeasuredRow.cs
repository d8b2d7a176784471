using System.Runtime.InteropServices;
using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Transforms;

namespace SkillLoc.Evaluators;

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
        return LabeledScores.Read(context, data, labelColumn, score, cursor => new Probabilities(cursor, score).Read)
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
