using SkillLoc.Models.Generation;

namespace SkillLoc.Models.Tests.Generation;

// Expected values are worked out by hand in the comments, from the definitions (methods, C.5).
public sealed class TextMetricsTests
{
    /// <summary>One row; answers are parted by bars.</summary>
    private static double One(TextMetric metric, string prediction, string answers) =>
        TextMetrics.Evaluate(metric, [prediction], [answers.Split('|')]);

    /// <summary>Rows with an answer each.</summary>
    private static double Many(TextMetric metric, params (string Prediction, string Answer)[] rows) =>
        TextMetrics.Evaluate(metric, [.. rows.Select(row => row.Prediction)], [.. rows.Select(row => new[] { row.Answer })]);

    [Theory]
    [InlineData("Entailment", "entailment", 1)]
    [InlineData("ÄRGER", "ärger", 1)]
    [InlineData("b", "a|B", 1)]
    [InlineData("the cat", "cat", 0)]
    [InlineData("cat.", "cat", 0)]
    [InlineData("", "cat", 0)]
    [InlineData("", "", 1)]
    public void AccuracyKnowsNoCaseAndAnyAnswer(string prediction, string answers, double expected) =>
        Assert.Equal(expected, One(TextMetric.Accuracy, prediction, answers));

    [Fact]
    public void AccuracyIsTheShareOfRows() => Assert.Equal(2.0 / 3, Many(TextMetric.Accuracy, ("a", "A"), ("b", "c"), ("c", "c")), 12);

    [Fact]
    public void MacroF1IsOverTheLabelsOfTheAnswers()
    {
        // a: TP 1, FP 1, FN 1, F1 2/4; b: TP 1, FP 1, FN 0, F1 2/3; c: TP 0, FP 0, FN 1, F1 0. "nonsense" is no class, only c's miss.
        (string, string)[] rows = [("a", "a"), ("b", "a"), ("b", "b"), ("nonsense", "c"), ("a", "a")];
        // The last row makes a: TP 2, FP 0, FN 1, F1 4/5.
        Assert.Equal(((4.0 / 5) + (2.0 / 3) + 0) / 3, Many(TextMetric.ClassificationF1, rows), 12);
        rows[4] = ("a", "b");
        // a: TP 1, FP 1, FN 1; b: TP 1, FP 1, FN 1; c: 0.
        Assert.Equal((0.5 + 0.5 + 0) / 3, Many(TextMetric.ClassificationF1, rows), 12);
    }

    [Fact]
    public void MacroF1KnowsCaseAndTheFirstAnswerOnly()
    {
        // yes: TP 1, FN 1, F1 2/3; no: 1. "Yes" is another text.
        Assert.Equal(((2.0 / 3) + 1) / 2, Many(TextMetric.ClassificationF1, ("yes", "yes"), ("Yes", "yes"), ("no", "no")), 12);
        // The first row's a is wrong although a is its second answer: a: TP 1, FP 1, FN 0, F1 2/3; b: 0.
        Assert.Equal(
            1.0 / 3,
            TextMetrics.Evaluate(
                TextMetric.ClassificationF1,
                ["a", "a"],
                [
                    ["b", "a"],
                    ["a"],
                ]
            ),
            12
        );
        Assert.Equal(0, Many(TextMetric.ClassificationF1, ("", "a")));
        // A single row judged right is one class of F1 1.
        Assert.Equal(1, Many(TextMetric.ClassificationF1, ("a", "a")));
    }

    [Theory]
    [InlineData("The  Beatles!", "beatles", 1)]
    [InlineData("beatles", "The Beatles,", 1)]
    [InlineData("U.S.", "us", 1)]
    [InlineData("an a the", "", 1)]
    [InlineData("theory", "ory", 0)]
    [InlineData("cat a dog", "cat dog", 1)]
    [InlineData("$#%", "", 1)]
    [InlineData("«chat»", "chat", 0)]
    [InlineData("«the chat»", "« chat»", 1)]
    [InlineData("Ünited", "ünited", 1)]
    [InlineData("two", "one|two.", 1)]
    [InlineData("x_y`z~^", "xyz", 1)]
    [InlineData("", "cat", 0)]
    public void ExactMatchIsAfterNormalisation(string prediction, string answers, double expected) =>
        Assert.Equal(expected, One(TextMetric.ExactMatch, prediction, answers));

    [Theory]
    // 2 common words of 3 and 2: P 2/3, R 1.
    [InlineData("big red dog", "Red, Dog", 0.8)]
    // The article goes: 1 of 2 and 1.
    [InlineData("The big cat", "a cat", 2.0 / 3)]
    // A word counts as often as both have it: common 2, of 3 and 2.
    [InlineData("no no no", "no no", 0.8)]
    [InlineData("no", "no no no", 0.5)]
    // The best answer counts: 2/3 with the first, 1 with the last.
    [InlineData("new york", "york|boston|New York.", 1)]
    // Order does not matter.
    [InlineData("york new", "new york", 1)]
    [InlineData("cat", "dog", 0)]
    // Nothing is left of either, or of one.
    [InlineData("the", "a", 1)]
    [InlineData("", "!", 1)]
    [InlineData("the", "cat", 0)]
    [InlineData("cat", "the", 0)]
    [InlineData("çа va", "ÇА", 2.0 / 3)]
    public void WordF1IsAfterNormalisation(string prediction, string answers, double expected) =>
        Assert.Equal(expected, One(TextMetric.QuestionAnsweringF1, prediction, answers), 12);

    [Fact]
    public void WordF1IsAveragedOverRows() =>
        Assert.Equal((0.8 + 0 + 1) / 3, Many(TextMetric.QuestionAnsweringF1, ("big red dog", "red dog"), ("x", "y"), ("z", "z")), 12);

    [Fact]
    public void MatthewsCorrelationIsOfAcceptableAndTheRest()
    {
        // TP 2, FN 1, FP 1, TN 1: (2 * 1 - 1 * 1) / sqrt(3 * 3 * 2 * 2). "Acceptable" and nonsense are the rest.
        (string, string)[] rows =
        [
            ("acceptable", "acceptable"),
            ("acceptable", "acceptable"),
            ("Acceptable", "acceptable"),
            ("acceptable", "unacceptable"),
            ("?", "unacceptable"),
        ];
        Assert.Equal(1.0 / 6, Many(TextMetric.MatthewsCorrelation, rows), 12);
        // All predicted alike: not defined, 0.
        Assert.Equal(0, Many(TextMetric.MatthewsCorrelation, ("acceptable", "acceptable"), ("acceptable", "no")));
        Assert.Equal(-1, Many(TextMetric.MatthewsCorrelation, ("no", "acceptable"), ("acceptable", "no")), 12);
    }

    [Fact]
    public void PearsonsCorrelationIsOfNumbers()
    {
        // Deviations of 1 2 3 4 5 and 2 1 4 3 5: products 8, squares 10 and 10.
        Assert.Equal(0.8, Many(TextMetric.PearsonCorrelation, ("2", "1"), ("1.0", " 2 "), ("+4", "3.0"), (".3e1", "4."), ("5", "5")), 12);
        Assert.Equal(
            -1,
            TextMetrics.Evaluate(
                TextMetric.PearsonCorrelation,
                ["-1", "1"],
                [
                    ["2", "x"],
                    ["1e0", "y"],
                ]
            ),
            12
        );
    }

    [Theory]
    [InlineData("five")]
    [InlineData("")]
    [InlineData("1,5")]
    [InlineData("nan")]
    [InlineData("Infinity")]
    [InlineData("0x1")]
    public void APredictionThatIsNoNumberLeavesNoCorrelation(string prediction) =>
        Assert.Equal(double.NaN, Many(TextMetric.PearsonCorrelation, ("1", "1"), ("2", "2"), (prediction, "3")));

    [Fact]
    public void EqualNumbersHaveNoCorrelationAndAnswersMustBeNumbers()
    {
        Assert.Equal(double.NaN, Many(TextMetric.PearsonCorrelation, ("1", "1"), ("1", "2")));
        ArgumentException e = Assert.Throws<ArgumentException>(() => Many(TextMetric.PearsonCorrelation, ("1", "1"), ("2", "good")));
        Assert.Contains("Row 1 has the first answer 'good'; Pearson-Correlation", e.Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => Many(TextMetric.PearsonCorrelation, ("1", "NaN"), ("2", "2")));
    }

    [Theory]
    // "the gunman" is 2 of 4 and 4 (Lin 2004, section 3.1, S3).
    [InlineData("police kill the gunman", "the gunman police killed", 0.5)]
    // "police the gunman" is 3 of 4 and 4 (S2 of the same).
    [InlineData("police kill the gunman", "police killed the gunman", 0.75)]
    // 2 of 2 and 3: P 1, R 2/3.
    [InlineData("a c", "a b c", 0.8)]
    // Case and punctuation count.
    [InlineData("Cat.", "cat", 0)]
    // Of two words with one occurrence each, repeated ones are no more common: 1 of 3 and 1.
    [InlineData("x x x", "x", 0.5)]
    [InlineData("à  la\tcarte", "à la carte", 1)]
    [InlineData("b d", "x|a b c d|b", 2.0 / 3)]
    [InlineData("...", "...", 0)]
    [InlineData(". !", ". !", 0)]
    [InlineData("", "", 0)]
    [InlineData("x", "", 0)]
    public void RougeLIsTheF1OfTheLongestCommonSubsequence(string prediction, string answers, double expected) =>
        Assert.Equal(expected, One(TextMetric.RougeL, prediction, answers), 12);

    [Fact]
    public void RowsHaveScoresWhereForgettingIsFollowed()
    {
        string[] predictions = ["A", "big red dog", "b"];
        string[][] answers =
        [
            ["a"],
            ["x", "red dog"],
            ["c", "B"],
        ];
        Assert.Equal([1.0, 0, 1], TextMetrics.RowScores(TextMetric.Accuracy, predictions, answers)!);
        Assert.Equal([1.0, 0, 1], TextMetrics.RowScores(TextMetric.ClassificationF1, predictions, answers)!);
        // The article a leaves nothing of both.
        Assert.Equal([1.0, 0.8, 1], TextMetrics.RowScores(TextMetric.QuestionAnsweringF1, predictions, answers)!);
        foreach (
            TextMetric metric in new[]
            {
                TextMetric.ExactMatch,
                TextMetric.MatthewsCorrelation,
                TextMetric.PearsonCorrelation,
                TextMetric.RougeL,
            }
        )
        {
            Assert.Null(TextMetrics.RowScores(metric, predictions, answers));
        }
    }

    [Fact]
    public void RowsMustBeAsManyAsPredictionsAndHaveAnswers()
    {
        foreach (TextMetric metric in Enum.GetValues<TextMetric>())
        {
            Assert.Throws<ArgumentException>(() => TextMetrics.Evaluate(metric, [], []));
            Assert.Throws<ArgumentException>(() =>
                TextMetrics.Evaluate(
                    metric,
                    ["1"],
                    [
                        ["1"],
                        ["2"],
                    ]
                )
            );
            Assert.Contains(
                "Row 1",
                Assert
                    .Throws<ArgumentException>(() =>
                        TextMetrics.Evaluate(
                            metric,
                            ["1", "2"],
                            [
                                ["1"],
                                [],
                            ]
                        )
                    )
                    .Message,
                StringComparison.Ordinal
            );
        }

        Assert.Throws<ArgumentException>(() => TextMetrics.RowScores(TextMetric.Accuracy, ["a"], []));
        Assert.Throws<ArgumentOutOfRangeException>(() =>
            TextMetrics.Evaluate(
                (TextMetric)7,
                ["1"],
                [
                    ["1"],
                ]
            )
        );
    }

    [Fact]
    public void MetricsHaveTheReferencesNames() =>
        Assert.Equal(
            ["ACC", "Classification-F1", "EM", "QA-F1", "Matthew-Correlation", "Pearson-Correlation", "Rouge-L"],
            Enum.GetValues<TextMetric>().Select(TextMetrics.NameOf)
        );
}
