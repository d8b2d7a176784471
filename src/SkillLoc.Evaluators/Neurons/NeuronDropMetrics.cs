using Microsoft.ML;

namespace SkillLoc.Evaluators;

/// <summary>The drop of a model's accuracy when skill neurons are perturbed, compared with random neurons (Wang et al. 2022, section
/// 4).</summary>
public sealed partial record NeuronDropMetrics
{
    /// <summary>Number of labelled rows.</summary>
    public required long Count { get; init; }

    /// <summary>The accuracy of the unperturbed model.</summary>
    public required double Accuracy { get; init; }

    /// <summary>The seed of random neurons and noise.</summary>
    public required int Seed { get; init; }

    /// <summary>The points of the curve, ordered by method, range of layers and fraction.</summary>
    public required IReadOnlyList<NeuronDropPoint> Points { get; init; }

    /// <summary>The points as rows, with the columns Method, LowLayer, HighLayer, Fraction, Neurons, Accuracy, ControlAccuracy and
    /// ControlDeviation.</summary>
    /// <param name="context">The context.</param>
    /// <returns>One row per point.</returns>
    public IDataView ToDataView(MLContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return context.Data.LoadFromEnumerable(Points);
    }
}
