using System.Globalization;
using System.Text;
using Microsoft.ML;
using SkillLoc.Evaluators;
using SkillLoc.Reports;

namespace SkillLoc.MergingStudy;

/// <summary>The measurements as tables: every one of them as CSV, their means over seeds as Markdown.</summary>
public sealed class Report(StudyPlan plan, IReadOnlyList<Measurement> measurements)
{
    /// <summary>What the single models are called.</summary>
    internal const string Single = "single models";

    private const string PreTrained = "pre-trained";

    /// <summary>Writes <c>results.csv</c>, <c>results.md</c>, and <c>report.html</c> with its pictures as files.</summary>
    /// <exception cref="IOException">A file cannot be written.</exception>
    public void Save(string folder)
    {
        File.WriteAllText(Path.Combine(folder, "results.csv"), Csv());
        File.WriteAllText(Path.Combine(folder, "results.md"), Markdown());
        ReportBuilder pictures = Pictures.Of(plan, measurements);
        pictures.Save(Path.Combine(folder, "report.html"));
        pictures.SaveFiles(Path.Combine(folder, "pictures"));
    }

    /// <summary>The tables that people read.</summary>
    public string Markdown()
    {
        var text = new StringBuilder();
        text.AppendLine(CultureInfo.InvariantCulture, $"## Over {plan.Tasks.Count} tasks and {plan.Seeds.Count} seed(s)")
            .AppendLine()
            .AppendLine(
                "*Share*: accuracy over the single model's, the mean over tasks. *Gain kept*: how much of what fine-tuning gained over the "
                    + "pre-trained model, summed over tasks. *Forecast*: what the weights alone say is lost, the mean over tasks."
            )
            .AppendLine()
            .AppendLine("| model | chosen | accuracy | share | gain kept | ECE | agreement | interference | forecast |")
            .AppendLine("|---|---|---|---|---|---|---|---|---|");
        foreach (IGrouping<string, Measurement> model in measurements.GroupBy(each => each.Model))
        {
            double[] choices = [.. model.Select(each => each.Choice).OfType<double>().Distinct().Order()];
            text.AppendLine(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"| {model.Key} | {string.Join(", ", choices)} | {Spread(model)} | {Percent(model.Average(Share))} "
                        + $"| {Percent(GainKept(model))} | {Percent(model.Average(each => each.CalibrationError))} "
                        + $"| {Percent(model.Average(each => each.Agreement))} | {Percent(model.Average(each => each.Interference))} "
                        + $"| {Percent(model.Average(each => each.ForecastLoss))} |"
                )
            );
        }

        text.AppendLine().AppendLine(Forecast()).AppendLine().AppendLine("## Accuracy by task").AppendLine().Append("| model |");
        text.AppendJoin("", plan.Tasks.Select(task => $" {task.Name} |")).AppendLine().Append("|---|");
        text.Insert(text.Length, "---|", plan.Tasks.Count).AppendLine();
        foreach (IGrouping<string, Measurement> model in measurements.GroupBy(each => each.Model))
        {
            text.Append(CultureInfo.InvariantCulture, $"| {model.Key} |")
                .AppendJoin(
                    "",
                    plan.Tasks.Select(task => $" {Percent(model.Where(each => each.Task == task.Name).Average(each => each.Accuracy))} |")
                )
                .AppendLine();
        }

        return text.ToString();
    }

    /// <summary>How well the weights foretold the loss.</summary>
    private string Forecast()
    {
        Point[] points =
        [
            .. measurements
                .Where(each => double.IsFinite(each.ForecastLoss))
                .Select(each => new Point { Label = (float)(1 - Share(each)), Score = (float)each.ForecastLoss }),
        ];
        if (points.Length < 3)
        {
            return "There are too few merges to compare the forecast with.";
        }

        var ml = new MLContext();
        CorrelationMetrics correlation = ml.SkillLoc().Evaluation.EvaluateCorrelation(ml.Data.LoadFromEnumerable(points));
        return string.Create(
            CultureInfo.InvariantCulture,
            $"Over {points.Length} pairs of a merge and a task, the forecast and the measured loss (1 - share) have a rank correlation of "
                + $"{correlation.Spearman:0.00} (Spearman; Pearson {correlation.Pearson:0.00})."
        );
    }

    private double Share(Measurement each) => each.Accuracy / Of(each, Single);

    private double GainKept(IEnumerable<Measurement> model) =>
        model.Sum(each => each.Accuracy - Of(each, PreTrained)) / model.Sum(each => Of(each, Single) - Of(each, PreTrained));

    private double Of(Measurement each, string model) =>
        measurements.First(other => other.Model == model && other.Task == each.Task && other.Seed == each.Seed).Accuracy;

    private string Csv()
    {
        var text = new StringBuilder("seed,model,choice,task,accuracy,ece,agreement,interference,forecast_loss\n");
        foreach (Measurement each in measurements)
        {
            text.AppendLine(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{each.Seed},\"{each.Model}\",{each.Choice},{each.Task},{each.Accuracy:R},{each.CalibrationError:R},{each.Agreement:R},"
                        + $"{each.Interference:R},{each.ForecastLoss:R}"
                )
            );
        }

        return text.ToString();
    }

    /// <summary>Mean over tasks, and its deviation over seeds.</summary>
    private static string Spread(IEnumerable<Measurement> model)
    {
        var drawn = DrawStatistics.Of([.. model.GroupBy(each => each.Seed).Select(seed => seed.Average(each => each.Accuracy))]);
        return drawn.Count == 1
            ? Percent(drawn.Mean)
            : $"{Percent(drawn.Mean)} ± {(100 * drawn.StandardDeviation).ToString("0.0", CultureInfo.InvariantCulture)}";
    }

    private static string Percent(double value) =>
        double.IsNaN(value) ? "" : (100 * value).ToString("0.0", CultureInfo.InvariantCulture) + " %";

    private sealed class Point
    {
        public float Label { get; set; }

        public float Score { get; set; }
    }
}
