using Microsoft.ML;

namespace SkillLoc.Evaluators.Tests;

public sealed class SmoothCalibrationTests
{
    private static SmoothCalibrationMetrics Evaluate(int resamples, int seed, params (float Chance, string Label)[] rows)
    {
        IDataView data = Fake.KeyedRows(rows);
        return Fake.Ml.SkillLoc().Evaluation.EvaluateSmoothCalibration(Fake.YesNo().Transform(data), resamples: resamples, seed: seed);
    }

    private static IEnumerable<(float, string)> Rows(float chance, int yes, int no) =>
        Enumerable.Repeat((chance, "yes"), yes).Concat(Enumerable.Repeat((chance, "no"), no));

    /// <summary>The reflected kernel's integral is 1 wherever its centre is, so with one confidence the error is |0.6 - 0.8|.</summary>
    [Fact]
    public void OfOneConfidenceItIsTheDistanceOfAccuracyAndConfidence()
    {
        SmoothCalibrationMetrics metrics = Evaluate(0, 1, [.. Rows(0.8f, 6, 4)]);
        Assert.Equal(10, metrics.Count);
        Assert.Equal(0.2, metrics.Error, 1e-6);
        Assert.Equal(0.2, metrics.Bandwidth, 1e-6);
        Assert.True(double.IsNaN(metrics.Lower) && double.IsNaN(metrics.Upper));
        Assert.Equal(0.2, Evaluate(0, 1, [.. Rows(1, 8, 2)]).Error, 1e-6);
    }

    /// <summary>
    /// Residuals of -0.1 at 0.6 and of +0.1 at 0.8, half of the rows each: beside one another the integral is 0.1 (2 Phi(0.1 / s) - 1),
    /// which is s at 0.07928. Reflection adds nothing that far from 1: two and a half bandwidths.
    /// </summary>
    [Fact]
    public void OppositeErrorsNextToEachOtherCancelInPart()
    {
        SmoothCalibrationMetrics metrics = Evaluate(0, 1, [.. Rows(0.6f, 50, 50), .. Rows(0.8f, 90, 10)]);
        Assert.Equal(0.0793, metrics.Error, 5e-4);
    }

    [Fact]
    public void OfPerfectScoresItIsNothing()
    {
        SmoothCalibrationMetrics metrics = Evaluate(20, 1, [.. Rows(1, 5, 0)]);
        Assert.Equal(0, metrics.Error, 1e-9);
        Assert.Equal((0, 0), (Math.Round(metrics.Lower, 9), Math.Round(metrics.Upper, 9)));
        Assert.Equal(1.0 / 512, metrics.Bandwidth);
    }

    [Fact]
    public void TheCurveIsTheAccuracyWhereRowsAre()
    {
        SmoothCalibrationMetrics metrics = Evaluate(0, 1, [.. Rows(0.75f, 5, 5)]);
        Assert.Equal(65, metrics.Curve.Count);
        SmoothCalibrationPoint point = metrics.Curve[48];
        Assert.Equal(0.75, point.Confidence);
        Assert.Equal(0.5, point.Accuracy, 1e-6);
        Assert.Equal(1, metrics.Curve.Average(each => each.Density), 0.02);
    }

    [Fact]
    public void TheIntervalIsThatOfTheSeedAndHoldsTheError()
    {
        (float, string)[] rows = [.. Rows(0.8f, 60, 40), .. Rows(0.6f, 50, 50)];
        SmoothCalibrationMetrics metrics = Evaluate(200, 7, rows);
        Assert.InRange(metrics.Error, metrics.Lower, metrics.Upper);
        Assert.InRange(metrics.Upper - metrics.Lower, 0.05, 0.3);
        Assert.Equal((metrics.Lower, metrics.Upper), (Evaluate(200, 7, rows) is var again ? again.Lower : 0, again.Upper));
        Assert.NotEqual(metrics.Lower, Evaluate(200, 8, rows).Lower);
    }

    [Fact]
    public void NegativeNumbersOfResamplesAreRefused() => Assert.Throws<ArgumentOutOfRangeException>(() => Evaluate(-1, 1, (0.5f, "yes")));
}
