using SkillLoc.Models.Explanations;
using SkillLoc.Models.Neurons;
using SkillLoc.Transforms;

namespace SkillLoc;

/// <summary>Explaining a model's outputs, in SkillLoc's catalog.</summary>
public static class SkillLocExplanations
{
    /// <summary>
    /// Explains a fitted model's outputs by the tokens of the texts, with integrated gradients or occlusion, and, where asked for, by a
    /// graft's coordinates and by neurons.
    /// </summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="model">The model, which is not changed.</param>
    /// <param name="label">The label to explain; null for each row's most probable one.</param>
    /// <param name="method">How tokens get their scores.</param>
    /// <param name="baseline">What tokens are compared with.</param>
    /// <param name="steps">Number of nodes of the numerical integral, 1 to 1000.</param>
    /// <param name="coordinates">How many coordinates are named for a row, where the model is a graft; 0 leaves them out.</param>
    /// <param name="neurons">Feed-forward neurons to explain; null for none.</param>
    /// <param name="neuronMeans">What neurons are compared with, such as a probe's thresholds; null for zeros.</param>
    /// <returns>The transformer; the caller disposes it.</returns>
    /// <exception cref="ArgumentException">An argument does not fit the model, or the vocabulary lacks the baseline's token.</exception>
    public static TextExplanationTransformer ExplainText(
        this SkillLocCatalog catalog,
        TextScoringTransformer model,
        string? label = null,
        AttributionMethod method = AttributionMethod.IntegratedGradients,
        AttributionBaseline baseline = AttributionBaseline.Padding,
        int steps = 32,
        int coordinates = 0,
        NeuronSet? neurons = null,
        NeuronValues? neuronMeans = null
    ) =>
        catalog.ExplainText(
            new TextExplanationTransformer.Options
            {
                Model = model,
                Label = label,
                Method = method,
                Baseline = baseline,
                Steps = steps,
                Coordinates = coordinates,
                Neurons = neurons,
                NeuronMeans = neuronMeans,
            }
        );

    /// <summary>Explains a fitted model's outputs by tokens, a graft's coordinates, and neurons.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="options">The options.</param>
    /// <returns>The transformer; the caller disposes it.</returns>
    /// <exception cref="ArgumentException">An option is missing or does not fit the model, or the vocabulary lacks the baseline's
    /// token.</exception>
    public static TextExplanationTransformer ExplainText(this SkillLocCatalog catalog, TextExplanationTransformer.Options options)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        return new(options) { Host = new(catalog.Context, nameof(ExplainText)) };
    }
}
