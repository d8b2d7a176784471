using SkillLoc.Models.Connectivity;

namespace SkillLoc.ConnectivityStudy;

/// <summary>Mixtures of the ends whose lines have the highest barriers, with trained weights for groups of parameters (methods, C.8,
/// "weight find").</summary>
public sealed record MixturePlan
{
    /// <summary>For how many of each method's lines, those with the highest loss barriers; 0 for none.</summary>
    public int Lines { get; init; }

    /// <summary>Which parameters share a weight; each of these is tried.</summary>
    public IReadOnlyList<MixtureGranularity> Granularities { get; init; } =
    [MixtureGranularity.Block, MixtureGranularity.Layer, MixtureGranularity.Weight];

    /// <summary>Updates.</summary>
    public int Steps { get; init; } = 100;

    /// <summary>Rows of an update.</summary>
    public int BatchSize { get; init; } = 8;

    /// <summary>The learning rate.</summary>
    public double LearningRate { get; init; } = 0.1;

    /// <summary>The standard deviation that weights are drawn with; the paper's is 10, for many more updates, and 0 starts at equal
    /// shares.</summary>
    public double InitialDeviation { get; init; } = 10;

    /// <summary>Updates between evaluations on development rows.</summary>
    public int EvaluationInterval { get; init; } = 50;

    /// <summary>Seed of the weights and the order of rows.</summary>
    public int Seed { get; init; } = 1;
}
