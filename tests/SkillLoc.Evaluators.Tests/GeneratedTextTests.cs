using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Generation;

namespace SkillLoc.Evaluators.Tests;

public sealed class GeneratedTextTests
{
    private static readonly MLContext Ml = new(seed: 1);

    private sealed class Row
    {
        public string[] Answers { get; set; } = [];

        [VectorType(2)]
        public string[] Two { get; set; } = ["", ""];

        public string Label { get; set; } = "";

        public string PredictedText { get; set; } = "";

        public float Number { get; set; }
    }

    /// <summary>Rows whose answers are parted by bars; no text is no answers.</summary>
    private static IDataView View(params (string Answers, string PredictedText)[] rows) =>
        Ml.Data.LoadFromEnumerable(
            rows.Select(row =>
            {
                string[] answers = row.Answers.Length == 0 ? [] : row.Answers.Split('|');
                return new Row
                {
                    Answers = answers,
                    Two = [.. answers.Concat(["", ""]).Take(2)],
                    Label = answers.FirstOrDefault(""),
                    PredictedText = row.PredictedText,
                };
            })
        );

    [Fact]
    public void ValuesAndRowScoresMatchWhatWasComputedByHand()
    {
        // Words: 2 common of 3 and 2, then none; the row without answers does not count, whatever was generated.
        IDataView data = View(("dog|red dog", "big red dog"), ("", "cat"), ("bird", "fish"));
        GeneratedTextMetrics metrics = Ml.SkillLoc().Evaluation.EvaluateGeneratedText(data, TextMetric.QuestionAnsweringF1);
        Assert.Equal((TextMetric.QuestionAnsweringF1, 2), (metrics.Metric, metrics.Count));
        Assert.Equal(0.4, metrics.Value, 12);
        Assert.Equal([0.8, double.NaN, 0], metrics.RowScores!);

        IDataView row = metrics.ToDataView(Ml);
        Assert.Equal(["Count", "Metric", "Value"], row.Schema.Select(column => column.Name).Order(StringComparer.Ordinal));
        Assert.Equal(["QA-F1"], row.GetColumn<string>("Metric"));
        Assert.Equal([metrics.Value], row.GetColumn<double>("Value"));
        Assert.Equal([2L], row.GetColumn<long>("Count"));
    }

    [Theory]
    [InlineData("Answers", 1)]
    [InlineData("Two", 1)]
    [InlineData("Label", 0.5)]
    public void AnswersAreATextOrAVectorOfTexts(string column, double expected)
    {
        GeneratedTextMetrics metrics = Ml.SkillLoc()
            .Evaluation.EvaluateGeneratedText(View(("a|b", "B"), ("c", "c"), ("", ""), (" ", "")), TextMetric.Accuracy, column);
        Assert.Equal(expected, metrics.Value);
        Assert.Equal(2, metrics.Count);
    }

    [Fact]
    public void ColumnsMayHaveOtherNames()
    {
        IDataView data = View(("a", "a"), ("b", "a"));
        data = Ml
            .Transforms.CopyColumns("Truth", "Answers")
            .Append(Ml.Transforms.CopyColumns("Guess", "PredictedText"))
            .Fit(data)
            .Transform(data);
        data = Ml.Transforms.DropColumns("Answers", "PredictedText").Fit(data).Transform(data);
        Assert.Equal(0.5, Ml.SkillLoc().Evaluation.EvaluateGeneratedText(data, TextMetric.ExactMatch, "Truth", "Guess").Value);
        Assert.Contains(
            "'Truth'",
            Assert.Throws<ArgumentOutOfRangeException>(() => Ml.SkillLoc().Evaluation.EvaluateGeneratedText(data, TextMetric.ExactMatch)).Message
        );
    }

    [Fact]
    public void MetricsOfWholeSetsHaveNoRowScores()
    {
        GeneratedTextMetrics metrics = Ml.SkillLoc().Evaluation.EvaluateGeneratedText(View(("1", "2"), ("2", "1")), TextMetric.PearsonCorrelation);
        Assert.Equal(-1, metrics.Value, 12);
        Assert.Null(metrics.RowScores);
        Assert.Equal(
            double.NaN,
            Ml.SkillLoc().Evaluation.EvaluateGeneratedText(View(("1", "good"), ("2", "1")), TextMetric.PearsonCorrelation).Value
        );
    }

    [Fact]
    public void BadInputIsRefused()
    {
        IDataView data = View(("1", "1"), ("good", "2"));
        Assert.Contains(
            "'Answers', counted from 0: Row 1 has the first answer 'good'",
            Assert
                .Throws<InvalidOperationException>(() => Ml.SkillLoc().Evaluation.EvaluateGeneratedText(data, TextMetric.PearsonCorrelation))
                .Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "'Absent'",
            Assert
                .Throws<ArgumentOutOfRangeException>(() => Ml.SkillLoc().Evaluation.EvaluateGeneratedText(data, TextMetric.Accuracy, "Absent"))
                .Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "vector of texts",
            Assert
                .Throws<ArgumentOutOfRangeException>(() => Ml.SkillLoc().Evaluation.EvaluateGeneratedText(data, TextMetric.Accuracy, "Number"))
                .Message,
            StringComparison.Ordinal
        );
        Assert.Throws<ArgumentOutOfRangeException>(() =>
            Ml.SkillLoc().Evaluation.EvaluateGeneratedText(data, TextMetric.Accuracy, predictedTextColumnName: "Answers")
        );
        Assert.Throws<ArgumentOutOfRangeException>(() => Ml.SkillLoc().Evaluation.EvaluateGeneratedText(data, (TextMetric)7));
        Assert.Throws<InvalidOperationException>(() => Ml.SkillLoc().Evaluation.EvaluateGeneratedText(View(("", "1")), TextMetric.Accuracy));
    }
}
