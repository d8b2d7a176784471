namespace SkillLoc.Trainers;

/// <summary>How a task is scored in continual learning.</summary>
public enum ContinualMethod
{
    /// <summary>The base with all grafts learnt so far, including those of later tasks: one model for all tasks.</summary>
    AllGrafts,

    /// <summary>
    /// The base with the grafts of the tasks up to this one, in which this task was learnt. Later tasks do not change it.
    /// </summary>
    OwnGrafts,

    /// <summary>Plain sequential fine-tuning, task after task in one model: the baseline.</summary>
    Sequential,
}
