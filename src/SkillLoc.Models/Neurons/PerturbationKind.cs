namespace SkillLoc.Models.Neurons;

/// <summary>What is done to the activations of neurons (methods, B.9).</summary>
public enum PerturbationKind
{
    /// <summary>Noise is added: alpha times a standard normal, one draw a row and neuron, the same at every position.</summary>
    Gaussian,

    /// <summary>They become 0.</summary>
    Zero,

    /// <summary>They become their mean, such as a probe's thresholds.</summary>
    Mean,
}
