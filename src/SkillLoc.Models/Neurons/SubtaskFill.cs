namespace SkillLoc.Models.Neurons;

/// <summary>Which rankings fill a multi-class set up after the subtasks' top neurons are in it.</summary>
public enum SubtaskFill
{
    /// <summary>All of them in turn, each adding its best neuron that is not in the set yet (methods, B.8).</summary>
    RoundRobin,

    /// <summary>The last subtask's alone, as the paper's code does with its two (methods, B.8).</summary>
    Last,
}
