namespace SkillLoc.Models.Neurons;

/// <summary>How a multi-class set is filled up beyond the top neurons of its subtasks.</summary>
public enum SubtaskFill
{
    /// <summary>Subtasks take turns; each adds its best neuron that is not in the set yet (methods, B.8).</summary>
    RoundRobin,

    /// <summary>From the last subtask only, as the paper's code does for two subtasks (methods, B.8).</summary>
    Last,
}
