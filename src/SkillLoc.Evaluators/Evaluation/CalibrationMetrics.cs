using Microsoft.ML;

namespace SkillLoc.Evaluators;

/// <summary>Calibration of a classifier: how well its probabilities match the observed frequencies (methods, D.5).</summary>
public sealed record CalibrationMetrics
{
    // ML.NET's evaluator counts smaller probabilities as this.
    private const double SmallestProbability = 1e-15;

    /// <summary>Number of labelled rows.</summary>
    public required long Count { get; init; }

    /// <summary>The share of rows whose label has the highest score; ties go to the first.</summary>
    public required double Accuracy { get; init; }

    /// <summary>
    /// ECE: the mean distance of accuracy and confidence over bins of equal width, weighted by their rows: sum of n_b / n times
    /// |accuracy_b - confidence_b| (Naeini et al. 2015; Guo et al. 2017, equation 3).
    /// </summary>
    public required double ExpectedCalibrationError { get; init; }

    /// <summary>
    /// The adaptive error: the same over equally many bins of equal size, which differ by at most one row (Nguyen and O'Connor 2015,
    /// section 3). Rows of equal confidence share their accuracy, so that the order of the rows does not matter.
    /// </summary>
    public required double AdaptiveCalibrationError { get; init; }

    /// <summary>MCE: the largest |accuracy_b - confidence_b| of the bins of equal width that have rows (Guo et al. 2017, equation
    /// 5).</summary>
    public required double MaximumCalibrationError { get; init; }

    /// <summary>
    /// The Brier score (Brier 1950): the mean squared error of the probabilities, summed over all labels, from 0 to 2; for two labels,
    /// twice the binary score.
    /// </summary>
    public required double BrierScore { get; init; }

    /// <summary>The mean of -ln(probability of the true label), in nats; probabilities below 1e-15 count as 1e-15, as in ML.NET.</summary>
    public required double LogLoss { get; init; }

    /// <summary>The bins of equal width from 0 to 1, empty ones included, for a reliability diagram.</summary>
    public required IReadOnlyList<CalibrationBin> Bins { get; init; }

    /// <summary>The bins as rows, with the columns Lower, Upper, Count, MeanConfidence and Accuracy.</summary>
    /// <param name="context">The context.</param>
    /// <returns>One row per bin.</returns>
    public IDataView ToDataView(MLContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return context.Data.LoadFromEnumerable(Bins);
    }

    internal static CalibrationMetrics Of(MeasuredRow[] rows, int numberOfBins)
    {
        CalibrationBin[] bins = EqualWidthBins(rows, numberOfBins);
        return new()
        {
            Count = rows.Length,
            Accuracy = rows.Average(row => row.IsRight ? 1.0 : 0.0),
            ExpectedCalibrationError = bins.Sum(bin => bin.Count * bin.Gap) / rows.Length,
            AdaptiveCalibrationError = AdaptiveError(rows, numberOfBins),
            MaximumCalibrationError = bins.Max(bin => bin.Gap),
            BrierScore = rows.Average(row => row.SquaredError),
            LogLoss = -rows.Average(row => Math.Log(Math.Clamp(row.LabelProbability, SmallestProbability, 1))),
            Bins = bins,
        };
    }

    private static CalibrationBin[] EqualWidthBins(MeasuredRow[] rows, int numberOfBins)
    {
        ILookup<int, MeasuredRow> byBin = rows.ToLookup(row => BinOf(row.Confidence, numberOfBins));
        return
        [
            .. Enumerable
                .Range(0, numberOfBins)
                .Select(bin => new CalibrationBin(
                    (double)bin / numberOfBins,
                    (bin + 1.0) / numberOfBins,
                    byBin[bin].LongCount(),
                    byBin[bin].Select(row => row.Confidence).DefaultIfEmpty(double.NaN).Average(),
                    byBin[bin].Select(row => row.IsRight ? 1.0 : 0.0).DefaultIfEmpty(double.NaN).Average()
                )),
        ];
    }

    /// <summary>A score of 0.8f is a little above 0.8, and belongs to the bin that ends there: bounds are compared as float32.</summary>
    private static int BinOf(double confidence, int numberOfBins)
    {
        int bin = Math.Clamp((int)Math.Ceiling(confidence * numberOfBins) - 1, 0, numberOfBins - 1);
        return bin > 0 && (float)confidence <= (float)((double)bin / numberOfBins) ? bin - 1 : bin;
    }

    private static double AdaptiveError(MeasuredRow[] rows, int numberOfBins)
    {
        double[] gaps =
        [
            .. rows.GroupBy(row => row.Confidence)
                .OrderBy(group => group.Key)
                .SelectMany(group => Enumerable.Repeat(group.Average(row => row.IsRight ? 1.0 : 0.0) - group.Key, group.Count())),
        ];
        double error = 0;
        for (int bin = 0; bin < numberOfBins; bin++)
        {
            int start = (int)((long)bin * gaps.Length / numberOfBins),
                end = (int)((bin + 1L) * gaps.Length / numberOfBins);
            error += Math.Abs(gaps[start..end].Sum());
        }

        return error / gaps.Length;
    }
}

/// <summary>A bin of a reliability diagram: the rows whose confidence lies in (<paramref name="Lower"/>,
/// <paramref name="Upper"/>].</summary>
/// <param name="Lower">The lower bound, exclusive.</param>
/// <param name="Upper">The upper bound, inclusive.</param>
/// <param name="Count">Number of rows.</param>
/// <param name="MeanConfidence">Their mean confidence; NaN for an empty bin.</param>
/// <param name="Accuracy">The share of correct predictions; NaN for an empty bin.</param>
public sealed record CalibrationBin(double Lower, double Upper, long Count, double MeanConfidence, double Accuracy)
{
    /// <summary>|accuracy - confidence|; 0 for an empty bin.</summary>
    internal double Gap => Count == 0 ? 0 : Math.Abs(Accuracy - MeanConfidence);
}
