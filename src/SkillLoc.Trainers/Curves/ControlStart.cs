namespace SkillLoc.Trainers;

/// <summary>Where the control points of a tuning method's parameters start; all others start at the midpoint of the ends.</summary>
public enum ControlStart
{
    /// <summary>Each is drawn as the method draws its parameters at the start of training, such as LoRA's A uniformly and its B as zeros,
    /// as C.8 has it.</summary>
    Drawn,

    /// <summary>At the midpoint of the ends.</summary>
    Midpoint,
}
