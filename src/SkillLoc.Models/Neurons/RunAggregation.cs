namespace SkillLoc.Models.Neurons;

/// <summary>How a neuron's predictivity in several runs becomes one number (methods, B.8).</summary>
public enum RunAggregation
{
    /// <summary>The mean over the runs.</summary>
    Mean,

    /// <summary>The lowest of the runs.</summary>
    Minimum,
}
