namespace SkillLoc.ConnectivityStudy;

/// <summary>The two ends of a path.</summary>
public sealed record PairPlan
{
    /// <summary>What the tables call it.</summary>
    public required string Name { get; init; }

    /// <summary>The end at 0.</summary>
    public EndPlan First { get; init; } = new();

    /// <summary>The end at 1.</summary>
    public EndPlan Second { get; init; } = new();
}
