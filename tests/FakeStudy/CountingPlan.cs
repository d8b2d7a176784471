namespace SkillLoc.FakeStudy;

public sealed record CountingPlan
{
    public string? Study { get; init; }

    public int Runs { get; init; } = 3;

    /// <summary>Steps of a run, each of which is in its state before the next begins.</summary>
    public int Steps { get; init; } = 2;

    public int MillisecondsPerStep { get; init; }

    /// <summary>Places of runs that fail.</summary>
    public IReadOnlyList<int> Failing { get; init; } = [];

    /// <summary>Whether steps end only when they end, as native code does.</summary>
    public bool IsStubborn { get; init; }

    /// <summary>Whether a last run adds up what the others counted, from their files, which are temporary.</summary>
    public bool HasSum { get; init; }

    /// <summary>Whether runs keep a time.</summary>
    public bool IsTimed { get; init; }

    public int Seed { get; init; }
}
