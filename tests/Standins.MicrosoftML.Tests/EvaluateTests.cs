using Microsoft.ML;
using Microsoft.ML.Data;

namespace Standins.MicrosoftML.Tests;

public sealed class EvaluateTests
{
    private readonly MLContext _ml = new(seed: 1);

    /// <summary>Six scored rows of three classes; labels are zero-based here, and 9 stands for a missing one.</summary>
    private static readonly (uint Label, float[] Score)[] Rows =
    [
        (0, [0.7f, 0.2f, 0.1f]),
        (0, [0.3f, 0.6f, 0.1f]),
        (0, [0.5f, 0.1f, 0.4f]),
        (1, [0.1f, 0.8f, 0.1f]),
        (2, [0.5f, 0.5f, 0f]),
        (9, [1f, 0f, 0f]),
    ];

    [Fact]
    public void Multiclass_metrics_are_those_worked_out_by_hand()
    {
        var metrics = _ml.MulticlassClassification.Evaluate(View(Rows), topKPredictionCount: 2);

        // The row without a label does not count; the last row's probability of 0 counts as 1e-15.
        Assert.Equal(3.0 / 5, metrics.MicroAccuracy, 1e-12);
        Assert.Equal((2.0 / 3 + 1 + 0) / 3, metrics.MacroAccuracy, 1e-12);
        var firstLoss = -Math.Log(0.7f) - Math.Log(0.3f) - Math.Log(0.5f);
        var lastLoss = -Math.Log(1e-15f);
        Assert.Equal((firstLoss - Math.Log(0.8f) + lastLoss) / 5, metrics.LogLoss, 1e-9);
        Assert.Equal(firstLoss / 3, metrics.PerClassLogLoss[0], 1e-9);
        Assert.Equal(-Math.Log(0.8f), metrics.PerClassLogLoss[1], 1e-9);
        Assert.Equal(lastLoss, metrics.PerClassLogLoss[2], 1e-9);
        var entropy = -(0.6 * Math.Log(0.6)) - (2 * 0.2 * Math.Log(0.2));
        Assert.Equal((entropy - metrics.LogLoss) / entropy, metrics.LogLossReduction, 1e-9);
        Assert.Equal(4.0 / 5, metrics.TopKAccuracy, 1e-12);
        Assert.Equal([3.0 / 5, 4.0 / 5], metrics.TopKAccuracyForAllK);
        Assert.Equal(2, metrics.TopKPredictionCount);
    }

    [Fact]
    public void The_confusion_matrix_has_truth_in_rows()
    {
        var matrix = _ml.MulticlassClassification.Evaluate(View(Rows)).ConfusionMatrix;
        Assert.Equal(3, matrix.NumberOfClasses);
        Assert.Equal([2.0, 1, 0], matrix.Counts[0]);
        Assert.Equal([0.0, 1, 0], matrix.Counts[1]);
        Assert.Equal([1.0, 0, 0], matrix.Counts[2]);
        Assert.Equal(1, matrix.GetCountForClassPair(predictedClassIndicatorIndex: 1, actualClassIndicatorIndex: 0));
        Assert.Equal(1, matrix.GetCountForClassPair(predictedClassIndicatorIndex: 0, actualClassIndicatorIndex: 2));
        Assert.Equal([2.0 / 3, 0.5, 0], matrix.PerClassPrecision);
        Assert.Equal([2.0 / 3, 1, 0], matrix.PerClassRecall);
        Assert.Throws<ArgumentOutOfRangeException>(() => matrix.GetCountForClassPair(3, 0));
    }

    [Fact]
    public void The_confusion_table_is_laid_out_for_reading()
    {
        string[] expected =
        [
            "",
            "Confusion table",
            "          ||========================",
            "PREDICTED ||     0 |     1 |     2 | Recall",
            "TRUTH     ||========================",
            "        0 ||     2 |     1 |     0 | 0.6667",
            "        1 ||     0 |     1 |     0 | 1.0000",
            "        2 ||     1 |     0 |     0 | 0.0000",
            "          ||========================",
            "Precision ||0.6667 |0.5000 |0.0000 |",
            "",
        ];
        Assert.Equal(expected,
            _ml.MulticlassClassification.Evaluate(View(Rows)).ConfusionMatrix.GetFormattedConfusionTable().Split(Environment.NewLine));
    }

    [Fact]
    public void Rows_with_scores_that_are_not_numbers_do_not_count()
    {
        var metrics = _ml.MulticlassClassification.Evaluate(View([.. Rows, (1, [float.NaN, 0, 0]), (1, [float.PositiveInfinity, 0, 0])]));
        Assert.Equal(3.0 / 5, metrics.MicroAccuracy, 1e-12);
    }

    [Fact]
    public void Without_top_k_there_is_no_top_k_accuracy()
    {
        var metrics = _ml.MulticlassClassification.Evaluate(View(Rows));
        Assert.Equal(0, metrics.TopKAccuracy);
        Assert.Equal(0, metrics.TopKPredictionCount);
    }

    [Fact]
    public void Labels_may_be_class_numbers()
    {
        var view = _ml.Data.LoadFromEnumerable(Rows.Take(5).Select(r => new NumberScored { Label = r.Label, Score = r.Score }));
        Assert.Equal(3.0 / 5, _ml.MulticlassClassification.Evaluate(view).MicroAccuracy, 1e-12);
    }

    [Fact]
    public void Scores_are_a_vector_of_known_size_and_the_label_a_key_or_number()
    {
        var view = _ml.Data.LoadFromEnumerable([new VariableScored { Score = [0.5f, 0.5f] }]);
        Assert.ThrowsAny<ArgumentException>(() => _ml.MulticlassClassification.Evaluate(view));
        Assert.ThrowsAny<ArgumentException>(() => _ml.MulticlassClassification.Evaluate(View(Rows), scoreColumnName: "Label"));
        Assert.ThrowsAny<ArgumentException>(() => _ml.MulticlassClassification.Evaluate(View(Rows), labelColumnName: "Score"));
        Assert.ThrowsAny<Exception>(() => _ml.MulticlassClassification.Evaluate(View(Rows), labelColumnName: "Absent"));
        Assert.ThrowsAny<Exception>(() => _ml.MulticlassClassification.Evaluate(View(Rows), predictedLabelColumnName: "Absent"));
    }

    [Fact]
    public void Cross_validation_fits_and_scores_every_fold()
    {
        var rows = Enumerable.Range(0, 90)
            .Select(i => new Review { Sentiment = "abc"[i % 3].ToString(), Stars = (i % 3 * 10) + (i * 0.01f) });
        var view = _ml.Data.LoadFromEnumerable(rows);
        var keyed = _ml.Transforms.Conversion.MapValueToKey("Label", "Sentiment").Fit(view).Transform(view);
        var results = _ml.MulticlassClassification.CrossValidate(keyed, new NearestMeanTrainer("Label", "Stars"), numberOfFolds: 3);
        Assert.Equal([0, 1, 2], results.Select(r => r.Fold));
        Assert.All(results, r => Assert.Equal(1, r.Metrics.MicroAccuracy));
        Assert.Equal(view.GetColumn<float>("Stars").Order(), results.SelectMany(r => r.ScoredHoldOutSet.GetColumn<float>("Stars")).Order());
        Assert.Equal(3, results.Select(r => r.Model).Distinct().Count());
    }

    [Fact]
    public void Binary_metrics_are_those_worked_out_by_hand()
    {
        (bool Label, float Score, float Probability)[] rows =
            [(true, 2, 0.9f), (true, 0.5f, 0.6f), (false, 0.5f, 0.6f), (true, -1, 0.2f), (false, -2, 0.1f), (false, float.NaN, 0.5f)];
        var metrics = _ml.BinaryClassification.Evaluate(_ml.Data.LoadFromEnumerable(rows.Select(r =>
            new BinaryScored { Label = r.Label, Score = r.Score, Probability = r.Probability, PredictedLabel = r.Score > 0 })));
        Assert.Equal(3.0 / 5, metrics.Accuracy, 1e-12);
        Assert.Equal(2.0 / 3, metrics.PositivePrecision, 1e-12);
        Assert.Equal(2.0 / 3, metrics.PositiveRecall, 1e-12);
        Assert.Equal(0.5, metrics.NegativePrecision, 1e-12);
        Assert.Equal(0.5, metrics.NegativeRecall, 1e-12);
        Assert.Equal(2.0 / 3, metrics.F1Score, 1e-12);

        // Of six pairs the positive one wins four, and one is a tie.
        Assert.Equal(4.5 / 6, metrics.AreaUnderRocCurve, 1e-12);
        var loss = -(Math.Log2(0.9f) + Math.Log2(0.6f) + Math.Log2(1 - 0.6f) + Math.Log2(0.2f) + Math.Log2(1 - 0.1f)) / 5;
        Assert.Equal(loss, metrics.LogLoss, 1e-6);
        var entropy = -(0.6 * Math.Log2(0.6)) - (0.4 * Math.Log2(0.4));
        Assert.Equal(entropy, metrics.Entropy, 1e-9);
        Assert.Equal((entropy - loss) / entropy, metrics.LogLossReduction, 1e-6);
        Assert.Equal([2.0, 1], metrics.ConfusionMatrix.Counts[0]);
        Assert.Equal([1.0, 1], metrics.ConfusionMatrix.Counts[1]);
    }

    [Fact]
    public void Regression_metrics_are_those_worked_out_by_hand()
    {
        // The rows without a label or score do not count.
        var metrics = _ml.Regression.Evaluate(RegressionView((1, 1.5f), (2, 2), (3, 2), (6, 7), (float.NaN, 5), (5, float.NaN)));

        // Errors 0.5, 0, 1, 1; the labels' squared distances from their mean of 3: 4, 1, 0, 9.
        Assert.Equal(2.5 / 4, metrics.MeanAbsoluteError, 1e-12);
        Assert.Equal(2.25 / 4, metrics.MeanSquaredError, 1e-12);
        Assert.Equal(0.75, metrics.RootMeanSquaredError, 1e-12);
        Assert.Equal(2.25 / 4, metrics.LossFunction, 1e-12);
        Assert.Equal(1 - (2.25 / 14), metrics.RSquared, 1e-12);
    }

    [Fact]
    public void Regression_labels_and_scores_are_single_numbers()
    {
        Assert.ThrowsAny<ArgumentException>(() => _ml.Regression.Evaluate(View(Rows), labelColumnName: "Score"));
        Assert.ThrowsAny<ArgumentException>(() => _ml.Regression.Evaluate(RegressionView((1, 1)), scoreColumnName: "Key"));
        Assert.ThrowsAny<ArgumentException>(() => _ml.Regression.Evaluate(RegressionView((1, 1)), labelColumnName: "Key"));
        Assert.ThrowsAny<Exception>(() => _ml.Regression.Evaluate(RegressionView((1, 1)), labelColumnName: "Absent"));
        Assert.ThrowsAny<Exception>(() => _ml.Regression.Evaluate(RegressionView((1, 1)), scoreColumnName: "Absent"));
    }

    private IDataView RegressionView(params (float Label, float Score)[] rows) =>
        _ml.Data.LoadFromEnumerable(rows.Select(r => new RegressionScored { Label = r.Label, Score = r.Score }));

    private IDataView View((uint Label, float[] Score)[] rows) =>
        _ml.Data.LoadFromEnumerable(rows.Select(r => new Scored { Label = r.Label, Score = r.Score }));

    public sealed class BinaryScored
    {
        public bool Label { get; set; }

        public float Score { get; set; }

        public float Probability { get; set; }

        public bool PredictedLabel { get; set; }
    }

    public sealed class RegressionScored
    {
        public float Label { get; set; }

        public float Score { get; set; }

        [KeyType(3)]
        public uint Key { get; set; }
    }

    public sealed class NumberScored
    {
        public float Label { get; set; }

        [KeyType(3)]
        public uint PredictedLabel { get; set; }

        [VectorType(3)]
        public float[] Score { get; set; } = [];
    }

    public sealed class VariableScored
    {
        [KeyType(3)]
        public uint Label { get; set; }

        [KeyType(3)]
        public uint PredictedLabel { get; set; }

        public float[] Score { get; set; } = [];
    }
}
