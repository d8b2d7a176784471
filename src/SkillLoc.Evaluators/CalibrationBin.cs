namespace SkillLoc.Evaluators;

/// <summary>One bar of a reliability diagram: the rows whose confidence lies in (<paramref name="Lower"/>, <paramref name="Upper"/>].</summary>
/// <param name="Lower">The lower bound, exclusive.</param>
/// <param name="Upper">The upper bound, inclusive.</param>
/// <param name="Count">Number of rows.</param>
/// <param name="MeanConfidence">Their mean confidence; NaN when there are none.</param>
/// <param name="Accuracy">The share that is predicted right; NaN when there are none.</param>
public sealed record CalibrationBin(double Lower, double Upper, long Count, double MeanConfidence, double Accuracy)
{
    /// <summary>How far accuracy and confidence are apart; 0 when there are no rows.</summary>
    internal double Gap => Count == 0 ? 0 : Math.Abs(Accuracy - MeanConfidence);
}
