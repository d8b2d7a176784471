using Microsoft.ML;
using Microsoft.ML.Data;

namespace SkillLoc.Evaluators.Tests;

public sealed class CorrelationTests
{
    private static readonly MLContext Ml = new(seed: 1);

    private sealed class Row
    {
        public float Label { get; set; }

        public float Score { get; set; }

        public double Wide { get; set; }
    }

    private static IDataView View(params (float Label, float Score)[] rows) =>
        Ml.Data.LoadFromEnumerable(rows.Select(row => new Row { Label = row.Label, Score = row.Score }));

    [Fact]
    public void CorrelationsMatchWhatWasComputedByHand()
    {
        // Spearman's ranks are 1 2.5 2.5 4 and 1 2 3.5 3.5. The row without a label does not count, whatever its score.
        CorrelationMetrics metrics = Ml.SkillLoc()
            .Evaluation.EvaluateCorrelation(View((1, 10), (float.NaN, float.NaN), (2, 20), (2, 30), (4, 30)));
        Assert.Equal(4, metrics.Count);
        Assert.Equal(27.5 / Math.Sqrt(4.75 * 275), metrics.Pearson, 9);
        Assert.Equal(3.75 / 4.5, metrics.Spearman, 9);
        Assert.Equal((metrics.Pearson + metrics.Spearman) / 2, metrics.PearsonSpearmanMean, 12);

        IDataView row = metrics.ToDataView(Ml);
        Assert.Equal(["PearsonSpearmanMean", "Count", "Pearson", "Spearman"], row.Schema.Select(column => column.Name).Order(StringComparer.Ordinal));
        Assert.Equal([metrics.PearsonSpearmanMean], row.GetColumn<double>("PearsonSpearmanMean"));
    }

    [Fact]
    public void ColumnsMayHaveOtherNames()
    {
        IDataView data = Ml
            .Transforms.CopyColumns("Truth", "Label")
            .Append(Ml.Transforms.CopyColumns("Guess", "Score"))
            .Fit(View((1, 3), (2, 2), (3, 1)))
            .Transform(View((1, 3), (2, 2), (3, 1)));
        Assert.Equal(-1, Ml.SkillLoc().Evaluation.EvaluateCorrelation(data, "Truth", "Guess").PearsonSpearmanMean, 12);
    }

    [Fact]
    public void EqualScoresLeaveCorrelationUndefined() =>
        Assert.True(double.IsNaN(Ml.SkillLoc().Evaluation.EvaluateCorrelation(View((1, 2), (2, 2))).PearsonSpearmanMean));

    [Fact]
    public void BadInputIsRefused()
    {
        Assert.Throws<InvalidOperationException>(() => Ml.SkillLoc().Evaluation.EvaluateCorrelation(View((float.NaN, 1))));
        Assert.Contains(
            "Row 1",
            Assert
                .Throws<InvalidOperationException>(() => Ml.SkillLoc().Evaluation.EvaluateCorrelation(View((1, 1), (2, float.NaN))))
                .Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "'Absent'",
            Assert.Throws<ArgumentOutOfRangeException>(() => Ml.SkillLoc().Evaluation.EvaluateCorrelation(View((1, 1)), "Absent")).Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "Single",
            Assert
                .Throws<ArgumentOutOfRangeException>(() =>
                    Ml.SkillLoc().Evaluation.EvaluateCorrelation(View((1, 1)), scoreColumnName: "Wide")
                )
                .Message,
            StringComparison.Ordinal
        );
    }
}
