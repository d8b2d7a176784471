using SkillLoc.Models.Classification;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Neurons;

namespace SkillLoc.Models.Explanations;

/// <summary>What <see cref="TextExplainer"/> explains, and how.</summary>
public sealed record ExplanationSettings
{
    /// <summary>The label to explain; null (default) for each row's most probable one.</summary>
    public string? Label { get; init; }

    /// <summary>How tokens get their scores; integrated gradients by default.</summary>
    public AttributionMethod Method { get; init; }

    /// <summary>What tokens are compared with; the padding token by default.</summary>
    public AttributionBaseline Baseline { get; init; }

    /// <summary>Number of nodes of the numerical integral, 1 to 1000; 32 by default. Each is a pass forwards and backwards.</summary>
    public int Steps { get; init; } = 32;

    /// <summary>A graft whose coordinates are explained; null for none. The classifier has it applied.</summary>
    public Graft? Graft { get; init; }

    /// <summary>With a graft: the classifier without it, but with its head. It is read by the constructor only.</summary>
    public TextClassifier? WithoutGraft { get; init; }

    /// <summary>How many of the graft's coordinates are named for a row; 10 by default.</summary>
    public int MostCoordinates { get; init; } = 10;

    /// <summary>Feed-forward neurons that are explained together, <c>[layers, neurons]</c>; null for none.</summary>
    public NeuronSet? Neurons { get; init; }

    /// <summary>What neurons are compared with, such as a probe's thresholds: <c>[layers, neurons]</c>, or
    /// <c>[layers, slots, neurons]</c>, which are averaged over the slots; null for zeros.</summary>
    public NeuronValues? NeuronMeans { get; init; }

    /// <summary>How many of the neurons are named for a row; 10 by default.</summary>
    public int MostNeurons { get; init; } = 10;

    /// <exception cref="ArgumentException">A setting is out of its range, lacks another, or does not fit the classifier.</exception>
    internal void Check(TextClassifier classifier)
    {
        Check();
        Neurons?.CheckFits(classifier.Backbone.Config);
        NeuronMeans?.CheckFits(classifier.Backbone.Config);
    }

    private void Check()
    {
        ArgumentOutOfRangeException.ThrowIfNegative(MostCoordinates);
        ArgumentOutOfRangeException.ThrowIfNegative(MostNeurons);
        if (Steps is < 1 or > 1000)
        {
            throw new ArgumentOutOfRangeException(nameof(Steps), Steps, $"{nameof(Steps)} must be from 1 to 1000.");
        }

        if (Graft is null != WithoutGraft is null)
        {
            throw new ArgumentException($"{nameof(Graft)} and {nameof(WithoutGraft)} must be given together.");
        }

        if (Graft is { Outside: GraftOutside.Zero })
        {
            throw new ArgumentException("The graft has zeros outside its mask, which are a change of all parameters and no coordinates.");
        }

        if (Neurons is null && NeuronMeans is not null)
        {
            throw new ArgumentException($"{nameof(NeuronMeans)} needs {nameof(Neurons)}.");
        }

        if (Neurons is { Count: 0 })
        {
            throw new ArgumentException("No neuron is selected; take a larger fraction of each layer.");
        }
    }
}

/// <summary>How tokens get their scores.</summary>
public enum AttributionMethod
{
    /// <summary>
    /// Integrated gradients over the word embeddings, (x - x') times the mean gradient on the straight line from the baseline x' to the
    /// row's x, summed over a token's dimensions (Sundararajan et al. 2017, equation 1). Scores sum to the difference of the logits.
    /// </summary>
    IntegratedGradients,

    /// <summary>By how much the logit falls when the token alone is replaced by the baseline. A pass forwards for each token.</summary>
    Occlusion,
}

/// <summary>What stands in a token's place to compare it with. Positions, segments and the prompt stay as they are.</summary>
public enum AttributionBaseline
{
    /// <summary>The padding token; in GPT-2 the end-of-text token.</summary>
    Padding,

    /// <summary>The mask token; not for GPT-2 and T5, which have none.</summary>
    Mask,

    /// <summary>A vector of zeros, as for texts in Sundararajan et al. (2017), section 3; not for T5, whose first norm has no slope
    /// there.</summary>
    Zero,
}
