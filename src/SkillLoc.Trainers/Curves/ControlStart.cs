namespace SkillLoc.Trainers;

/// <summary>The initialisation of control points for the parameters of tuning methods; those of other parameters start at the midpoint of
/// the endpoints.</summary>
public enum ControlStart
{
    /// <summary>Drawn like the method's initial parameters, such as a uniform A and a zero B in LoRA (methods, C.8; for adapters, the paper
    /// draws both projections: set <c>AdapterOptions.InitialUpDeviation</c>).</summary>
    Drawn,

    /// <summary>At the midpoint of the endpoints.</summary>
    Midpoint,
}
