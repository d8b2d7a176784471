namespace SkillLoc.ConnectivityStudy;

/// <summary>Which of a task's training rows an end learns from (methods, C.1).</summary>
public enum TrainingRows
{
    /// <summary>All of them.</summary>
    All,

    /// <summary>The first half, rounded down.</summary>
    FirstHalf,

    /// <summary>The rest.</summary>
    SecondHalf,
}
