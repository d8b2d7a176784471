using Microsoft.ML;
using SkillLoc.Models.Merging;

namespace SkillLoc.Evaluators.Tests;

public sealed class MergeEvaluatorTests
{
    private static readonly (float, string)[] Rows = [(0.875f, "yes"), (0.25f, "no"), (0.75f, "no"), (0.375f, "no")];

    [Fact]
    public void MergedModelsAreMeasuredBesideSingleOnes()
    {
        // The single model is right on rows 0, 1 and 3; the merged one, with slots in another order, says yes to all.
        MergeMetrics metrics = Fake
            .Ml.SkillLoc()
            .Merging.EvaluateMerge([
                new("first", Fake.Rows(Rows), Fake.YesNo(), Fake.YesNo(_ => 0.75f, reverse: true)),
                new("second", Fake.KeyedRows(Rows), Fake.YesNo(), Fake.YesNo()),
            ]);
        MergeMetricsEntry first = metrics.Tasks[0];
        Assert.Equal(("first", 4L), (first.Task, first.Count));
        Assert.Equal(0.75, first.SingleAccuracy, 6);
        Assert.Equal(0.25, first.Accuracy, 6);
        Assert.Equal(1.0 / 3, first.Share, 6);
        Assert.Equal(0.5, first.ExpectedCalibrationError, 6);
        Assert.Equal((0.125 + (2 * 0.25) + 0.375) / 4, first.SingleCalibrationError, 6);
        Assert.Equal(0.5, first.Agreement, 6);
        Assert.Equal(1, metrics.Tasks[1].Share, 6);
        Assert.Equal((1 + (1.0 / 3)) / 2, metrics.Share, 6);
        Assert.Equal(0.5, metrics.Accuracy, 6);
        Assert.Null(metrics.Forecast);
        Assert.True(double.IsNaN(first.ForecastLoss));
        Assert.Equal(2, Fake.Ml.Data.CreateEnumerable<Shown>(metrics.ToDataView(Fake.Ml), reuseRowObject: false).Count());
    }

    [Fact]
    public void TheForecastIsInTheOrderOfTheTasks()
    {
        string basis = Oracles.PathOf("tiny-roberta");
        MergeRecipe recipe = new()
        {
            Method = "task_arithmetic",
            BaseModel = basis,
            Models = [Oracles.PathOf("tiny-roberta-finetuned")],
            Parameters = new Dictionary<string, MergeSetting> { ["lambda"] = 0.25 },
        };
        MergeTask task = new("first", Fake.Rows(Rows), Fake.YesNo(), Fake.YesNo());
        MergeForecast forecast = Fake.Ml.SkillLoc().Merging.ForecastMerge(recipe);
        MergeMetrics metrics = Fake.Ml.SkillLoc().Merging.EvaluateMerge([task], forecast);
        Assert.Equal(0.75, metrics.Tasks[0].ForecastLoss, 1e-3);
        Assert.Equal(0, metrics.Tasks[0].Interference, 1e-5);

        ArgumentException many = Assert.Throws<ArgumentException>(() =>
            Fake.Ml.SkillLoc().Merging.EvaluateMerge([task, task with { Name = "second" }], forecast)
        );
        Assert.Contains("1 models", many.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void TasksAreChecked()
    {
        MergeTask task = new("first", Fake.Rows(Rows), Fake.YesNo(), Fake.YesNo());
        Assert.Throws<ArgumentException>(() => Fake.Ml.SkillLoc().Merging.EvaluateMerge([]));
        Assert.Contains(
            "'first'",
            Assert.Throws<ArgumentException>(() => Fake.Ml.SkillLoc().Merging.EvaluateMerge([task, task])).Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "'Category'",
            Assert.Throws<ArgumentException>(() => Fake.Ml.SkillLoc().Merging.EvaluateMerge([task], labelColumnName: "Category")).Message,
            StringComparison.Ordinal
        );
        Assert.Throws<InvalidOperationException>(() =>
            Fake.Ml.SkillLoc().Merging.EvaluateMerge([task with { Data = Fake.Rows((0.5f, "maybe")) }])
        );
    }

    private sealed class Shown
    {
        public string Task { get; set; } = "";

        public double Share { get; set; }
    }
}
