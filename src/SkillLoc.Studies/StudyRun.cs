namespace SkillLoc.Studies;

/// <summary>One unit of work.</summary>
/// <param name="Name">What people call it; each name once in a study.</param>
/// <param name="Settings">Everything that its result depends on, written as JSON: settings, and hashes of data and base.</param>
/// <param name="Execute">Measures. What it returns is written as JSON, and must be the same whenever the settings are: wall times belong
/// to <see cref="RunContext.Time"/>.</param>
public sealed record StudyRun(string Name, object Settings, Func<RunContext, object> Execute)
{
    /// <summary>The seed, for the log; null where several or none are used.</summary>
    public int? Seed { get; init; }

    /// <summary>Names of runs that must be done before, whose results and files this one reads. They stand before it in the list.</summary>
    public IReadOnlyList<string> After { get; init; } = [];

    /// <summary>Whether its files are removed once all runs that read them are done.</summary>
    public bool HasTemporaryFiles { get; init; }
}
