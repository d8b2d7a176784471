namespace SkillLoc.ConnectivityStudy;

/// <summary>Paths between ends that differ in one respect.</summary>
public sealed record ExperimentPlan
{
    /// <summary>What <c>--only</c>, the tables and the folders call it.</summary>
    public required string Name { get; init; }

    /// <summary>The question, in a sentence that the report prints.</summary>
    public string Question { get; init; } = "";

    /// <summary>The names of the methods that ends are tuned by.</summary>
    public required IReadOnlyList<string> Methods { get; init; }

    /// <summary>What all ends of the experiment have in common.</summary>
    public EndPlan Both { get; init; } = new();

    /// <summary>The pairs; there may be none where there are planes.</summary>
    public required IReadOnlyList<PairPlan> Pairs { get; init; }

    /// <summary>Planes through three ends, on the plan's checkpoint or the ends' own.</summary>
    public IReadOnlyList<PlanePlan> Planes { get; init; } = [];

    /// <summary>Pre-training steps of bases, on each of which all pairs are made; none takes the plan's checkpoint.</summary>
    public IReadOnlyList<int> Bases { get; init; } = [];

    /// <summary>Points of a path; null takes the plan's number.</summary>
    public int? Points { get; init; }

    /// <summary>Whether the first end's training rows are followed along the path too (methods, C.6).</summary>
    public bool Knowledge { get; init; }
}
