namespace SkillLoc.Evaluators;

/// <summary>The quality of the predictions of one label of a multi-label task.</summary>
/// <param name="Label">The label.</param>
/// <param name="Count">Number of rows with the label.</param>
/// <param name="PredictedCount">Number of rows predicted to have the label.</param>
/// <param name="Hits">Number of true positives.</param>
/// <param name="AveragePrecision">
/// The mean, over the rows that have the label, of the share of such rows among those that score at least as high: the area under the
/// precision-recall curve as steps. NaN if no row has it.
/// </param>
public sealed record MultiLabelEntry(string Label, long Count, long PredictedCount, long Hits, double AveragePrecision)
{
    /// <summary>Precision: the share of rows predicted to have the label that have it; NaN without predictions.</summary>
    public double Precision => (double)Hits / PredictedCount;

    /// <summary>Recall: the share of rows with the label that are predicted to have it; NaN without such rows.</summary>
    public double Recall => (double)Hits / Count;

    /// <summary>The harmonic mean of precision and recall: 2 hits / (rows with it + rows predicted to have it); NaN if both are
    /// 0.</summary>
    public double F1 => 2.0 * Hits / (Count + PredictedCount);

    internal static MultiLabelEntry Of(string label, float[] scores, bool[] predicted, bool[] isTrue)
    {
        long there = isTrue.LongCount(value => value);
        double area = 0;
        int[] order = [.. Enumerable.Range(0, scores.Length).OrderByDescending(row => scores[row])];
        for (int end = 0, hits = 0; end < order.Length;)
        {
            // Rows of equal scores come together.
            int first = end, before = hits;
            for (; end < order.Length && scores[order[end]] == scores[order[first]]; end++)
            {
                hits += isTrue[order[end]] ? 1 : 0;
            }

            area += (hits - before) * (double)hits / end;
        }

        return new(label, there, predicted.LongCount(value => value), predicted.Zip(isTrue).LongCount(pair => pair is { First: true, Second: true }), area / there);
    }
}
