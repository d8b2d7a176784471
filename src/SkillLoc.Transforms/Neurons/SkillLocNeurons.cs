using SkillLoc.Models.Classification;
using SkillLoc.Models.Neurons;
using SkillLoc.Transforms;

namespace SkillLoc;

/// <summary>Catalog methods that perturb and prune neurons.</summary>
public static class SkillLocNeurons
{
    /// <summary>Perturbs feed-forward neurons of a fitted model (Wang et al. 2022, section 4).</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="model">The model, which is not changed.</param>
    /// <param name="neurons">The neurons to perturb.</param>
    /// <param name="kind">The kind of perturbation.</param>
    /// <param name="alpha">Standard deviation of the noise, 0 or more; 0.1 by default.</param>
    /// <param name="means">The values for <see cref="PerturbationKind.Mean"/>.</param>
    /// <param name="lowLayer">The first perturbed layer, zero-based.</param>
    /// <param name="highLayer">The layer after the last; null for the end.</param>
    /// <param name="seed">Seed of the noise; null draws one from the context.</param>
    /// <returns>A scoring transformer with the perturbation; the caller disposes it.</returns>
    /// <exception cref="ArgumentException">An argument is missing, or its shape differs from the model's neurons.</exception>
    public static NeuronPerturbationTransformer PerturbNeurons(
        this NeuronCatalog catalog, TextScoringTransformer model, NeuronSet neurons, PerturbationKind kind = PerturbationKind.Gaussian,
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
    /// <param name="options">The options.</param>
    /// <returns>A scoring transformer with the perturbation; the caller disposes it.</returns>
    /// <exception cref="ArgumentException">An argument is missing, or its shape differs from the model's neurons.</exception>
    public static NeuronPerturbationTransformer PerturbNeurons(this NeuronCatalog catalog, NeuronPerturbationTransformer.Options options)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        return new(catalog.Context, options);
    }

    /// <summary>Removes neurons from a fitted model and freezes them at their mean (<see cref="NeuronPruning.Prune"/>).</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="model">The model, which is not changed.</param>
    /// <param name="keep">The neurons to keep.</param>
    /// <param name="means">Mean activations such as a probe's thresholds.</param>
    /// <param name="lowLayer">The first pruned layer, zero-based; the paper uses 3 of 12.</param>
    /// <param name="highLayer">The layer after the last; null for the end.</param>
    /// <param name="fraction">The share of each layer's neurons to keep; null keeps exactly <paramref name="keep"/>.</param>
    /// <returns>A scoring transformer with the smaller model; the caller disposes it.</returns>
    /// <exception cref="ArgumentException">A shape does not fit the model, or a layer keeps too many neurons or none.</exception>
    public static TextScoringTransformer PruneNeurons(
        this NeuronCatalog catalog, TextScoringTransformer model, NeuronSet keep, NeuronValues means, int lowLayer = 0, int? highLayer = null,
        double? fraction = null)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(model);
        TextClassifier pruned = NeuronPruning.Prune(model.Classifier, keep, means, lowLayer, highLayer, fraction);
        return new(pruned, model.Columns) { Host = new(catalog.Context, nameof(PruneNeurons)) };
    }
}
