namespace SkillLoc.Reports;

/// <summary>A point of a <see cref="FaithfulnessCurve"/>.</summary>
/// <param name="Share">The part's share of the model, above 0 and up to 1.</param>
/// <param name="Value">The share of the skill that it carries: 0 for none, 1 for all.</param>
/// <param name="Low">The lower end of an interval; NaN for none.</param>
/// <param name="High">The upper end.</param>
public sealed record FaithfulnessPoint(double Share, double Value, double Low = double.NaN, double High = double.NaN);
