namespace SkillLoc.MergingStudy;

/// <summary>A model's quality on a task.</summary>
public sealed record Measurement
{
    /// <summary>The seed.</summary>
    public required int Seed { get; init; }

    /// <summary>How the model was made.</summary>
    public required string Model { get; init; }

    /// <summary>The value that was chosen on dev rows; null where nothing was.</summary>
    public double? Choice { get; init; }

    /// <summary>The task.</summary>
    public required string Task { get; init; }

    /// <summary>Number of test rows; 0 in results that were measured before they had it.</summary>
    public long Count { get; init; }

    /// <summary>The accuracy on test rows.</summary>
    public required double Accuracy { get; init; }

    /// <summary>The expected calibration error on test rows.</summary>
    public required double CalibrationError { get; init; }

    /// <summary>The share of test rows for which the single model predicts the same.</summary>
    public required double Agreement { get; init; }

    /// <summary>The share of the single model's movement that goes against the sum of all; NaN where nothing was merged.</summary>
    public required double Interference { get; init; }

    /// <summary>What the weights forecast that the merge loses; NaN where nothing was merged.</summary>
    public required double ForecastLoss { get; init; }
}
