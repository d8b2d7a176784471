using SkillLoc.Models.Grafts;

namespace SkillLoc.Trainers;

/// <summary>The result for one sparsity of a sweep.</summary>
/// <param name="Sparsity">The base patch's share of the considered parameters.</param>
/// <param name="Graft">The graft.</param>
/// <param name="Quality">The grafted model's metrics, on the same rows as for other sparsities.</param>
public sealed record GraftSweepPoint(double Sparsity, Graft Graft, GraftQuality Quality);
