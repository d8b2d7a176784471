namespace SkillLoc.ConnectivityStudy;

/// <summary>Which of a task's training rows an end learns from (C.1, datasplit).</summary>
public enum TrainingRows
{
    /// <summary>All of them.</summary>
    All,

    /// <summary>The first half, rounded down.</summary>
    FirstHalf,

    /// <summary>The rest.</summary>
    SecondHalf,
}
