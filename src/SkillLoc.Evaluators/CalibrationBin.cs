namespace SkillLoc.Evaluators;

/// <summary>A bin of a reliability diagram: the rows whose confidence lies in (<paramref name="Lower"/>,
/// <paramref name="Upper"/>].</summary>
/// <param name="Lower">The lower bound, exclusive.</param>
/// <param name="Upper">The upper bound, inclusive.</param>
/// <param name="Count">Number of rows.</param>
/// <param name="MeanConfidence">Their mean confidence; NaN for an empty bin.</param>
/// <param name="Accuracy">The share of correct predictions; NaN for an empty bin.</param>
public sealed record CalibrationBin(double Lower, double Upper, long Count, double MeanConfidence, double Accuracy)
{
    /// <summary>|accuracy - confidence|; 0 for an empty bin.</summary>
    internal double Gap => Count == 0 ? 0 : Math.Abs(Accuracy - MeanConfidence);
}
