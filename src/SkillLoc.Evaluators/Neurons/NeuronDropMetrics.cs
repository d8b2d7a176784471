using Microsoft.ML;

namespace SkillLoc.Evaluators;

/// <summary>How a model's accuracy falls when its skill neurons are perturbed, beside random neurons (Wang et al. 2022, section 4).</summary>
public sealed partial record NeuronDropMetrics
{
    /// <summary>Number of labelled rows.</summary>
    public required long Count { get; init; }

    /// <summary>The accuracy of the model as it is.</summary>
    public required double Accuracy { get; init; }

    /// <summary>The seed of random neurons and noise.</summary>
    public required int Seed { get; init; }

    /// <summary>The curve: by method, then range of layers, then fraction.</summary>
    public required IReadOnlyList<NeuronDropPoint> Points { get; init; }

    /// <summary>The points as rows, with the columns Method, LowLayer, HighLayer, Fraction, Neurons, Accuracy, ControlAccuracy and
    /// ControlDeviation.</summary>
    /// <param name="context">The context.</param>
    /// <returns>One row a point.</returns>
    public IDataView ToDataView(MLContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return context.Data.LoadFromEnumerable(Points);
    }
}
