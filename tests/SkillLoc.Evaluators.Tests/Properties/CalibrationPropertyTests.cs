using FsCheck;
using FsCheck.Fluent;
using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Transforms;

namespace SkillLoc.Evaluators.Tests.Properties;

/// <summary>Calibration of any number of labels, and the temperature that is fitted.</summary>
public sealed class CalibrationPropertyTests
{
    private readonly MLContext _ml = new(seed: 1);

    /// <summary>Rows of probabilities with the key of their label, from 1.</summary>
    private static Gen<(float[] Score, uint Label)[]> Rows =>
        from labels in Gen.Choose(2, 5)
        from rows in (
            from parts in Gen.Choose(0, 30).ArrayOf(labels).Where(parts => parts.Sum() > 0)
            from label in Gen.Choose(1, labels)
            select (Array.ConvertAll(parts, part => part / (float)parts.Sum()), (uint)label)
        ).UpTo(25, 1)
        select rows;

    [Fact]
    public void ErrorsAreWithinTheirBounds() =>
        PropertyCheck.ForAll(
            from rows in Rows
            from bins in Gen.Choose(1, 20)
            from order in Gen.Shuffle(rows)
            select (rows, bins, order),
            given =>
            {
                CalibrationMetrics metrics = Evaluate(given.rows, given.bins);
                const double Slack = 1e-6;
                Assert.InRange(metrics.ExpectedCalibrationError, 0, 1);
                Assert.InRange(metrics.AdaptiveCalibrationError, 0, 1);
                Assert.InRange(metrics.MaximumCalibrationError, metrics.ExpectedCalibrationError - Slack, 1);
                Assert.InRange(metrics.BrierScore, 0, 2 + Slack);
                Assert.InRange(metrics.LogLoss, 0, Math.Log(1e15) + Slack);
                Assert.Equal(given.rows.Length, metrics.Bins.Sum(bin => bin.Count));
                Assert.Equal(given.bins, metrics.Bins.Count);
                Assert.All(metrics.Bins.Zip(metrics.Bins.Skip(1)), pair => Assert.Equal(pair.First.Upper, pair.Second.Lower));
                Assert.All(
                    metrics.Bins.Where(bin => bin.Count > 0),
                    bin => Assert.InRange(bin.MeanConfidence, bin.Lower - Slack, bin.Upper + Slack)
                );
                Assert.Equal(
                    given.rows.Average(row => Array.IndexOf(row.Score, row.Score.Max()) + 1 == row.Label ? 1.0 : 0),
                    metrics.Accuracy,
                    1e-9
                );
                Assert.Equal(
                    metrics.Accuracy,
                    metrics.Bins.Where(bin => bin.Count > 0).Sum(bin => bin.Accuracy * bin.Count) / metrics.Count,
                    1e-9
                );

                // One bin has the distance of accuracy and mean confidence, and more bins have no less.
                double gap = Math.Abs(metrics.Accuracy - given.rows.Average(row => (double)row.Score.Max()));
                Assert.Equal(gap, Evaluate(given.rows, 1).ExpectedCalibrationError, Slack);
                Assert.True(metrics.ExpectedCalibrationError >= gap - Slack);

                // The order of rows does not matter.
                CalibrationMetrics shuffled = Evaluate(given.order, given.bins);
                Assert.Equal(metrics.ExpectedCalibrationError, shuffled.ExpectedCalibrationError, 1e-9);
                Assert.Equal(metrics.AdaptiveCalibrationError, shuffled.AdaptiveCalibrationError, 1e-9);
            },
            20
        );

    [Fact]
    public void AFittedTemperatureLosesNothingAndChangesNoPrediction() =>
        PropertyCheck.ForAll(
            Rows,
            rows =>
            {
                IDataView data = View(rows);
                TemperatureTransformer calibrated = _ml.SkillLoc().CalibrateTemperature().Fit(data);
                Assert.InRange(calibrated.Temperature, TemperatureTransformer.LowestTemperature, TemperatureTransformer.HighestTemperature);
                Assert.True(calibrated.LogLoss <= calibrated.LogLossBefore + 1e-9);
                float[][] scores = [.. calibrated.Transform(data).GetColumn<float[]>("Score")];
                Assert.All(
                    rows.Zip(scores),
                    pair => Assert.Equal(pair.Second.Max(), pair.Second[Array.IndexOf(pair.First.Score, pair.First.Score.Max())])
                );

                // Within its range, the temperature of what has been calibrated is 1, as far as Singles tell.
                if (calibrated.Temperature is > 0.2 and < 5 && rows.All(row => row.Score.All(score => score > 0)))
                {
                    Assert.Equal(1, _ml.SkillLoc().CalibrateTemperature().Fit(calibrated.Transform(data)).Temperature, 1e-3);
                }
            },
            10
        );

    private CalibrationMetrics Evaluate((float[] Score, uint Label)[] rows, int bins) =>
        _ml.SkillLoc().EvaluateCalibration(View(rows), numberOfBins: bins);

    private IDataView View((float[] Score, uint Label)[] rows)
    {
        var schema = SchemaDefinition.Create(typeof(Row));
        schema["Score"].ColumnType = new VectorDataViewType(NumberDataViewType.Single, rows[0].Score.Length);
        schema["Label"].ColumnType = new KeyDataViewType(typeof(uint), rows[0].Score.Length);

        // In user classes keys count from 0.
        return _ml.Data.LoadFromEnumerable(rows.Select(row => new Row { Score = row.Score, Label = row.Label - 1 }), schema);
    }

    private sealed class Row
    {
        [KeyType(5)]
        public uint Label { get; set; }

        public float[] Score { get; set; } = [];
    }
}
