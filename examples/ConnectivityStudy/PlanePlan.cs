namespace SkillLoc.ConnectivityStudy;

/// <summary>The plane through three ends of an experiment.</summary>
public sealed record PlanePlan
{
    /// <summary>What the report calls it.</summary>
    public required string Name { get; init; }

    /// <summary>The three ends.</summary>
    public required IReadOnlyList<EndPlan> Ends { get; init; }

    /// <summary>Places along each axis.</summary>
    public int Points { get; init; } = 11;

    /// <summary>How far it goes beyond the ends on each side, as a share of their extent.</summary>
    public double Margin { get; init; } = 0.25;
}
