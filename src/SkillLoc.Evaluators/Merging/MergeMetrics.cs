using Microsoft.ML;
using SkillLoc.Models.Merging;

namespace SkillLoc.Evaluators;

/// <summary>How good a merged model is on the tasks of the models that it was made of, and what their weights said of it before.</summary>
public sealed record MergeMetrics
{
    /// <summary>One entry per task, in the given order.</summary>
    public required IReadOnlyList<MergeMetricsEntry> Tasks { get; init; }

    /// <summary>What the weights say; null where no forecast was given.</summary>
    public required MergeForecast? Forecast { get; init; }

    /// <summary>The mean of the merged model's accuracies.</summary>
    public double Accuracy => Tasks.Average(task => task.Accuracy);

    /// <summary>The mean of the single models' accuracies.</summary>
    public double SingleAccuracy => Tasks.Average(task => task.SingleAccuracy);

    /// <summary>The mean of the tasks' <see cref="MergeMetricsEntry.Share"/>.</summary>
    public double Share => Tasks.Average(task => task.Share);

    /// <summary>The mean of the merged model's expected calibration errors.</summary>
    public double ExpectedCalibrationError => Tasks.Average(task => task.ExpectedCalibrationError);

    /// <summary>The tasks as rows, with the columns Task, Count, SingleAccuracy, Accuracy, Share, SingleCalibrationError,
    /// ExpectedCalibrationError, Agreement, Interference and ForecastLoss.</summary>
    /// <param name="context">The context.</param>
    /// <returns>One row per task.</returns>
    public IDataView ToDataView(MLContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return context.Data.LoadFromEnumerable(Tasks);
    }

    internal static MergeMetrics Of(
        IReadOnlyList<MergeTask> tasks,
        IReadOnlyList<(SetScoring Single, SetScoring Merged)> scorings,
        MergeForecast? forecast,
        int numberOfBins
    ) =>
        new()
        {
            Tasks =
            [
                .. tasks.Select(
                    (task, i) => Entry(task.Name, scorings[i].Single.Score(), scorings[i].Merged.Score(), forecast?.Models[i], numberOfBins)
                ),
            ],
            Forecast = forecast,
        };

    private static MergeMetricsEntry Entry(string name, ScoredSet single, ScoredSet merged, MergeForecastEntry? forecast, int numberOfBins)
    {
        CalibrationMetrics before = CalibrationMetrics.Of(single.Rows, numberOfBins),
            after = CalibrationMetrics.Of(merged.Rows, numberOfBins);
        return new(
            name,
            after.Count,
            before.Accuracy,
            after.Accuracy,
            before.Accuracy == 0 ? double.NaN : after.Accuracy / before.Accuracy,
            before.ExpectedCalibrationError,
            after.ExpectedCalibrationError,
            single.Predictions.Zip(merged.Predictions).Average(pair => pair.First == pair.Second ? 1.0 : 0),
            forecast?.Interference ?? double.NaN,
            forecast?.Loss ?? double.NaN
        );
    }
}

/// <summary>How good a merged model is on a task.</summary>
/// <param name="Task">The task's name.</param>
/// <param name="Count">Number of labelled rows.</param>
/// <param name="SingleAccuracy">The accuracy of the task's own model.</param>
/// <param name="Accuracy">The accuracy of the merged model.</param>
/// <param name="Share"><paramref name="Accuracy"/> over <paramref name="SingleAccuracy"/>; NaN if the latter is 0.</param>
/// <param name="SingleCalibrationError">The expected calibration error of the task's own model.</param>
/// <param name="ExpectedCalibrationError">The expected calibration error of the merged model.</param>
/// <param name="Agreement">The share of rows for which both predict the same.</param>
/// <param name="Interference">See <see cref="MergeForecastEntry.Interference"/>; NaN without a forecast.</param>
/// <param name="ForecastLoss">See <see cref="MergeForecastEntry.Loss"/>; NaN without a forecast.</param>
public sealed record MergeMetricsEntry(
    string Task,
    long Count,
    double SingleAccuracy,
    double Accuracy,
    double Share,
    double SingleCalibrationError,
    double ExpectedCalibrationError,
    double Agreement,
    double Interference,
    double ForecastLoss
);
