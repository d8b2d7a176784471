using SkillLoc.Models.Prompts;

namespace SkillLoc.Models.Classification;

/// <summary>Metrics by which the best epoch is chosen.</summary>
public static class ClassificationMetric
{
    /// <summary>Computes accuracy, the F1 of label 1, or Matthews' correlation.</summary>
    /// <param name="metric">The task's metric.</param>
    /// <param name="labels">True labels.</param>
    /// <param name="predictions">Predicted labels, one per true label.</param>
    /// <returns>The value; higher is better.</returns>
    /// <exception cref="ArgumentException">There are no rows, the numbers of labels and predictions differ, or the metric is for
    /// scores.</exception>
    public static double Evaluate(PromptMetric metric, ReadOnlySpan<int> labels, ReadOnlySpan<int> predictions)
    {
        if (labels.Length == 0 || labels.Length != predictions.Length)
        {
            throw new ArgumentException($"There are {labels.Length} labels and {predictions.Length} predictions.", nameof(predictions));
        }

        double truePositives = 0,
            falsePositives = 0,
            falseNegatives = 0,
            trueNegatives = 0,
            right = 0;
        for (int i = 0; i < labels.Length; i++)
        {
            right += labels[i] == predictions[i] ? 1 : 0;
            switch (labels[i] == 1, predictions[i] == 1)
            {
                case (true, true):
                    truePositives++;
                    break;
                case (false, true):
                    falsePositives++;
                    break;
                case (true, false):
                    falseNegatives++;
                    break;
                default:
                    trueNegatives++;
                    break;
            }
        }

        return metric switch
        {
            PromptMetric.AccuracyAndF1 => Ratio(2 * truePositives, (2 * truePositives) + falsePositives + falseNegatives),
            PromptMetric.MatthewsCorrelation => Ratio(
                (truePositives * trueNegatives) - (falsePositives * falseNegatives),
                Math.Sqrt(
                    (truePositives + falsePositives)
                        * (truePositives + falseNegatives)
                        * (trueNegatives + falsePositives)
                        * (trueNegatives + falseNegatives)
                )
            ),
            PromptMetric.Accuracy => right / labels.Length,
            _ => throw new ArgumentException($"{metric} is a metric of scores, and these are classes.", nameof(metric)),
        };

        static double Ratio(double part, double whole) => whole == 0 ? 0 : part / whole;
    }

    /// <summary>Computes Pearson's correlation of a regression's predictions.</summary>
    /// <param name="scores">True scores.</param>
    /// <param name="predictions">Predicted scores, one per true score.</param>
    /// <returns>The value; higher is better. 0 if it is undefined because all scores or all predictions are equal.</returns>
    /// <exception cref="ArgumentException">There are no rows, or the numbers of scores and predictions differ.</exception>
    public static double Evaluate(ReadOnlySpan<double> scores, ReadOnlySpan<double> predictions)
    {
        double pearson = Correlation.Pearson(scores, predictions);
        return double.IsNaN(pearson) ? 0 : pearson;
    }
}
