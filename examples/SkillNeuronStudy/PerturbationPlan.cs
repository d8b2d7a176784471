using SkillLoc.Evaluators;
using SkillLoc.Models.Neurons;

namespace SkillLoc.SkillNeuronStudy;

/// <summary>
/// How neurons are perturbed. The prompt-tuned model is perturbed by every method in all layers, and by the first in each range of layers;
/// the BitFit and adapter models by the first in all layers.
/// </summary>
public sealed record PerturbationPlan
{
    /// <summary>What is done to neurons.</summary>
    public IReadOnlyList<PerturbationKind> Methods { get; init; } =
    [PerturbationKind.Gaussian, PerturbationKind.Zero, PerturbationKind.Mean];

    /// <summary>The shares of each layer's neurons.</summary>
    public IReadOnlyList<double> Fractions { get; init; } = [0.05, 0.1, 0.2, 0.5];

    /// <summary>Ranges of layers.</summary>
    public IReadOnlyList<LayerRange> LayerRanges { get; init; } = [];

    /// <summary>The noise's standard deviation.</summary>
    public double Alpha { get; init; } = 0.1;

    /// <summary>Draws of random neurons for each point.</summary>
    public int Controls { get; init; } = 5;

    /// <summary>At most this many of the test rows.</summary>
    public int Rows { get; init; } = 1000;
}
