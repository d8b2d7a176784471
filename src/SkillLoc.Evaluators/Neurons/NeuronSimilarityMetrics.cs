using Microsoft.ML;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Neurons;

namespace SkillLoc.Evaluators;

/// <summary>The similarity of two tasks by a model's neurons (Wang et al. 2022, section 4; methods, B.11).</summary>
public sealed record NeuronSimilarityMetrics
{
    /// <summary>Spearman's correlation of the neurons' predictivity, averaged over layers.</summary>
    public required double Spearman { get; init; }

    /// <summary>The share of top neurons that both tasks have in common, over all layers; NaN if there are none.</summary>
    public required double Overlap { get; init; }

    /// <summary>The similarity of each layer.</summary>
    public required IReadOnlyList<LayerSimilarity> Layers { get; init; }

    /// <summary>The layers as rows, with the columns Layer, Spearman and Overlap.</summary>
    /// <param name="context">The context.</param>
    /// <returns>One row per layer.</returns>
    public IDataView ToDataView(MLContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return context.Data.LoadFromEnumerable(Layers);
    }

    internal static NeuronSimilarityMetrics Of(NeuronValues first, NeuronValues second, double fraction)
    {
        if (!first.Shape.SequenceEqual(second.Shape) || first.Slots is not null)
        {
            throw new ArgumentException(
                $"Tasks are compared by values [layers, neurons] of one shape, and found are [{string.Join(", ", first.Shape)}] and "
                    + $"[{string.Join(", ", second.Shape)}].",
                nameof(second)
            );
        }

        NeuronSet ones = SkillNeurons.Select(first, fraction),
            others = SkillNeurons.Select(second, fraction);
        int[] shared = [.. Enumerable.Range(0, first.Layers).Select(layer => ones.Indices(layer).Intersect(others.Indices(layer)).Count())];
        LayerSimilarity[] layers =
        [
            .. shared.Select(
                (count, layer) =>
                    new LayerSimilarity(
                        layer,
                        Correlation.Spearman(first.Of(layer), second.Of(layer)),
                        (double)count / ones.Indices(layer).Length
                    )
            ),
        ];
        return new()
        {
            Spearman = layers.Average(layer => layer.Spearman),
            Overlap = (double)shared.Sum() / ones.Count,
            Layers = layers,
        };
    }
}

/// <summary>The similarity of two tasks by the neurons of a layer.</summary>
/// <param name="Layer">Zero-based layer.</param>
/// <param name="Spearman">Spearman's correlation of the neurons' predictivity; NaN if those of a task are all equal.</param>
/// <param name="Overlap">The share of top neurons that both tasks have in common; NaN if there are none.</param>
public sealed record LayerSimilarity(int Layer, double Spearman, double Overlap);
