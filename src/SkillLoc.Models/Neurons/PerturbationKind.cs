namespace SkillLoc.Models.Neurons;

/// <summary>How the activations of neurons are perturbed (methods, B.9).</summary>
public enum PerturbationKind
{
    /// <summary>Adds alpha N(0, 1), one draw per row and neuron, the same at every position.</summary>
    Gaussian,

    /// <summary>Sets them to 0.</summary>
    Zero,

    /// <summary>Sets them to their mean, such as the thresholds of a probe.</summary>
    Mean,
}
