namespace SkillLoc.Studies;

/// <summary>How far a worker is with a study.</summary>
public sealed record StudyProgress
{
    /// <summary>The kind of study.</summary>
    public required string Study { get; init; }

    /// <summary>Number of runs that this worker waits for: all, or its shard's with what these need.</summary>
    public required int Runs { get; init; }

    /// <summary>How many of them are done, here or elsewhere.</summary>
    public required int Done { get; init; }

    /// <summary>How many this worker tried in vain.</summary>
    public required int Failed { get; init; }

    /// <summary>How many this worker did since it began.</summary>
    public required int DoneHere { get; init; }

    /// <summary>The run that it is at; null between runs.</summary>
    public string? Run { get; init; }

    /// <summary>How far that run's training is; null before its first step.</summary>
    public RunStep? Step { get; init; }
}

/// <summary>How far the training of a run is.</summary>
/// <param name="Step">The step, counted from 1.</param>
/// <param name="Steps">Number of steps.</param>
/// <param name="Loss">The loss of the step; NaN for none.</param>
public sealed record RunStep(int Step, int Steps, double Loss);
