namespace SkillLoc.SkillNeuronStudy;

/// <summary>How models are pruned.</summary>
public sealed record PruningPlan
{
    /// <summary>The share of a layer's neurons that stay.</summary>
    public double Fraction { get; init; } = 0.02;

    /// <summary>The first layer that is pruned, zero-based; the paper's is 3 of 12.</summary>
    public int LowLayer { get; init; } = 3;

    /// <summary>How often the test rows are scored for the time, of which the shortest counts.</summary>
    public int Repetitions { get; init; } = 3;
}
