namespace SkillLoc.Evaluators;

/// <summary>What one model makes of a set's rows.</summary>
/// <param name="Loss">The mean loss, in nats.</param>
/// <param name="Metric">The task's metric.</param>
/// <param name="Scores">Each row's score from 0 to 1, of which 1 is right; empty where the task gives none.</param>
/// <param name="Predictions">For each row the number of what is predicted, the same for the same prediction; empty where a task predicts
/// scores.</param>
/// <param name="Calibration">How well the probabilities match what comes true; null where there are none.</param>
internal sealed record RowsJudgement(double Loss, double Metric, float[] Scores, int[] Predictions, CalibrationMetrics? Calibration)
{
    /// <summary>The share of rows of which another model predicts the same; NaN without predictions.</summary>
    public double Agreement(RowsJudgement other) => Predictions.Length == 0
        ? double.NaN
        : Predictions.Zip(other.Predictions).Count(pair => pair.First == pair.Second) / (double)Predictions.Length;

    /// <summary>The number of rows that are right here and were not before.</summary>
    public long Learnt(RowsJudgement before) => Scores.Zip(before.Scores).LongCount(pair => pair.First == 1 && pair.Second != 1);
}
