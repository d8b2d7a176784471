namespace SkillLoc.Evaluators;

/// <summary>How alike two tasks use the neurons of a layer.</summary>
/// <param name="Layer">Zero-based layer.</param>
/// <param name="Spearman">Spearman's correlation of the neurons' predictivity; NaN where one task's are all equal.</param>
/// <param name="Overlap">The share of one task's top neurons that are the other's too; NaN where there are none.</param>
public sealed record LayerSimilarity(int Layer, double Spearman, double Overlap);
