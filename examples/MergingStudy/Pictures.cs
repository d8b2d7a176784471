using Microsoft.ML;
using SkillLoc.Reports;

namespace SkillLoc.MergingStudy;

/// <summary>The measurements as a report with pictures.</summary>
internal static class Pictures
{
    /// <summary>Models against tasks: what they achieve, what goes against the merge, and what the weights foretold.</summary>
    /// <param name="plan">The plan.</param>
    /// <param name="measurements">What was measured.</param>
    public static ReportBuilder Of(StudyPlan plan, IReadOnlyList<Measurement> measurements)
    {
        string[] tasks = [.. plan.Tasks.Select(task => task.Name)],
            models = [.. measurements.Select(each => each.Model).Distinct()];
        return new MLContext()
            .SkillLoc()
            .Report(
                "Merging",
                "Models that were fine-tuned on one task each, and merges of them, measured on test rows; means over the seeds.",
                new Provenance
                {
                    Rows = "test rows of each task",
                    Seeds = [.. plan.Seeds],
                    Chosen = "states of training and parameters of methods, on dev rows",
                }
            )
            .Add("Accuracy", Matrix("accuracy", each => each.Accuracy))
            .Add("Calibration", Matrix("expected calibration error", each => each.CalibrationError))
            .Add("Agreement with the single models", Matrix("agreement", each => each.Agreement))
            .Add("Interference", Matrix("share of the movement against the sum", each => each.Interference))
            .Add("Forecast", Matrix("loss that the weights foretell", each => each.ForecastLoss));

        NamedMatrix Matrix(string measure, Func<Measurement, double> of) =>
            new()
            {
                Measure = measure,
                RowsAre = "model",
                ColumnsAre = "task",
                Rows = models,
                Columns = tasks,
                Values =
                [
                    .. models.Select(model =>
                        (IReadOnlyList<double>)
                            [
                                .. tasks.Select(task =>
                                    measurements
                                        .Where(each => each.Model == model && each.Task == task)
                                        .Select(of)
                                        .DefaultIfEmpty(double.NaN)
                                        .Average()
                                ),
                            ]
                    ),
                ],
            };
    }
}
