namespace SkillLoc.Models.Neurons;

/// <summary>How a neuron's predictivity in several runs becomes one number (decision 14).</summary>
public enum RunAggregation
{
    /// <summary>The mean over the runs.</summary>
    Mean,

    /// <summary>The lowest of the runs.</summary>
    Minimum,
}
