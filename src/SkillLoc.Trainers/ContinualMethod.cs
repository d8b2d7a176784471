namespace SkillLoc.Trainers;

/// <summary>How a task of a sequence is scored.</summary>
public enum ContinualMethod
{
    /// <summary>The base with all grafts learnt so far, those of later tasks included: one model for every task.</summary>
    AllGrafts,

    /// <summary>
    /// The base with the grafts of the tasks up to this one, which is what this one's graft was learnt with. Later tasks cannot change it.
    /// </summary>
    OwnGrafts,

    /// <summary>Plain sequential fine-tuning, task after task in one model: the baseline.</summary>
    Sequential,
}
