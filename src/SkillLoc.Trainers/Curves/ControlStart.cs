namespace SkillLoc.Trainers;

/// <summary>Where the control points of a tuning method's parameters start; all others start at the midpoint of the ends.</summary>
public enum ControlStart
{
    /// <summary>Each is drawn as the method draws its parameters at the start of training, such as LoRA's A uniformly and its B as zeros
    /// (methods, C.8; of adapters it draws both projections, which <c>AdapterOptions.InitialUpDeviation</c> does).</summary>
    Drawn,

    /// <summary>At the midpoint of the ends.</summary>
    Midpoint,
}
