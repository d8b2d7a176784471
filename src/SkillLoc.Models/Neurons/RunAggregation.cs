namespace SkillLoc.Models.Neurons;

/// <summary>How the predictivity of a neuron is aggregated over runs (methods, B.8).</summary>
public enum RunAggregation
{
    /// <summary>The mean over the runs.</summary>
    Mean,

    /// <summary>The minimum over the runs.</summary>
    Minimum,
}
