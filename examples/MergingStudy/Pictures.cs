using Microsoft.ML;
using SkillLoc.Evaluators;
using SkillLoc.Reports;

namespace SkillLoc.MergingStudy;

/// <summary>The measurements as a report with pictures.</summary>
internal static class Pictures
{
    /// <summary>Models against tasks: what they achieve, what share that is, and what the weights foretold.</summary>
    /// <param name="plan">The plan.</param>
    /// <param name="measurements">What was measured.</param>
    public static ReportBuilder Of(StudyPlan plan, IReadOnlyList<Measurement> measurements)
    {
        var merges = new OrderedDictionary<string, IReadOnlyList<MergeMetrics>>(StringComparer.Ordinal);
        foreach (IGrouping<string, Measurement> model in measurements.GroupBy(each => each.Model, StringComparer.Ordinal))
        {
            merges.Add(
                model.Key,
                [.. model.GroupBy(each => each.Seed).Select(seed => new MergeMetrics { Tasks = [.. seed.Select(Entry)], Forecast = null })]
            );
        }

        return new MLContext()
            .SkillLoc()
            .Report(
                "Merging",
                "Models that were fine-tuned on one task each, and merges of them, measured on test rows.",
                new Provenance { Seeds = [.. plan.Seeds], Chosen = "states of training and parameters of methods, on dev rows" }
            )
            .Add("Merges beside the single models", merges);

        MergeMetricsEntry Entry(Measurement each)
        {
            Measurement single = measurements.First(other =>
                (other.Model, other.Task, other.Seed) == (Report.Single, each.Task, each.Seed)
            );
            return new(
                each.Task,
                each.Count,
                single.Accuracy,
                each.Accuracy,
                each.Accuracy / single.Accuracy,
                single.CalibrationError,
                each.CalibrationError,
                each.Agreement,
                each.Interference,
                each.ForecastLoss
            );
        }
    }
}
