namespace SkillLoc.ConnectivityStudy;

/// <summary>What a line's run measured.</summary>
internal sealed record LineResult(IReadOnlyList<PathResult> Paths, ForgettingResult? Forgetting);
