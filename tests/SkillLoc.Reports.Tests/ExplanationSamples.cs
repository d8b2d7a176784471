using SkillLoc.Evaluators;
using SkillLoc.Models.Explanations;

namespace SkillLoc.Reports.Tests;

/// <summary>Explanations with known numbers.</summary>
internal static class ExplanationSamples
{
    /// <summary>Words of a text with a score each; spans are those of the words.</summary>
    public static TextExplanation Of(string text, string label, params double[] scores)
    {
        var tokens = new List<TokenAttribution>();
        int start = 0;
        foreach ((int i, string word) in text.Split(' ').Index())
        {
            tokens.Add(new(word, 0, start, word.Length, scores[i % scores.Length]));
            start += word.Length + 1;
        }

        double sum = tokens.Sum(token => token.Score);
        return new()
        {
            Text = text,
            Label = label,
            Probability = 1 / (1 + Math.Exp(-sum)),
            Logit = sum,
            BaselineLogit = 0,
            Tokens = tokens,
            ConvergenceDelta = 0.0004,
        };
    }

    public static IReadOnlyList<TextExplanation> Some() =>
        [
            Of(
                "a film that nobody needs, and yet a very good one",
                "positive",
                0.01,
                0.4,
                -0.02,
                -1.2,
                -0.6,
                0.05,
                0.3,
                0.02,
                0.9,
                2.1,
                0.1
            ) with
            {
                Coordinates = Parts(
                    "roberta.encoder.layer.1.attention.self.query.weight[77]",
                    "roberta.encoder.layer.0.output.dense.bias[5]"
                ),
                Neurons = Parts("2.17", "0.5"),
            },
            Of("Nobody liked it", "neutral", -0.5, 0.2, 0.1) with
            {
                TextPair = "They did <not> like it",
                ConvergenceDelta = double.NaN,
            },
        ];

    public static ExplanationMetrics Faithful() =>
        new()
        {
            Count = 50,
            Method = AttributionMethod.IntegratedGradients,
            Seed = 1,
            Controls = 5,
            ConvergenceDelta = 0.001,
            Points =
            [
                new(0.01, 0.1, 0.5, 0.02, 0.01, 0.55, 0.02),
                new(0.1, 0.25, 0.4, 0.05, 0.02, 0.5, 0.03),
                new(0.5, 0.6, 0.1, 0.3, 0.05, 0.3, 0.05),
            ],
        };

    private static PartAttributions Parts(params string[] names) =>
        new()
        {
            Count = 1337,
            WithoutLogit = -0.5,
            Sum = 1.5,
            ConvergenceDelta = 0.001,
            Largest = [.. names.Select((name, i) => new PartAttribution(name, i == 0 ? 0.7 : -0.2))],
        };
}
