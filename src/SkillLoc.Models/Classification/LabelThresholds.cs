namespace SkillLoc.Models.Classification;

/// <summary>Decision thresholds of multi-label tasks.</summary>
internal static class LabelThresholds
{
    /// <summary>The default threshold.</summary>
    public const float Usual = 0.5f;

    /// <summary>
    /// Chooses for each label the threshold with the best F1 on the rows (Yang 2001, "A study of thresholding strategies for text
    /// categorization", SCut): half-way between neighbouring scores; of equally good thresholds the one nearest to 0.5, and 0.5 for labels
    /// that no row has.
    /// </summary>
    /// <param name="scores">The labels' probabilities of each row.</param>
    /// <param name="sets">For each row 1 for its labels, 0 for the others.</param>
    /// <returns>One threshold for each label, in [0, 1]; a label is predicted if its score is at least the threshold.</returns>
    public static float[] Choose(IReadOnlyList<float[]> scores, IReadOnlyList<float[]> sets) =>
        scores.Count == 0 ? [] : [.. Enumerable.Range(0, scores[0].Length).Select(label => Choose(scores, sets, label))];

    /// <summary>The micro-averaged F1 at the given thresholds.</summary>
    /// <param name="scores">The labels' probabilities of each row.</param>
    /// <param name="sets">For each row 1 for its labels, 0 for the others.</param>
    /// <param name="thresholds">One for each label.</param>
    /// <returns>From 0 to 1; 0 if nothing is predicted and no row has a label.</returns>
    public static double MicroF1(IReadOnlyList<float[]> scores, IReadOnlyList<float[]> sets, IReadOnlyList<float> thresholds)
    {
        long hits = 0,
            predicted = 0,
            there = 0;
        for (int row = 0; row < scores.Count; row++)
        {
            for (int label = 0; label < thresholds.Count; label++)
            {
                bool says = scores[row][label] >= thresholds[label],
                    has = sets[row][label] > 0;
                hits += says && has ? 1 : 0;
                predicted += says ? 1 : 0;
                there += has ? 1 : 0;
            }
        }

        return predicted + there == 0 ? 0 : 2.0 * hits / (predicted + there);
    }

    private static float Choose(IReadOnlyList<float[]> scores, IReadOnlyList<float[]> sets, int label)
    {
        int there = sets.Count(set => set[label] > 0);
        float threshold = Usual;
        double best = 0;
        int[] order = [.. Enumerable.Range(0, scores.Count).OrderByDescending(row => scores[row][label])];
        for (int predicted = 1, hits = 0; predicted <= order.Length; predicted++)
        {
            float score = scores[order[predicted - 1]][label],
                next = predicted < order.Length ? scores[order[predicted]][label] : 0;
            hits += sets[order[predicted - 1]][label] > 0 ? 1 : 0;
            if (predicted < order.Length && next == score)
            {
                continue;
            }

            // Half-way between neighbouring floats may be the lower one, which would be predicted then.
            float middle = (score + next) / 2,
                between = middle > next ? middle : score;
            double f1 = 2.0 * hits / (predicted + there);
            if (f1 > best || (f1 == best && hits > 0 && Math.Abs(between - Usual) < Math.Abs(threshold - Usual)))
            {
                (best, threshold) = (f1, between);
            }
        }

        return threshold;
    }
}
