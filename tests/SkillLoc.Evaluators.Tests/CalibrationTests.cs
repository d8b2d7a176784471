using FsCheck.Fluent;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace SkillLoc.Evaluators.Tests;

public sealed class CalibrationTests
{
    private static readonly MLContext Ml = new(seed: 1);

    private sealed class Binary
    {
        [KeyType(2)]
        public uint Label { get; set; }

        [VectorType(2)]
        public float[] Score { get; set; } = [];

        [KeyType(2)]
        public uint PredictedLabel { get; set; }
    }

    private sealed class Ternary
    {
        [KeyType(3)]
        public uint Label { get; set; }

        [VectorType(3)]
        public float[] Score { get; set; } = [];
    }

    private sealed class Unfit
    {
        public float Label { get; set; }

        public string Text { get; set; } = "";

        public float[] Score { get; set; } = [];

        [KeyType(2)]
        public uint Key { get; set; }
    }

    /// <summary>Rows by the probability of the first label and the label's key, 0 for none; in user classes ML.NET's keys count from
    /// 0.</summary>
    private static IDataView View(params (float Probability, uint Label)[] rows) =>
        Ml.Data.LoadFromEnumerable(
            rows.Select(row => new Binary
            {
                Label = unchecked(row.Label - 1),
                Score = [row.Probability, 1 - row.Probability],
                PredictedLabel = row.Probability >= 0.5f ? 0u : 1u,
            })
        );

    private static CalibrationMetrics Evaluate(IDataView data, int numberOfBins = 15) =>
        Ml.SkillLoc().EvaluateCalibration(data, numberOfBins: numberOfBins);

    [Fact]
    public void FourRowsMatchWhatWasComputedByHand()
    {
        // Confidences 0.9 (right), 0.8 (wrong), 0.75 (right), 0.625 (right); ten bins put them into the 9th, 8th, 8th and 7th.
        CalibrationMetrics metrics = Evaluate(View((0.9f, 1), (0.8f, 2), (0.25f, 2), (0.625f, 1)), numberOfBins: 10);

        Assert.Equal(4, metrics.Count);
        Assert.Equal(0.75, metrics.Accuracy, 6);
        Assert.Equal(10, metrics.Bins.Count);

        Assert.Equal([0, 0, 0, 0, 0, 0, 1, 2, 1, 0], metrics.Bins.Select(bin => bin.Count));
        Assert.Equal(0.775, metrics.Bins[7].MeanConfidence, 6);
        Assert.Equal(0.5, metrics.Bins[7].Accuracy, 6);
        Assert.True(double.IsNaN(metrics.Bins[0].MeanConfidence) && double.IsNaN(metrics.Bins[0].Accuracy));
        Assert.Equal(((0.375 * 1) + (0.275 * 2) + (0.1 * 1)) / 4, metrics.ExpectedCalibrationError, 6);
        Assert.Equal(0.375, metrics.MaximumCalibrationError, 6);
        Assert.Equal(2 * (0.01 + 0.64 + 0.0625 + 0.140625) / 4, metrics.BrierScore, 5);
        Assert.Equal(-(Math.Log(0.9) + Math.Log(0.2) + Math.Log(0.75) + Math.Log(0.625)) / 4, metrics.LogLoss, 5);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void KeysAndScoresGoTogetherByName(bool reverse)
    {
        // The keys are 1 for no and 2 for yes; the slots are yes, no, or the other way round.
        IDataView data = Fake.KeyedRows((0.25f, "no"), (0.75f, "yes"), (0.875f, "yes"), (0.625f, "no"));
        CalibrationMetrics metrics = Evaluate(Fake.YesNo(reverse: reverse).Transform(data));
        Assert.Equal(0.75, metrics.Accuracy);
        Assert.Equal((Math.Log(1 / 0.75) + Math.Log(1 / 0.75) + Math.Log(1 / 0.875) + Math.Log(1 / 0.375)) / 4, metrics.LogLoss, 1e-6);
        Assert.Equal(2 * ((0.25 * 0.25) + (0.25 * 0.25) + (0.125 * 0.125) + (0.625 * 0.625)) / 4, metrics.BrierScore, 1e-6);
    }

    [Fact]
    public void ALabelThatTheScoresDoNotKnowIsWrong()
    {
        CalibrationMetrics metrics = Evaluate(Fake.YesNo().Transform(Fake.KeyedRows((0.75f, "maybe"), (0.75f, "yes"))));
        Assert.Equal(0.5, metrics.Accuracy);
        Assert.Equal((-Math.Log(1e-15) - Math.Log(0.75)) / 2, metrics.LogLoss, 1e-6);

        IDataView other = Fake.YesNo().Transform(Fake.KeyedRows((0.75f, "ja"), (0.5f, "nein")));
        InvalidOperationException error = Assert.Throws<InvalidOperationException>(() => Evaluate(other));
        Assert.Contains("'yes', 'no'", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void NumbersGoTogetherByNameToo()
    {
        IDataView data = Ml.Data.LoadFromEnumerable(
            new[]
            {
                new Numbered
                {
                    Label = 2,
                    One = 0.75f,
                    Two = 0.25f,
                },
                new Numbered
                {
                    Label = 1,
                    One = 0.75f,
                    Two = 0.25f,
                },
            }
        );
        IDataView scored = Ml
            .Transforms.Conversion.MapValueToKey("Label")
            .Append(Ml.Transforms.Concatenate("Score", "1", "2"))
            .Fit(data)
            .Transform(data);
        Assert.Equal((Math.Log(1 / 0.25) + Math.Log(1 / 0.75)) / 2, Evaluate(scored).LogLoss, 1e-6);
    }

    [Fact]
    public void ALabelThatIsCalledAsAColumnIsFoundInALoadedModel()
    {
        IDataView data = Fake.KeyedRows((0.75f, "Label"), (0.75f, "no"));
        IDataView scored = Ml
            .Transforms.CopyColumns("Score.Label", "yes")
            .Append(Ml.Transforms.Concatenate("Score", "no", "Score.Label"))
            .Fit(Fake.YesNo().Transform(data))
            .Transform(Fake.YesNo().Transform(data));
        Assert.Equal((Math.Log(1 / 0.75) + Math.Log(1 / 0.25)) / 2, Evaluate(scored).LogLoss, 1e-6);
    }

    private sealed class Numbered
    {
        public float Label { get; set; }

        [ColumnName("1")]
        public float One { get; set; }

        [ColumnName("2")]
        public float Two { get; set; }
    }

    [Fact]
    public void ThreeLabelsMatchWhatWasComputedByHand()
    {
        IDataView data = Ml.Data.LoadFromEnumerable(
            new[]
            {
                new Ternary { Label = 0, Score = [0.5f, 0.25f, 0.25f] },
                new Ternary { Label = 2, Score = [0.25f, 0.625f, 0.125f] },
            }
        );
        CalibrationMetrics metrics = Evaluate(data, numberOfBins: 2);

        // 0.5 is the upper bound of the first bin, and bounds belong to the bin below.
        Assert.Equal([1, 1], metrics.Bins.Select(bin => bin.Count));
        Assert.Equal(0.5, metrics.Accuracy, 6);
        Assert.Equal((0.5 + 0.625) / 2, metrics.ExpectedCalibrationError, 6);
        Assert.Equal((0.25 + 0.0625 + 0.0625 + 0.0625 + 0.390625 + 0.765625) / 2, metrics.BrierScore, 6);
        Assert.Equal(-(Math.Log(0.5) + Math.Log(0.125)) / 2, metrics.LogLoss, 6);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    [InlineData(15)]
    public void PerfectCalibrationHasNoError(int numberOfBins)
    {
        // Of 8 rows with confidence k/8, k are right.
        (float, uint)[] rows =
        [
            .. from eighths in Enumerable.Range(4, 5) from row in Enumerable.Range(0, 8) select (eighths / 8f, row < eighths ? 1u : 2u),
        ];
        CalibrationMetrics metrics = Evaluate(View(rows), numberOfBins);
        Assert.Equal(0, metrics.ExpectedCalibrationError, 9);
        Assert.Equal(0, metrics.MaximumCalibrationError, 9);
        Assert.Equal(0, Evaluate(View(rows), 5).AdaptiveCalibrationError, 9);
    }

    [Fact]
    public void OneBinMeasuresTheDistanceOfAccuracyAndMeanConfidence()
    {
        CalibrationMetrics metrics = Evaluate(View((1, 1), (0.75f, 1), (0.75f, 2), (0.5f, 2)), numberOfBins: 1);
        Assert.Equal(0.25, metrics.ExpectedCalibrationError, 9);
        Assert.Equal(0.25, metrics.MaximumCalibrationError, 9);
        Assert.Equal(0.25, metrics.AdaptiveCalibrationError, 9);
        Assert.Equal(4, Assert.Single(metrics.Bins).Count);
    }

    [Fact]
    public void AdaptiveBinsHaveEquallyManyRows()
    {
        // By confidence: 0.5 right, 0.625 wrong | 0.75 right, 0.875 right: |1 - 1.125| and |2 - 1.625|. By width, 0.5 is alone in the
        // lower bin: |1 - 0.5| and |2 - 2.25|.
        CalibrationMetrics metrics = Evaluate(View((0.875f, 1), (0.5f, 1), (0.75f, 1), (0.625f, 2)), numberOfBins: 2);
        Assert.Equal((0.125 + 0.375) / 4, metrics.AdaptiveCalibrationError, 9);
        Assert.Equal((0.5 + 0.25) / 4, metrics.ExpectedCalibrationError, 9);
    }

    [Fact]
    public void EqualConfidencesGiveTheSameAdaptiveErrorInAnyOrder()
    {
        (float, uint)[] rows = [(0.75f, 1), (0.75f, 2), (0.75f, 1), (0.75f, 2), (0.75f, 2)];
        Assert.Equal(0.35, Evaluate(View(rows), 2).AdaptiveCalibrationError, 9);
        Assert.Equal(0.35, Evaluate(View([.. rows.Reverse()]), 3).AdaptiveCalibrationError, 9);
    }

    [Fact]
    public void MoreBinsThanRowsAreAllowed()
    {
        CalibrationMetrics metrics = Evaluate(View((0.75f, 1)), numberOfBins: 100);
        Assert.Equal(0.25, metrics.ExpectedCalibrationError, 9);
        Assert.Equal(0.25, metrics.AdaptiveCalibrationError, 9);
    }

    [Fact]
    public void BoundsHoldForAnyRows() =>
        FsCheck.Check.QuickThrowOnFailure(
            Prop.ForAll(
                ArbMap.Default.GeneratorFor<(byte, bool)[]>().Where(rows => rows.Length > 0).ToArbitrary(),
                rows =>
                {
                    CalibrationMetrics metrics = Evaluate(View([.. rows.Select(row => (row.Item1 / 255f, row.Item2 ? 1u : 2u))]), 7);
                    double slack = 1e-9,
                        gap = Math.Abs(metrics.Accuracy - rows.Average(row => Math.Max(row.Item1, 255 - row.Item1) / 255.0));
                    return metrics.Bins.Sum(bin => bin.Count) == rows.Length
                        && gap <= metrics.ExpectedCalibrationError + 1e-6
                        && gap <= metrics.AdaptiveCalibrationError + 1e-6
                        && metrics.ExpectedCalibrationError <= metrics.MaximumCalibrationError + slack
                        && metrics.MaximumCalibrationError <= 1
                        && metrics.BrierScore >= 0
                        && metrics.BrierScore <= 2 + slack;
                }
            )
        );

    [Fact]
    public void AccuracyAndLogLossAreThoseOfMLNet()
    {
        var random = new Random(3);
        IDataView data = View([.. Enumerable.Range(0, 200).Select(i => (i < 3 ? i / 2f : random.NextSingle(), (uint)random.Next(0, 3)))]);
        CalibrationMetrics metrics = Evaluate(data);
        MulticlassClassificationMetrics expected = Ml.MulticlassClassification.Evaluate(data);
        Assert.Equal(expected.MicroAccuracy, metrics.Accuracy, 9);
        Assert.Equal(expected.LogLoss, metrics.LogLoss, 6);
        Assert.InRange(metrics.Count, 1, 199);
    }

    [Theory]
    [InlineData(0.8f, 15, 11)]
    [InlineData(0.6f, 10, 5)]
    [InlineData(0.7f, 10, 6)]
    [InlineData(1.0f, 10, 9)]
    [InlineData(0.8001f, 15, 12)]
    public void AConfidenceOnABoundBelongsToTheBinBelowIt(float confidence, int bins, int expected)
    {
        IReadOnlyList<CalibrationBin> all = Evaluate(View((confidence, 1)), bins).Bins;
        Assert.Equal(1, all[expected].Count);
    }

    [Fact]
    public void BinsAreADataView()
    {
        CalibrationMetrics metrics = Evaluate(View((0.9f, 1), (0.6f, 2)), numberOfBins: 4);
        IDataView bins = metrics.ToDataView(Ml);
        Assert.Equal(["Lower", "Upper", "Count", "MeanConfidence", "Accuracy"], bins.Schema.Select(column => column.Name));
        Assert.Equal(metrics.Bins.Select(bin => bin.Upper), bins.GetColumn<double>("Upper"));
        Assert.Equal([0L, 0, 1, 1], bins.GetColumn<long>("Count"));
    }

    [Fact]
    public void RowsWithoutALabelAreLeftOut() => Assert.Equal(1, Evaluate(View((0.75f, 1), (0.75f, 0))).Count);

    [Fact]
    public void AViewWithoutLabelledRowsIsRefused()
    {
        Assert.Contains("Label", Assert.Throws<InvalidOperationException>(() => Evaluate(View())).Message);
        Assert.Throws<InvalidOperationException>(() => Evaluate(View((0.75f, 0))));
    }

    [Theory]
    [InlineData(2f, -1f)]
    [InlineData(0.7f, 0.7f)]
    [InlineData(float.NaN, 0.5f)]
    public void ScoresThatAreNoProbabilitiesAreRefused(float first, float second)
    {
        IDataView data = Ml.Data.LoadFromEnumerable(
            new[]
            {
                new Binary { Label = 1, Score = [0.5f, 0.5f] },
                new Binary { Label = 1, Score = [first, second] },
            }
        );
        string message = Assert.Throws<InvalidOperationException>(() => Evaluate(data)).Message;
        Assert.Contains("Row 1", message);
        Assert.Contains("Score", message);
    }

    [Fact]
    public void ColumnsAreChecked()
    {
        IDataView unfit = Ml.Data.LoadFromEnumerable(new[] { new Unfit() });
        SkillLocCatalog catalog = Ml.SkillLoc();
        Assert.Contains(
            "'Nothing'",
            Assert.Throws<ArgumentOutOfRangeException>(() => catalog.EvaluateCalibration(unfit, "Nothing")).Message
        );
        Assert.Contains("'Label'", Assert.Throws<ArgumentOutOfRangeException>(() => catalog.EvaluateCalibration(unfit)).Message);
        Assert.Contains("'Score'", Assert.Throws<ArgumentOutOfRangeException>(() => catalog.EvaluateCalibration(unfit, "Key")).Message);
        Assert.Contains(
            "'Text'",
            Assert.Throws<ArgumentOutOfRangeException>(() => catalog.EvaluateCalibration(unfit, "Key", "Text")).Message
        );
        Assert.Throws<ArgumentOutOfRangeException>(() => catalog.EvaluateCalibration(View((1, 1)), numberOfBins: 0));
    }
}
