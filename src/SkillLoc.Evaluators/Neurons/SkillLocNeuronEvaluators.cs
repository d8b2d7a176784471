using Microsoft.ML;
using SkillLoc.Evaluators;
using SkillLoc.Models.Neurons;
using SkillLoc.Transforms;

namespace SkillLoc;

/// <summary>Catalog methods that evaluate skill neurons.</summary>
public static class SkillLocNeuronEvaluators
{
    /// <summary>Measures the drop of a model's accuracy when skill neurons are perturbed, compared with random neurons.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="data">Labelled rows that were not used for training or probing.</param>
    /// <param name="options">The options.</param>
    /// <returns>The curve.</returns>
    /// <exception cref="ArgumentException">An option is missing, a label is not one of the model's, or the shapes of probe and model
    /// differ.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing or of another type, a fraction is outside [0, 1], or layers are
    /// outside the model.</exception>
    /// <exception cref="InvalidOperationException">There are no labelled rows, or one cannot be encoded.</exception>
    public static NeuronDropMetrics EvaluateNeuronDrop(this NeuronCatalog catalog, IDataView data, NeuronDropMetrics.Options options)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(data);
        ArgumentNullException.ThrowIfNull(options);
        options.Check();
        using var curve = new NeuronDropCurve(catalog.Context, data, options);
        return curve.Measure();
    }

    /// <summary>Measures the similarity of two tasks by their neurons.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="first">Margins or predictivity of one task, <c>[layers, neurons]</c>.</param>
    /// <param name="second">Those of the other task, of the same shape.</param>
    /// <param name="fraction">The share of each layer's neurons for the overlap, in [0, 1].</param>
    /// <returns>Correlations and overlaps by layer.</returns>
    /// <exception cref="ArgumentException">The shapes differ, or the fraction is outside [0, 1].</exception>
    public static NeuronSimilarityMetrics EvaluateNeuronSimilarity(
        this NeuronCatalog catalog,
        NeuronValues first,
        NeuronValues second,
        double fraction = 0.2
    )
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(first);
        ArgumentNullException.ThrowIfNull(second);
        return NeuronSimilarityMetrics.Of(first, second, fraction);
    }

    /// <summary>Computes the transfer indicator of two soft prompts from activations alone.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="first">A model with a soft prompt.</param>
    /// <param name="second">The same backbone with another soft prompt.</param>
    /// <param name="skill">The skill neurons of the target task.</param>
    /// <returns>Overlaps of active neurons.</returns>
    /// <exception cref="ArgumentException">A model has no soft prompt, or shapes differ.</exception>
    public static TransferIndicator EvaluateTransfer(
        this NeuronCatalog catalog,
        TextScoringTransformer first,
        TextScoringTransformer second,
        NeuronSet skill
    )
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(first);
        ArgumentNullException.ThrowIfNull(second);
        ArgumentNullException.ThrowIfNull(skill);
        return TransferIndicator.Of(first.Classifier, second.Classifier, skill);
    }
}
