using SkillLoc.Models.Classification;
using SkillLoc.Models.Neurons;
using SkillLoc.Transforms;

namespace SkillLoc;

/// <summary>What can be done to a model's neurons, in SkillLoc's catalog.</summary>
public static class SkillLocNeurons
{
    /// <summary>Perturbs feed-forward neurons of a fitted model (Wang et al. 2022, section 4).</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="model">The model; it stays as it is.</param>
    /// <param name="neurons">The neurons that are perturbed.</param>
    /// <param name="kind">What is done to them.</param>
    /// <param name="alpha">The noise's standard deviation.</param>
    /// <param name="means">What they are set to by <see cref="PerturbationKind.Mean"/>.</param>
    /// <param name="lowLayer">The first layer that is perturbed, zero-based.</param>
    /// <param name="highLayer">The layer after the last; null goes to the end.</param>
    /// <param name="seed">Seed of the noise; null takes one of the context's.</param>
    /// <returns>A scoring transformer with the perturbation; the caller disposes it.</returns>
    /// <exception cref="ArgumentException">Something is missing, or of another shape than the model's neurons.</exception>
    public static NeuronPerturbationTransformer PerturbNeurons(
        this SkillLocCatalog catalog, TextScoringTransformer model, NeuronSet neurons, PerturbationKind kind = PerturbationKind.Gaussian,
        double alpha = 0.1, NeuronValues? means = null, int lowLayer = 0, int? highLayer = null, int? seed = null) =>
        catalog.PerturbNeurons(new NeuronPerturbationTransformer.Options
        {
            Model = model,
            Neurons = neurons,
            Kind = kind,
            Alpha = alpha,
            Means = means,
            LowLayer = lowLayer,
            HighLayer = highLayer,
            Seed = seed,
        });

    /// <summary>Perturbs feed-forward neurons of a fitted model (Wang et al. 2022, section 4).</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="options">Everything that can be told.</param>
    /// <returns>A scoring transformer with the perturbation; the caller disposes it.</returns>
    /// <exception cref="ArgumentException">Something is missing, or of another shape than the model's neurons.</exception>
    public static NeuronPerturbationTransformer PerturbNeurons(this SkillLocCatalog catalog, NeuronPerturbationTransformer.Options options)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        return new(catalog.Context, options);
    }

    /// <summary>Cuts neurons out of a fitted model and freezes them at their mean (<see cref="NeuronPruning.Prune"/>).</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="model">The model; it stays as it is.</param>
    /// <param name="keep">The neurons that stay.</param>
    /// <param name="means">Mean activations such as a probe's thresholds.</param>
    /// <param name="lowLayer">The first layer that is pruned, zero-based; the paper's is 3 of 12.</param>
    /// <param name="highLayer">The layer after the last; null goes to the end.</param>
    /// <param name="fraction">The share of a layer's neurons that stay; null keeps what <paramref name="keep"/> says.</param>
    /// <returns>A scoring transformer of the smaller model, which saves as any other; the caller disposes it.</returns>
    /// <exception cref="ArgumentException">A shape does not fit the model, or a layer has too many neurons to keep, or none.</exception>
    public static TextScoringTransformer PruneNeurons(
        this SkillLocCatalog catalog, TextScoringTransformer model, NeuronSet keep, NeuronValues means, int lowLayer = 0, int? highLayer = null,
        double? fraction = null)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(model);
        TextClassifier pruned = NeuronPruning.Prune(model.Classifier, keep, means, lowLayer, highLayer, fraction);
        return new(pruned, model.Columns) { Host = new(catalog.Context, nameof(PruneNeurons)) };
    }
}
