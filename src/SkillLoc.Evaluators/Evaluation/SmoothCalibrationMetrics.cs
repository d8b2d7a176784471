using Microsoft.ML;

namespace SkillLoc.Evaluators;

/// <summary>
/// Calibration without bins: the smooth calibration error smECE and the curve of a reliability diagram (Błasiok and Nakkiran 2024, Smooth
/// ECE: Principled Reliability Diagrams via Kernel Smoothing, sections 3 and 4; methods, D.5).
/// </summary>
public sealed record SmoothCalibrationMetrics
{
    /// <summary>Number of labelled rows.</summary>
    public required long Count { get; init; }

    /// <summary>
    /// smECE, from 0 to 1. With the confidence f of a row and y = 1 where its prediction is right, else 0: the integral over t from 0 to 1
    /// of |mean of K_s(t, f) (y - f)|, with a Gaussian kernel K of bandwidth s that is reflected at 0 and 1, at the bandwidth that
    /// equals the error. An error below 1/512 is the integral at the bandwidth 1/512.
    /// </summary>
    public required double Error { get; init; }

    /// <summary>The lower end of the 95 % interval of <see cref="Error"/>: the 2.5 % percentile of resamples of the rows; NaN without
    /// resamples. Resampling adds noise, so for a well calibrated model the interval may lie above the error.</summary>
    public required double Lower { get; init; }

    /// <summary>The upper end, the 97.5 % percentile; NaN without resamples.</summary>
    public required double Upper { get; init; }

    /// <summary>The bandwidth of the kernel, which equals <see cref="Error"/> where that is 1/512 or more.</summary>
    public required double Bandwidth { get; init; }

    /// <summary>Number of resamples of the rows.</summary>
    public required int Resamples { get; init; }

    /// <summary>The seed of the resamples.</summary>
    public required int Seed { get; init; }

    /// <summary>The curve of a reliability diagram at the confidences 0, 1/64, ..., 1, with the same kernel.</summary>
    public required IReadOnlyList<SmoothCalibrationPoint> Curve { get; init; }

    /// <summary>The curve as rows, with the columns Confidence, Accuracy, Lower, Upper and Density.</summary>
    /// <param name="context">The context.</param>
    /// <returns>One row per point.</returns>
    public IDataView ToDataView(MLContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return context.Data.LoadFromEnumerable(Curve);
    }

    /// <summary>Measures rows by their highest probability.</summary>
    internal static SmoothCalibrationMetrics Of(MeasuredRow[] rows, int resamples, int seed) =>
        Of([.. rows.Select(row => row.Confidence)], [.. rows.Select(row => row.IsRight)], resamples, seed);

    /// <summary>Measures rows by their confidences and whether they are right.</summary>
    private static SmoothCalibrationMetrics Of(double[] confidences, bool[] right, int resamples, int seed)
    {
        var smooth = new SmoothedResiduals(confidences, right);
        double bandwidth = smooth.FindBandwidth(out double error);
        double[] accuracies = smooth.Curve(bandwidth, out double[] densities);
        var random = new Random(seed);
        double[] errors = new double[resamples];
        double[][] curves = new double[resamples][];
        for (int i = 0; i < resamples; i++)
        {
            var resample = SmoothedResiduals.Resample(confidences, right, random);
            resample.FindBandwidth(out errors[i], bandwidth);
            curves[i] = resample.Curve(bandwidth, out _);
        }

        Array.Sort(errors);
        return new()
        {
            Count = confidences.Length,
            Error = error,
            Lower = Percentile(errors, 0.025),
            Upper = Percentile(errors, 0.975),
            Bandwidth = bandwidth,
            Resamples = resamples,
            Seed = seed,
            Curve =
            [
                .. accuracies.Select(
                    (accuracy, place) =>
                    {
                        double[] values = [.. curves.Select(curve => curve[place]).Where(double.IsFinite).Order()];
                        return new SmoothCalibrationPoint(
                            (double)place / SmoothedResiduals.CurveSteps,
                            accuracy,
                            Percentile(values, 0.025),
                            Percentile(values, 0.975),
                            densities[place]
                        );
                    }
                ),
            ],
        };
    }

    /// <summary>A percentile of sorted values, between the nearest two; NaN if there are none.</summary>
    private static double Percentile(double[] sorted, double share)
    {
        if (sorted.Length == 0)
        {
            return double.NaN;
        }

        double place = share * (sorted.Length - 1);
        int below = (int)place;
        return sorted[below] + ((place - below) * (sorted[Math.Min(below + 1, sorted.Length - 1)] - sorted[below]));
    }
}

/// <summary>A point of a smooth reliability diagram.</summary>
/// <param name="Confidence">The confidence t.</param>
/// <param name="Accuracy">The smoothed share of right predictions, t + sum of K(t, f) (y - f) / sum of K(t, f); NaN where no row is
/// near.</param>
/// <param name="Lower">The 2.5 % percentile of that over resamples of the rows; NaN without resamples.</param>
/// <param name="Upper">The 97.5 % percentile.</param>
/// <param name="Density">The smoothed density of the confidences, whose integral from 0 to 1 is 1.</param>
public sealed record SmoothCalibrationPoint(double Confidence, double Accuracy, double Lower, double Upper, double Density);
