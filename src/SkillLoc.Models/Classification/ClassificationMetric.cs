using SkillLoc.Models.Prompts;

namespace SkillLoc.Models.Classification;

/// <summary>The metric by which training keeps its best state.</summary>
public static class ClassificationMetric
{
    /// <summary>Judges predictions: accuracy, the F1 of label 1, or Matthews' correlation, as the task asks.</summary>
    /// <param name="metric">The task's metric.</param>
    /// <param name="labels">True labels.</param>
    /// <param name="predictions">Predicted labels, as many.</param>
    /// <returns>The value; higher is better.</returns>
    /// <exception cref="ArgumentException">There are no rows, the two differ in number, or the metric is of scores.</exception>
    public static double Evaluate(PromptMetric metric, ReadOnlySpan<int> labels, ReadOnlySpan<int> predictions)
    {
        if (labels.Length == 0 || labels.Length != predictions.Length)
        {
            throw new ArgumentException($"There are {labels.Length} labels and {predictions.Length} predictions.", nameof(predictions));
        }

        double truePositives = 0, falsePositives = 0, falseNegatives = 0, trueNegatives = 0, right = 0;
        for (int i = 0; i < labels.Length; i++)
        {
            right += labels[i] == predictions[i] ? 1 : 0;
            switch (labels[i] == 1, predictions[i] == 1)
            {
                case (true, true): truePositives++; break;
                case (false, true): falsePositives++; break;
                case (true, false): falseNegatives++; break;
                default: trueNegatives++; break;
            }
        }

        return metric switch
        {
            PromptMetric.AccuracyAndF1 => Ratio(2 * truePositives, (2 * truePositives) + falsePositives + falseNegatives),
            PromptMetric.MatthewsCorrelation => Ratio(
                (truePositives * trueNegatives) - (falsePositives * falseNegatives),
                Math.Sqrt((truePositives + falsePositives) * (truePositives + falseNegatives)
                    * (trueNegatives + falsePositives) * (trueNegatives + falseNegatives))),
            PromptMetric.Accuracy => right / labels.Length,
            _ => throw new ArgumentException($"{metric} judges scores, and these are classes.", nameof(metric)),
        };

        static double Ratio(double part, double whole) => whole == 0 ? 0 : part / whole;
    }

    /// <summary>Judges a regression's predictions by Pearson's correlation.</summary>
    /// <param name="scores">True scores.</param>
    /// <param name="predictions">Predicted scores, as many.</param>
    /// <returns>The value; higher is better. Where it is not defined, because all scores or all predictions are equal, 0.</returns>
    /// <exception cref="ArgumentException">There are no rows, or the two differ in number.</exception>
    public static double Evaluate(ReadOnlySpan<double> scores, ReadOnlySpan<double> predictions)
    {
        double pearson = Correlation.Pearson(scores, predictions);
        return double.IsNaN(pearson) ? 0 : pearson;
    }
}
