using SkillLoc.Evaluators;

namespace SkillLoc.Serve;

/// <summary>How often a skill was right on test rows, by how sure it was: a reliability diagram.</summary>
/// <param name="Count">The number of rows.</param>
/// <param name="Accuracy">The share of them that it was right in.</param>
/// <param name="ExpectedCalibrationError">The mean distance of confidence and accuracy over the bins, weighted by their rows.</param>
/// <param name="Bins">The bins that have rows.</param>
public sealed record Calibration(long Count, double Accuracy, double ExpectedCalibrationError, IReadOnlyList<Calibration.Bin> Bins)
{
    /// <summary>The file of a skill's calibration, beside the skill.</summary>
    public const string FileSuffix = ".calibration.json";

    /// <summary>Takes what <c>EvaluateCalibration</c> measured.</summary>
    /// <param name="metrics">The metrics.</param>
    /// <returns>What is shown of them.</returns>
    public static Calibration Of(CalibrationMetrics metrics)
    {
        ArgumentNullException.ThrowIfNull(metrics);
        return new(
            metrics.Count,
            metrics.Accuracy,
            metrics.ExpectedCalibrationError,
            [
                .. metrics
                    .Bins.Where(bin => bin.Count > 0)
                    .Select(bin => new Bin(bin.Lower, bin.Upper, bin.Count, bin.MeanConfidence, bin.Accuracy)),
            ]
        );
    }

    /// <summary>The rows whose confidence lies in (<paramref name="Lower"/>, <paramref name="Upper"/>].</summary>
    /// <param name="Lower">The lower bound, exclusive.</param>
    /// <param name="Upper">The upper bound, inclusive.</param>
    /// <param name="Count">The number of rows.</param>
    /// <param name="Confidence">Their mean confidence.</param>
    /// <param name="Accuracy">The share of them that the skill was right in.</param>
    public sealed record Bin(double Lower, double Upper, long Count, double Confidence, double Accuracy);
}
