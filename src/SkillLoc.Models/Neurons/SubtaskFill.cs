namespace SkillLoc.Models.Neurons;

/// <summary>Which rankings fill a multi-class set up after the subtasks' top neurons are in it.</summary>
public enum SubtaskFill
{
    /// <summary>All of them in turn, each adding its best neuron that is not in the set yet (decision 11).</summary>
    RoundRobin,

    /// <summary>The last subtask's alone, as the reference does with its two (skill neurons, B.8, step 6).</summary>
    Last,
}
