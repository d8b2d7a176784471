namespace SkillLoc.Evaluators;

/// <summary>What a model at one place of a path makes of one set of rows.</summary>
public sealed record InterpolationPoint
{
    /// <summary>The set: Validation, Test or Training.</summary>
    public required string Set { get; init; }

    /// <summary>The place, 0 for the first checkpoint and 1 for the second.</summary>
    public required double X { get; init; }

    /// <summary>The mean loss in nats: of classes -ln(probability of the true label), as in <see cref="CalibrationMetrics.LogLoss"/>; of a
    /// regression the Kullback-Leibler divergence that it trains on; of written answers the mean cross-entropy of the tokens of the rows'
    /// first answers.</summary>
    public required double Loss { get; init; }

    /// <summary>The task's metric, which <see cref="InterpolationMetrics.Metric"/> names; NaN for a correlation of written numbers that is
    /// not defined.</summary>
    public required double Metric { get; init; }

    /// <summary>The share of rows predicted right; NaN where rows have no scores (<see cref="InterpolationSet.Scores"/>).</summary>
    public required double Accuracy { get; init; }

    /// <summary>The expected calibration error, as in <see cref="CalibrationMetrics.ExpectedCalibrationError"/>; NaN of a
    /// regression and of free text.</summary>
    public required double ExpectedCalibrationError { get; init; }

    /// <summary>The Brier score, as in <see cref="CalibrationMetrics.BrierScore"/>; NaN of a regression and of free
    /// text.</summary>
    public required double BrierScore { get; init; }

    /// <summary>The share of rows of which the same is predicted as at 0, the label or, of free text, the text; NaN of a regression.
    /// Where a model writes the answers to labels, the label is the likeliest one, which need not be what it wrote.</summary>
    public required double AgreementWithFirst { get; init; }

    /// <summary>The share of rows of which the same is predicted as at 1; see <see cref="AgreementWithFirst"/>.</summary>
    public required double AgreementWithSecond { get; init; }

    /// <summary>The number of rows predicted right, which have the score 1.</summary>
    public required long Right { get; init; }

    /// <summary>The number of rows that are right here and were not at the previous point; 0 at the first.</summary>
    public required long Learnt { get; init; }

    /// <summary>The number of rows that were right at the previous point and are not here; 0 at the first.</summary>
    public required long Forgotten { get; init; }
}
