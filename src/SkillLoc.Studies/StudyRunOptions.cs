namespace SkillLoc.Studies;

/// <summary>How a worker works.</summary>
/// <param name="Folder">The study's folder, which any number of workers may share.</param>
public sealed record StudyRunOptions(string Folder)
{
    /// <summary>Which runs are its own; the default is all.</summary>
    public StudyShard Shard { get; init; } = StudyShard.Whole;

    /// <summary>Whether results of other versions and commits are taken; otherwise they are refused.</summary>
    public bool Mix { get; init; }

    /// <summary>How often a worker shows that it lives; 5 seconds.</summary>
    public TimeSpan Heartbeat { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>A worker that showed nothing for as long is taken for dead; 60 seconds. One that died on the same machine is noticed at
    /// once.</summary>
    public TimeSpan Silence { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Which program measures; null takes that of the study's assembly.</summary>
    public StudyBuild? Build { get; init; }

    /// <summary>The device, for the log; "cpu".</summary>
    public string Device { get; init; } = "cpu";

    /// <summary>Where one JSON line a run goes, beside the study's log.</summary>
    public TextWriter Lines { get; init; } = Console.Out;

    /// <summary>Where messages for people go.</summary>
    public TextWriter Messages { get; init; } = Console.Error;

    /// <summary>Hears how far the worker is, on its thread; null for nobody.</summary>
    public IProgress<StudyProgress>? Progress { get; init; }

    /// <summary>Stops the worker; the run's state is kept.</summary>
    public CancellationToken CancellationToken { get; init; }
}
