namespace SkillLoc.Evaluators;

/// <summary>The similarity of two tasks by the neurons of a layer.</summary>
/// <param name="Layer">Zero-based layer.</param>
/// <param name="Spearman">Spearman's correlation of the neurons' predictivity; NaN if those of a task are all equal.</param>
/// <param name="Overlap">The share of top neurons that both tasks have in common; NaN if there are none.</param>
public sealed record LayerSimilarity(int Layer, double Spearman, double Overlap);
