namespace SkillLoc.GraftingStudy;

/// <summary>One model measured on its task's test rows, and on those of other distributions.</summary>
public sealed record Measurement
{
    /// <summary>The data set.</summary>
    public required string Task { get; init; }

    /// <summary>Training rows per label.</summary>
    public required int Shots { get; init; }

    /// <summary>The seed.</summary>
    public required int Seed { get; init; }

    /// <summary>Which model this is.</summary>
    public required string Method { get; init; }

    /// <summary>The share that was asked for; null where none is.</summary>
    public double? Sparsity { get; init; }

    /// <summary>Parameters that differ from the pre-trained model's.</summary>
    public required long Changed { get; init; }

    /// <summary>The same as a share of those that fine-tuning could change.</summary>
    public required double Share { get; init; }

    /// <summary>The share of test rows predicted right.</summary>
    public required double Accuracy { get; init; }

    /// <summary>Expected calibration error in 15 bins.</summary>
    public required double CalibrationError { get; init; }

    /// <summary>The share of test rows with the fine-tuned model's prediction.</summary>
    public required double Agreement { get; init; }

    /// <summary>Accuracy and calibration error by data set of another distribution.</summary>
    public required IReadOnlyDictionary<string, OutOfDistribution> Others { get; init; }
}
