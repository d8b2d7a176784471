namespace SkillLoc.Models.Explanations;

/// <summary>
/// What carried a classifier's output for a row: each token's share of it and, where asked for, that of a graft's coordinates and of
/// feed-forward neurons. The output is the logit of the explained label's probability p, ln(p / (1 - p)).
/// </summary>
public sealed record TextExplanation
{
    /// <summary>The row's text.</summary>
    public required string Text { get; init; }

    /// <summary>The second text of a pair; null for none.</summary>
    public string? TextPair { get; init; }

    /// <summary>The explained label; <c>score</c> for a regression, whose p is the score's share of its range.</summary>
    public required string Label { get; init; }

    /// <summary>p, the explained label's probability.</summary>
    public required double Probability { get; init; }

    /// <summary>ln(p / (1 - p)).</summary>
    public required double Logit { get; init; }

    /// <summary>The same where all tokens of the texts are the baseline.</summary>
    public required double BaselineLogit { get; init; }

    /// <summary>The tokens of the texts in their order; those of the prompt are not explained.</summary>
    public required IReadOnlyList<TokenAttribution> Tokens { get; init; }

    /// <summary>
    /// By how much the sum of the tokens' scores misses <see cref="Logit"/> - <see cref="BaselineLogit"/>, from which integrated gradients
    /// differ by the error of the numerical integral alone (completeness: Sundararajan et al. 2017, proposition 1). NaN for occlusion,
    /// which is not complete.
    /// </summary>
    public required double ConvergenceDelta { get; init; }

    /// <summary>The graft's coordinates; null where no graft is explained.</summary>
    public PartAttributions? Coordinates { get; init; }

    /// <summary>The neurons; null where none are explained.</summary>
    public PartAttributions? Neurons { get; init; }
}

/// <summary>A token's share of an output.</summary>
/// <param name="Token">The vocabulary's spelling, such as <c>##ing</c>.</param>
/// <param name="Sentence">0 for the row's text, 1 for its second text.</param>
/// <param name="Start">Its first character in that text, counted in UTF-16 units from 0.</param>
/// <param name="Length">Number of characters.</param>
/// <param name="Score">Its share in units of the logit: above 0 if it speaks for the label.</param>
public sealed record TokenAttribution(string Token, int Sentence, int Start, int Length, double Score);

/// <summary>The shares of a model's parts in an output.</summary>
public sealed record PartAttributions
{
    /// <summary>Number of parts.</summary>
    public required long Count { get; init; }

    /// <summary>The logit without them: of the base model with the graft's head, or with the neurons at their means.</summary>
    public required double WithoutLogit { get; init; }

    /// <summary>The sum of all scores.</summary>
    public required double Sum { get; init; }

    /// <summary>By how much <see cref="Sum"/> misses the difference of the logits with and without them.</summary>
    public required double ConvergenceDelta { get; init; }

    /// <summary>Those of the largest absolute scores, in descending order of these.</summary>
    public required IReadOnlyList<PartAttribution> Largest { get; init; }

    /// <summary>Of all parts, those of the largest absolute scores.</summary>
    internal static PartAttributions Of(double logit, double without, double[] scores, Func<int, string> nameOf, int most)
    {
        double sum = scores.Sum();
        return new()
        {
            Count = scores.Length,
            WithoutLogit = without,
            Sum = sum,
            ConvergenceDelta = sum - (logit - without),
            Largest =
            [
                .. scores
                    .Index()
                    .OrderByDescending(part => Math.Abs(part.Item))
                    .Take(most)
                    .Select(part => new PartAttribution(nameOf(part.Index), part.Item)),
            ],
        };
    }
}

/// <summary>A part's share of an output.</summary>
/// <param name="Name">A coordinate as <c>parameter[row-major flat index]</c>, or a neuron as <c>layer.neuron</c>, both from 0.</param>
/// <param name="Score">Its share in units of the logit.</param>
public sealed record PartAttribution(string Name, double Score);
