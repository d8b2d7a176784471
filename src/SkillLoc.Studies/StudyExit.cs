namespace SkillLoc.Studies;

/// <summary>What a worker's exit code says to a scheduler.</summary>
public enum StudyExit
{
    /// <summary>All runs that were asked for are done.</summary>
    Done = 0,

    /// <summary>A run failed; others went on. It is tried again by the next worker that starts.</summary>
    RunFailed = 1,

    /// <summary>The plan or its data is wrong: the same command will fail again.</summary>
    BadPlan = 2,

    /// <summary>Stopped by a signal with its state saved: the same command goes on (EX_TEMPFAIL).</summary>
    Stopped = StopSignals.ExitCode,
}
