namespace SkillLoc.Evaluators;

/// <summary>The evaluation of a model on a data set.</summary>
/// <param name="Loss">The mean loss, in nats.</param>
/// <param name="Metric">The task's metric.</param>
/// <param name="Scores">The score of each row, from 0 to 1 (correct); empty for tasks without.</param>
/// <param name="Predictions">An id of each row's prediction, equal for equal predictions; empty for regressions.</param>
/// <param name="Calibration">The calibration; null without probabilities.</param>
internal sealed record RowsJudgement(double Loss, double Metric, float[] Scores, int[] Predictions, CalibrationMetrics? Calibration)
{
    /// <summary>Returns the share of rows with the same prediction as another model; NaN without predictions.</summary>
    public double Agreement(RowsJudgement other) => Predictions.Length == 0
        ? double.NaN
        : Predictions.Zip(other.Predictions).Count(pair => pair.First == pair.Second) / (double)Predictions.Length;

    /// <summary>Returns the number of rows that are correct here but not before.</summary>
    public long Learnt(RowsJudgement before) => Scores.Zip(before.Scores).LongCount(pair => pair.First == 1 && pair.Second != 1);
}
