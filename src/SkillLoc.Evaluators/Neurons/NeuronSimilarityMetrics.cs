using Microsoft.ML;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Neurons;

namespace SkillLoc.Evaluators;

/// <summary>How alike two tasks use a model's neurons (Wang et al. 2022, section 4; methods, B.11).</summary>
public sealed record NeuronSimilarityMetrics
{
    /// <summary>Spearman's correlation of the neurons' predictivity, the mean over the layers.</summary>
    public required double Spearman { get; init; }

    /// <summary>The share of one task's top neurons that are the other's too, over all layers; NaN where there are none.</summary>
    public required double Overlap { get; init; }

    /// <summary>The same layer by layer, from the first.</summary>
    public required IReadOnlyList<LayerSimilarity> Layers { get; init; }

    /// <summary>The layers as rows, with the columns Layer, Spearman and Overlap.</summary>
    /// <param name="context">The context.</param>
    /// <returns>One row a layer.</returns>
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
                nameof(second));
        }

        NeuronSet ones = SkillNeurons.Select(first, fraction), others = SkillNeurons.Select(second, fraction);
        int[] shared = [.. Enumerable.Range(0, first.Layers).Select(layer => ones.Indices(layer).Intersect(others.Indices(layer)).Count())];
        LayerSimilarity[] layers =
        [
            .. shared.Select((count, layer) => new LayerSimilarity(
                layer, Correlation.Spearman(first.Of(layer), second.Of(layer)), (double)count / ones.Indices(layer).Length)),
        ];
        return new()
        {
            Spearman = layers.Average(layer => layer.Spearman),
            Overlap = (double)shared.Sum() / ones.Count,
            Layers = layers,
        };
    }
}
