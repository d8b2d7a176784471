using Microsoft.ML;
using Microsoft.ML.Data;

namespace SkillLoc.Evaluators.Tests;

/// <summary>Several labels a row, by values worked out by hand; the ranking measures agree with scikit-learn's.</summary>
public sealed class MultiLabelTests
{
    private static readonly string[] Names = ["a", "b", "c"];

    private readonly MLContext _ml = new(seed: 1);

    [Fact]
    public void FourRowsByHand()
    {
        MultiLabelMetrics metrics = _ml.SkillLoc()
            .Evaluation.EvaluateMultiLabel(
                View(
                    ([0.9f, 0.2f, 0.6f], ["a"], ["a", "c"]),
                    ([0.8f, 0.7f, 0.1f], ["a", "b"], ["b"]),
                    ([0.3f, 0.4f, 0.2f], [], []),
                    ([0.1f, 0.6f, 0.7f], ["c"], ["c"])
                )
            );
        Assert.Equal(4, metrics.Count);
        Assert.Equal(0.5, metrics.SubsetAccuracy);
        Assert.Equal(2 / 12.0, metrics.HammingLoss, 12);
        Assert.Equal((3 / 4.0, 3 / 4.0, 3 / 4.0), (metrics.MicroPrecision, metrics.MicroRecall, metrics.MicroF1));
        MultiLabelEntry a = metrics.Labels[0],
            b = metrics.Labels[1],
            c = metrics.Labels[2];
        Assert.Equal((2, 1, 1), (a.Count, a.PredictedCount, a.Hits));
        Assert.Equal((1, 0.5), (a.Precision, a.Recall));
        Assert.Equal((1, 1, 1), (b.Count, b.PredictedCount, b.Hits));
        Assert.Equal((1, 2, 1), (c.Count, c.PredictedCount, c.Hits));
        Assert.Equal((2 / 3.0 + 1 + 2 / 3.0) / 3, metrics.MacroF1, 12);

        // Ranked by their scores a's rows come first and second, b's first, c's first.
        Assert.Equal(1, metrics.MeanAveragePrecision);
        Assert.Equal(1, metrics.LabelRankingAveragePrecision);
        double[] right = [0.9, 0.8, 0.4, 0.8, 0.7, 0.9, 0.7, 0.6, 0.8, 0.9, 0.4, 0.7];
        Assert.Equal(-right.Average(Math.Log), metrics.LogLoss, 6);
        Assert.Equal(3, metrics.LabelsToDataView(_ml).GetColumn<string>("Label").Count());
        Assert.Equal(0.5, metrics.ToDataView(_ml).GetColumn<double>("SubsetAccuracy").Single());
    }

    [Fact]
    public void RankingsByHand()
    {
        // a: true at ranks 2 and 3 of 3: (1/2 + 2/3) / 2. The rows: a is second of three, then b before a, then tied with c.
        MultiLabelMetrics metrics = _ml.SkillLoc()
            .Evaluation.EvaluateMultiLabel(
                View(([0.5f, 0.9f, 0.1f], ["a"], []), ([0.4f, 0.3f, 0.4f], ["a"], []), ([0.6f, 0.1f, 0.2f], ["c"], ["b"]))
            );
        Assert.Equal((0.5 + 2 / 3.0) / 2, metrics.Labels[0].AveragePrecision, 12);
        Assert.True(double.IsNaN(metrics.Labels[1].AveragePrecision));
        Assert.Equal(0.5, metrics.Labels[2].AveragePrecision, 12);
        Assert.Equal((1 / 2.0 + 1 / 2.0 + 1 / 2.0) / 3, metrics.LabelRankingAveragePrecision, 12);
        Assert.Equal((0, 0, 0), (metrics.MicroPrecision, metrics.MicroRecall, metrics.MicroF1));
    }

    [Fact]
    public void LabelsGoByName()
    {
        IDataView data = View(([0.9f, 0.2f, 0.6f], ["c", "a"], ["a", "c"]), ([0.1f, 0.7f, 0.1f], ["b"], ["b"]));
        var keys = (KeyDataViewType)((VectorDataViewType)data.Schema["Label"].Type).ItemType;
        VBuffer<ReadOnlyMemory<char>> values = default;
        data.Schema["Label"].GetKeyValues(ref values);
        Assert.NotEqual(Names, values.DenseValues().Select(value => value.ToString()));
        Assert.Equal(3UL, keys.Count);
        Assert.Equal(1, _ml.SkillLoc().Evaluation.EvaluateMultiLabel(data).SubsetAccuracy);
    }

    [Fact]
    public void WhatIsNoProbabilityIsNamed()
    {
        InvalidOperationException error = Assert.Throws<InvalidOperationException>(() =>
            _ml.SkillLoc().Evaluation.EvaluateMultiLabel(View(([0.5f, 1.5f, 0], ["a"], ["a"])))
        );
        Assert.Contains("Row 0 has the score 1.5 for the label 'b'", error.Message, StringComparison.Ordinal);
        Assert.Contains(
            "no rows",
            Assert
                .Throws<InvalidOperationException>(() =>
                    _ml.SkillLoc().Evaluation.EvaluateMultiLabel(_ml.Data.SkipRows(View(([0.5f, 0.5f, 0], ["a"], ["a"])), 1))
                )
                .Message,
            StringComparison.Ordinal
        );
        Assert.ThrowsAny<ArgumentException>(() => _ml.SkillLoc().Evaluation.EvaluateMultiLabel(View(([0.5f, 0.5f, 0], ["a"], ["z"]))));
        Assert.ThrowsAny<ArgumentException>(() =>
            _ml.SkillLoc().Evaluation.EvaluateMultiLabel(View(([0.5f, 0.5f, 0], ["a"], ["a"])), labelColumnName: "A")
        );
    }

    private IDataView View(params (float[] Score, string[] Label, string[] Predicted)[] rows)
    {
        IDataView data = _ml.Data.LoadFromEnumerable(
            rows.Select(row => new Row
            {
                A = row.Score[0],
                B = row.Score[1],
                C = row.Score[2],
                Label = row.Label,
                PredictedLabel = row.Predicted,
            })
        );
        return _ml
            .Transforms.Concatenate("Score", Names)
            .Append(_ml.Transforms.Conversion.MapValueToKey("Label"))
            .Append(_ml.Transforms.Conversion.MapValueToKey("PredictedLabel"))
            .Fit(data)
            .Transform(data);
    }

    private sealed class Row
    {
        [ColumnName("a")]
        public float A { get; set; }

        [ColumnName("b")]
        public float B { get; set; }

        [ColumnName("c")]
        public float C { get; set; }

        public string[] Label { get; set; } = [];

        public string[] PredictedLabel { get; set; } = [];
    }
}
