namespace SkillLoc.Evaluators;

/// <summary>The metrics of the model at a point of a path on a data set.</summary>
public sealed record InterpolationPoint
{
    /// <summary>The set: Validation, Test or Training.</summary>
    public required string Set { get; init; }

    /// <summary>The position, 0 at the first checkpoint and 1 at the second.</summary>
    public required double X { get; init; }

    /// <summary>The mean loss in nats: for classes, -ln(probability of the true label), as in <see cref="CalibrationMetrics.LogLoss"/>; for
    /// a regression, the Kullback-Leibler divergence of its training; for generated text, the mean token cross-entropy of the first
    /// answers.</summary>
    public required double Loss { get; init; }

    /// <summary>The task's metric, named by <see cref="InterpolationMetrics.Metric"/>; NaN for an undefined correlation of generated
    /// numbers.</summary>
    public required double Metric { get; init; }

    /// <summary>The share of correct rows; NaN if rows have no scores (<see cref="InterpolationSet.Scores"/>).</summary>
    public required double Accuracy { get; init; }

    /// <summary>The expected calibration error, as in <see cref="CalibrationMetrics.ExpectedCalibrationError"/>; NaN for regressions and
    /// free text.</summary>
    public required double ExpectedCalibrationError { get; init; }

    /// <summary>The Brier score, as in <see cref="CalibrationMetrics.BrierScore"/>; NaN for regressions and free text.</summary>
    public required double BrierScore { get; init; }

    /// <summary>Fraction of rows with the same prediction as the first endpoint, label or free text; NaN for a regression. For text-to-text
    /// classification, the prediction is the most likely label, which may differ from the generated text.</summary>
    public required double AgreementWithFirst { get; init; }

    /// <summary>Fraction of rows with the same prediction as the second endpoint; see <see cref="AgreementWithFirst"/>.</summary>
    public required double AgreementWithSecond { get; init; }

    /// <summary>Number of correct rows, which have the score 1.</summary>
    public required long Right { get; init; }

    /// <summary>Number of rows that are correct here but not at the previous point; 0 at the first.</summary>
    public required long Learnt { get; init; }

    /// <summary>Number of rows that are correct at the previous point but not here; 0 at the first.</summary>
    public required long Forgotten { get; init; }
}
