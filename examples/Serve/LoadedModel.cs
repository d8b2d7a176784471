namespace SkillLoc.Serve;

/// <summary>A model in memory with its skills: one, or several that share a base.</summary>
/// <param name="Name">Its name in logs and metrics.</param>
/// <param name="Scorer">What scores.</param>
/// <param name="Skills">Its skills.</param>
public sealed record LoadedModel(string Name, SkillScorer Scorer, IReadOnlyList<SkillDescription> Skills);
