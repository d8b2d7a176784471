using Microsoft.ML;
using SkillLoc.Evaluators;
using SkillLoc.Models.Neurons;
using SkillLoc.Transforms;

namespace SkillLoc;

/// <summary>Evaluators of skill neurons in SkillLoc's catalog.</summary>
public static class SkillLocNeuronEvaluators
{
    /// <summary>Measures how a model's accuracy falls when its skill neurons are perturbed, beside as many random neurons.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="data">Labelled rows that were not trained or probed on.</param>
    /// <param name="options">The model, its probe, and what is to be measured.</param>
    /// <returns>The curve.</returns>
    /// <exception cref="ArgumentException">An option is missing, a label is none of the model's, or the probe is of another shape than
    /// the model.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing or of another type, a fraction is outside [0, 1], or layers do
    /// not lie in the model.</exception>
    /// <exception cref="InvalidOperationException">There are no labelled rows, or one cannot be encoded.</exception>
    public static NeuronDropMetrics EvaluateNeuronDrop(this SkillLocCatalog catalog, IDataView data, NeuronDropMetrics.Options options)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(data);
        ArgumentNullException.ThrowIfNull(options);
        options.Check();
        using var curve = new NeuronDropCurve(catalog.Context, data, options);
        return curve.Measure();
    }

    /// <summary>Compares which neurons two tasks use.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="first">One task's margins or predictivity, <c>[layers, neurons]</c>.</param>
    /// <param name="second">The other's, of the same shape.</param>
    /// <param name="fraction">The share of each layer's neurons whose overlap is counted.</param>
    /// <returns>Correlations and overlaps by layer.</returns>
    /// <exception cref="ArgumentException">The shapes differ, or the fraction is outside [0, 1].</exception>
    public static NeuronSimilarityMetrics EvaluateNeuronSimilarity(
        this SkillLocCatalog catalog, NeuronValues first, NeuronValues second, double fraction = 0.2)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(first);
        ArgumentNullException.ThrowIfNull(second);
        return NeuronSimilarityMetrics.Of(first, second, fraction);
    }

    /// <summary>Tells from activations alone whether one model's soft prompt may serve the other's task.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="first">A model with a soft prompt.</param>
    /// <param name="second">The same backbone with another soft prompt.</param>
    /// <param name="skill">The skill neurons of the task in question.</param>
    /// <returns>Overlaps of active neurons.</returns>
    /// <exception cref="ArgumentException">A model has no soft prompt, or shapes differ.</exception>
    public static TransferIndicator EvaluateTransfer(
        this SkillLocCatalog catalog, TextScoringTransformer first, TextScoringTransformer second, NeuronSet skill)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(first);
        ArgumentNullException.ThrowIfNull(second);
        ArgumentNullException.ThrowIfNull(skill);
        return TransferIndicator.Of(first.Classifier, second.Classifier, skill);
    }
}
