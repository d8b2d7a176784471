using Microsoft.ML;

namespace SkillLoc.Evaluators;

/// <summary>The quality of models on in-distribution and out-of-distribution data (Panigrahi et al. 2023; methods, A.13).</summary>
public sealed record OutOfDistributionMetrics
{
    /// <summary>The name of the in-distribution set.</summary>
    public required string InDistribution { get; init; }

    /// <summary>One entry per model and set, in the given order, sets varying fastest.</summary>
    public required IReadOnlyList<OutOfDistributionEntry> Entries { get; init; }

    /// <summary>The entries as rows, with the columns Model, Set, Count, Accuracy, MacroF1, ExpectedCalibrationError, LogLoss,
    /// MeanConfidence and AccuracyDrop.</summary>
    /// <param name="context">The context.</param>
    /// <returns>One row per model and set.</returns>
    public IDataView ToDataView(MLContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return context.Data.LoadFromEnumerable(Entries);
    }

    internal static OutOfDistributionMetrics Of(IReadOnlyList<SetScoring> scorings, string inDistribution, int numberOfBins)
    {
        OutOfDistributionEntry[] entries =
        [
            .. scorings.Select(scoring =>
            {
                ScoredSet scored = scoring.Score();
                var metrics = CalibrationMetrics.Of(scored.Rows, numberOfBins);
                return new OutOfDistributionEntry(
                    scoring.Model,
                    scoring.Set,
                    metrics.Count,
                    metrics.Accuracy,
                    scored.MacroF1(),
                    metrics.ExpectedCalibrationError,
                    metrics.LogLoss,
                    scored.Rows.Average(row => row.Confidence),
                    AccuracyDrop: 0
                );
            }),
        ];
        var usual = entries
            .Where(entry => entry.Set == inDistribution)
            .ToDictionary(entry => entry.Model, entry => entry.Accuracy, StringComparer.Ordinal);
        return new()
        {
            InDistribution = inDistribution,
            Entries = [.. entries.Select(entry => entry with { AccuracyDrop = usual[entry.Model] - entry.Accuracy })],
        };
    }
}

/// <summary>The quality of a model on a data set.</summary>
/// <param name="Model">The model's name.</param>
/// <param name="Set">The set's name.</param>
/// <param name="Count">Number of labelled rows.</param>
/// <param name="Accuracy">The share of rows whose label has the highest score; ties go to the first.</param>
/// <param name="MacroF1">The mean of the labels' F1, over the model's labels that some row has or is predicted to have.</param>
/// <param name="ExpectedCalibrationError">See <see cref="CalibrationMetrics.ExpectedCalibrationError"/>.</param>
/// <param name="LogLoss">The mean of -ln(probability of the true label), in nats.</param>
/// <param name="MeanConfidence">The mean of the highest probability.</param>
/// <param name="AccuracyDrop">Accuracy on the in-distribution set minus the accuracy here; 0 for that set itself.</param>
public sealed record OutOfDistributionEntry(
    string Model,
    string Set,
    long Count,
    double Accuracy,
    double MacroF1,
    double ExpectedCalibrationError,
    double LogLoss,
    double MeanConfidence,
    double AccuracyDrop
);
