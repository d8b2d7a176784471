using SkillLoc.Evaluators;
using SkillLoc.Reports.Drawing;

namespace SkillLoc.Reports.Pictures;

/// <summary>How well confidences match the share of right predictions.</summary>
internal static class CalibrationPictures
{
    public static IEnumerable<Picture> Of(CalibrationMetrics metrics, SmoothCalibrationMetrics? smooth)
    {
        if (metrics.Count == 0 || metrics.Bins.All(bin => bin.Count == 0))
        {
            throw new ArgumentException("The calibration metrics are of no row: there is nothing to show.", nameof(metrics));
        }

        CalibrationBin[] bins = [.. metrics.Bins.Where(bin => bin.Count > 0)];
        double confidence = bins.Sum(bin => bin.Count * bin.MeanConfidence) / metrics.Count;
        string smoothly = smooth is null
            ? ""
            : $" The smooth error smECE is {Words.Number(smooth.Error)}"
                + (double.IsNaN(smooth.Lower) ? "." : $", 95 % interval {Words.Number(smooth.Lower)} to {Words.Number(smooth.Upper)}.");
        yield return new(
            "Reliability diagram",
            $"Of {Words.Count(metrics.Count, "row")} {Words.Percent(metrics.Accuracy)} are right, with a mean confidence of "
                + $"{Words.Percent(confidence)}: the predictions are {Verdict(confidence - metrics.Accuracy)}. The binned error ECE is "
                + $"{Words.Number(metrics.ExpectedCalibrationError)} in {metrics.Bins.Count} bins of equal width, the largest gap of a bin "
                + $"{Words.Number(metrics.MaximumCalibrationError)}.{smoothly}",
            Table.Of(
                ["Lower", "Upper", "Rows", "MeanConfidence", "Accuracy", "AccuracyLow95", "AccuracyHigh95"],
                metrics.Bins.Select(bin =>
                {
                    double[] interval = Intervals.OfShare(bin.Accuracy, bin.Count);
                    return (IReadOnlyList<object>)
                        [bin.Lower, bin.Upper, bin.Count, bin.MeanConfidence, bin.Accuracy, interval[0], interval[1]];
                })
            ),
            isVector => Diagram(isVector, metrics, bins, smooth)
        )
        {
            Provenance = new() { Rows = Words.Count(metrics.Count, "row") },
            Intervals =
                Intervals.OverRows
                + (
                    smooth is { Resamples: > 0 }
                        ? FormattableString.Invariant(
                            $"; smECE and its curve: percentiles of {smooth.Resamples} resamples of the rows, seed {smooth.Seed}"
                        )
                        : ""
                ),
        };
        yield return new(
            "Confidence histogram",
            $"Most rows, {Words.Percent(bins.Max(bin => bin.Count) / (double)metrics.Count)}, have a confidence between "
                + $"{Words.Number(bins.MaxBy(bin => bin.Count)!.Lower)} and {Words.Number(bins.MaxBy(bin => bin.Count)!.Upper)}. The lines "
                + "stand at the mean confidence and at the share of right predictions.",
            Table.Of(["Lower", "Upper", "Rows"], metrics.Bins.Select(bin => (IReadOnlyList<object>)[bin.Lower, bin.Upper, bin.Count])),
            isVector =>
            {
                double most = bins.Max(bin => bin.Count);
                var chart = new Chart(isVector, Scale.Share("confidence"), Scale.Of("rows", 0, most * 1.05));
                foreach (CalibrationBin bin in bins)
                {
                    chart.Bar(bin.Lower, bin.Upper - (0.1 * (bin.Upper - bin.Lower)), 0, bin.Count, 0, 0.7);
                }

                chart.Segment(confidence, 0, confidence, most * 1.05, 1, 1, 1.8f);
                chart.Segment(metrics.Accuracy, 0, metrics.Accuracy, most * 1.05, 2, 0, 1.8f);
                chart.AddToLegend($"mean confidence, {Words.Percent(confidence)}", 1, 1, hasLine: true, hasMark: false);
                chart.AddToLegend($"right predictions, {Words.Percent(metrics.Accuracy)}", 2, 0, hasLine: true, hasMark: false);
                return chart;
            }
        )
        {
            Provenance = new() { Rows = Words.Count(metrics.Count, "row") },
        };
    }

    private static string Verdict(double excess) =>
        excess > 0.02 ? "too sure"
        : excess < -0.02 ? "not sure enough"
        : "about as sure as they are right";

    private static Chart Diagram(bool isVector, CalibrationMetrics metrics, CalibrationBin[] bins, SmoothCalibrationMetrics? smooth)
    {
        var chart = new Chart(isVector, Scale.Share("confidence"), Scale.Share("share of right predictions"));
        foreach (CalibrationBin bin in bins)
        {
            chart.Bar(bin.Lower, bin.Upper, 0, bin.Accuracy, 0, 0.18);
        }

        chart.Segment(0, 0, 1, 1, Theme.Control, 1);
        if (smooth is not null)
        {
            // Where next to no row is, the curve says nothing.
            double enough = smooth.Curve.Max(point => point.Density) * 0.02;
            double[] xs = [.. smooth.Curve.Select(point => point.Confidence)];
            chart.Band(xs, Near(point => point.Lower), Near(point => point.Upper), 1);
            chart.Line(xs, Near(point => point.Accuracy), 1, 0, null, marks: false);

            double[] Near(Func<SmoothCalibrationPoint, double> value) =>
                [
                    .. smooth.Curve.Select(point =>
                        point.Density < enough || point.Confidence < bins[0].Lower || point.Confidence > bins[^1].Upper
                            ? double.NaN
                            : Math.Clamp(value(point), 0, 1)
                    ),
                ];
        }

        foreach (CalibrationBin bin in bins)
        {
            double[] interval = Intervals.OfShare(bin.Accuracy, bin.Count);
            chart.Interval(bin.MeanConfidence, interval[0], interval[1], 0);
        }

        chart.Points(
            [.. bins.Select(bin => bin.MeanConfidence)],
            [.. bins.Select(bin => bin.Accuracy)],
            0,
            $"bins, ECE {Words.Number(Math.Round(metrics.ExpectedCalibrationError, 3))}"
        );
        if (smooth is not null)
        {
            chart.AddToLegend(
                $"smooth, smECE {Words.Number(Math.Round(smooth.Error, 3))}"
                    + (
                        double.IsNaN(smooth.Lower)
                            ? ""
                            : $" ({Words.Number(Math.Round(smooth.Lower, 3))} to {Words.Number(Math.Round(smooth.Upper, 3))})"
                    ),
                1,
                0,
                hasLine: true,
                hasMark: false
            );
        }

        chart.AddToLegend("as sure as right", Theme.Control, 1, hasLine: true, hasMark: false);
        return chart;
    }
}
