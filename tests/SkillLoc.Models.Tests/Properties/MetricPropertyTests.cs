using System.Globalization;
using FsCheck;
using FsCheck.Fluent;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Generation;

namespace SkillLoc.Models.Tests.Properties;

/// <summary>Bounds, symmetries and other formulas of metrics.</summary>
public sealed class MetricPropertyTests
{
    /// <summary>Metrics that are the mean of scores of rows.</summary>
    private static readonly TextMetric[] OfRows =
    [
        TextMetric.Accuracy,
        TextMetric.ExactMatch,
        TextMetric.QuestionAnsweringF1,
        TextMetric.RougeL,
    ];

    /// <summary>Texts of words, articles, punctuation and white space, so that some are equal and some share words.</summary>
    private static Gen<string> Text =>
        Gen.Elements("the ", "cat ", "Cat", " a", "dog", ", ", "  ", "\n", ".", "an ", "mat ", "É", " x").UpTo(6).Select(string.Concat);

    private static Gen<(string Prediction, string[] Answers)[]> Rows =>
        (from prediction in Text from answers in Text.UpTo(3, 1) select (prediction, answers)).UpTo(5, 1);

    private static Gen<(double[] X, double[] Y)> Series =>
        from length in Gen.Choose(1, 12)
        from x in Gen.Choose(-6, 6).Select(i => i / 4.0).ArrayOf(length)
        from y in Gen.Choose(-60, 60).Select(i => i / 7.0).ArrayOf(length)
        select (x, y);

    [Fact]
    public void EveryMetricOfTextIsWithinItsBoundsAndTheMeanOfItsRows() =>
        PropertyCheck.ForAll(
            Rows,
            rows =>
            {
                foreach (TextMetric metric in Enum.GetValues<TextMetric>().Except([TextMetric.PearsonCorrelation]))
                {
                    Assert.InRange(Evaluate(metric, rows), metric == TextMetric.MatthewsCorrelation ? -1 : 0, 1);
                }

                foreach (TextMetric metric in OfRows)
                {
                    Assert.Equal(rows.Average(row => Evaluate(metric, [row])), Evaluate(metric, rows), 1e-12);
                    Assert.Equal(
                        rows.Average(row => row.Answers.Max(answer => Evaluate(metric, [(row.Prediction, [answer])]))),
                        Evaluate(metric, rows),
                        1e-12
                    );
                    Assert.Equal(Evaluate(metric, rows), Evaluate(metric, [.. rows.Reverse()]), 1e-12);
                    if (
                        TextMetrics.RowScores(metric, [.. rows.Select(row => row.Prediction)], [.. rows.Select(row => row.Answers)]) is
                        { } scores
                    )
                    {
                        Assert.Equal(Evaluate(metric, rows), scores.Average(), 1e-12);
                    }
                }
            }
        );

    [Fact]
    public void TextAndAnswerMayChangePlaces() =>
        PropertyCheck.ForAll(
            from text in Text
            from answer in Text
            select (text, answer),
            pair =>
            {
                foreach (TextMetric metric in OfRows)
                {
                    // A text without words has no Rouge-L, whoever it is.
                    if (metric != TextMetric.RougeL || (HasWords(pair.text) && HasWords(pair.answer)))
                    {
                        Assert.Equal(Score(metric, pair.answer, pair.text), Score(metric, pair.text, pair.answer), 1e-12);
                        Assert.Equal(1, Score(metric, pair.text, pair.text), 1e-12);
                    }
                }

                // The same words in another order have the same F1, and a match has all of it.
                string[] words = pair.text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
                Assert.Equal(
                    Score(TextMetric.QuestionAnsweringF1, pair.text, pair.answer),
                    Score(TextMetric.QuestionAnsweringF1, string.Join(' ', words.Reverse()), pair.answer),
                    1e-12
                );
                Assert.True(
                    Score(TextMetric.ExactMatch, pair.text, pair.answer) <= Score(TextMetric.QuestionAnsweringF1, pair.text, pair.answer)
                );
                Assert.True(Score(TextMetric.Accuracy, pair.text, pair.answer) <= Score(TextMetric.ExactMatch, pair.text, pair.answer));
            },
            300
        );

    [Fact]
    public void RougeIsThatOfTheLongestOfAllCommonSubsequences() =>
        PropertyCheck.ForAll(
            from first in Gen.Elements("a", "b", "c").UpTo(7, 1)
            from second in Gen.Elements("a", "b", "c").UpTo(7, 1)
            select (first, second),
            pair =>
            {
                // Every choice of words of the first, tried in the second.
                int longest = Enumerable
                    .Range(0, 1 << pair.first.Length)
                    .Select(chosen => pair.first.Where((_, i) => (chosen >> i) % 2 == 1).ToArray())
                    .Where(words => IsSubsequence(words, pair.second))
                    .Max(words => words.Length);
                Assert.Equal(
                    2.0 * longest / (pair.first.Length + pair.second.Length),
                    Score(TextMetric.RougeL, string.Join(' ', pair.first), string.Join("  ", pair.second)),
                    1e-12
                );
            }
        );

    [Fact]
    public void PearsonsIsThatOfAllPairs() =>
        PropertyCheck.ForAll(
            Series,
            series =>
            {
                double expected = OfPairs(series.X, series.Y);
                Same(expected, Correlation.Pearson(series.X, series.Y));
                Same(expected, Correlation.Pearson(series.Y, series.X));
                Same(-expected, Correlation.Pearson(series.X, [.. series.Y.Select(y => 3 - (2 * y))]));
                Same(
                    expected,
                    TextMetrics.Evaluate(
                        TextMetric.PearsonCorrelation,
                        [.. series.X.Select(Written)],
                        [.. series.Y.Select(y => new[] { Written(y) })]
                    )
                );

                static string Written(double value) => value.ToString("R", CultureInfo.InvariantCulture);
            },
            300
        );

    [Fact]
    public void SpearmansIsPearsonsOfCountedRanks() =>
        PropertyCheck.ForAll(
            Series,
            series =>
            {
                double expected = OfPairs(Ranks(series.X), Ranks(series.Y));
                Same(expected, Correlation.Spearman(series.X, series.Y));
                Same(expected, Correlation.Spearman([.. series.X.Select(Math.Exp)], [.. series.Y.Select(y => y * y * y)]));

                // A rank counts who is smaller, and half of who is equal.
                static double[] Ranks(double[] values) =>
                    Array.ConvertAll(values, value => values.Count(other => other < value) + (values.Count(other => other == value) / 2.0));
            },
            300
        );

    private static bool HasWords(string text) => text.Any(char.IsLetterOrDigit);

    private static bool IsSubsequence(string[] words, string[] text)
    {
        int found = 0;
        foreach (string word in text)
        {
            found += found < words.Length && words[found] == word ? 1 : 0;
        }

        return found == words.Length;
    }

    private static double Score(TextMetric metric, string text, string answer) => Evaluate(metric, [(text, [answer])]);

    private static double Evaluate(TextMetric metric, (string Prediction, string[] Answers)[] rows) =>
        TextMetrics.Evaluate(metric, [.. rows.Select(row => row.Prediction)], [.. rows.Select(row => row.Answers)]);

    /// <summary>Covariance over deviations, both as sums over all pairs of rows, which need no mean.</summary>
    private static double OfPairs(double[] x, double[] y)
    {
        return x.Distinct().Count() < 2 || y.Distinct().Count() < 2 ? double.NaN : Sum(x, y) / Math.Sqrt(Sum(x, x) * Sum(y, y));

        static double Sum(double[] one, double[] other) =>
            one.Index().Sum(i => one.Index().Sum(j => (i.Item - j.Item) * (other[i.Index] - other[j.Index])));
    }

    private static void Same(double expected, double actual)
    {
        Assert.Equal(double.IsNaN(expected), double.IsNaN(actual));
        if (!double.IsNaN(expected))
        {
            Assert.InRange(actual, -1, 1);
            Assert.Equal(expected, actual, 1e-9);
        }
    }
}
