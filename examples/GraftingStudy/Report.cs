using System.Globalization;
using System.Text;
using SkillLoc.Evaluators;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Reports;

namespace SkillLoc.GraftingStudy;

/// <summary>The measurements as tables: every one of them as CSV, their means over seeds and draws as Markdown.</summary>
public sealed class Report(StudyPlan plan, IReadOnlyList<Measurement> measurements)
{
    private const double Kept = 0.95;

    /// <summary>Writes <c>results.csv</c>, <c>results.md</c>, and <c>report.html</c> with its pictures as files.</summary>
    /// <exception cref="IOException">A file cannot be written.</exception>
    public void Save(string folder)
    {
        AtomicFile.WriteText(Path.Combine(folder, "results.csv"), Csv());
        AtomicFile.WriteText(Path.Combine(folder, "results.md"), Markdown());
        ReportBuilder pictures = Pictures.Of(plan, measurements);
        pictures.Save(Path.Combine(folder, "report.html"));
        pictures.SaveFiles(Path.Combine(folder, "pictures"));
    }

    /// <summary>The tables that people read.</summary>
    public string Markdown()
    {
        var text = new StringBuilder();
        for (int i = 0; i < plan.Shots.Count; i++)
        {
            string others = string.Concat(
                plan.Tasks.Where(task => task.Shots is not null).Select(task => $", {task.Name}: {task.Shots![i]}")
            );
            text.AppendLine(CultureInfo.InvariantCulture, $"## {plan.Shots[i]} rows per label{others}; {plan.Seeds.Count} seed(s)")
                .AppendLine();
            var shots = plan.Tasks.ToDictionary(task => task.Name, task => (task.Shots ?? plan.Shots)[i], StringComparer.Ordinal);
            Measurement[] here = [.. measurements.Where(each => each.Shots == shots[each.Task])];
            Summary(text, here);
            foreach (StudyTask task in plan.Tasks)
            {
                Table(text, task, [.. here.Where(each => each.Task == task.Name)]);
            }
        }

        return text.ToString();
    }

    /// <summary>How the paper's claims fare: retention, calibration and other distributions, by method and sparsity, over all
    /// tasks.</summary>
    private void Summary(StringBuilder text, Measurement[] here)
    {
        text.AppendLine(
                "Over all tasks. *Retention*: accuracy over the fine-tuned model's. *Gain kept*: how much of what fine-tuning gained "
                    + "over the pre-trained model, summed over the tasks."
            )
            .AppendLine()
            .AppendLine("| model | parameters | retention | tasks that keep 95 % | gain kept | agreement | ECE | accuracy elsewhere |")
            .AppendLine("|---|---|---|---|---|---|---|---|");
        foreach (IGrouping<(string, double?), Measurement> group in ByModel(here))
        {
            (double Own, double Before, double Tuned)[] tasks =
            [
                .. group
                    .GroupBy(each => each.Task)
                    .Select(task =>
                        (
                            task.Average(each => each.Accuracy),
                            Accuracy(here, task.Key, "pre-trained"),
                            Accuracy(here, task.Key, "fine-tuned")
                        )
                    ),
            ];
            double[] elsewhere = [.. group.SelectMany(each => each.Others.Values).Select(other => other.Accuracy)];
            text.AppendLine(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"| {NameOf(group.Key)} | {group.Average(each => each.Changed):N0} ({Percent(group.Average(each => each.Share), 3)}) "
                        + $"| {Percent(tasks.Average(task => task.Own / task.Tuned))} | "
                        + $"{tasks.Count(task => task.Own / task.Tuned >= Kept)} of {tasks.Length} "
                        + $"| {Percent(tasks.Sum(task => task.Own - task.Before) / tasks.Sum(task => task.Tuned - task.Before))} | "
                        + $"{Percent(group.Average(each => each.Agreement))} "
                        + $"| {Percent(group.Average(each => each.CalibrationError))} | "
                        + $"{(elsewhere.Length == 0 ? "" : Percent(elsewhere.Average()))} |"
                )
            );
        }

        text.AppendLine();
    }

    private static void Table(StringBuilder text, StudyTask task, Measurement[] here)
    {
        text.AppendLine(CultureInfo.InvariantCulture, $"### {task.Name}")
            .AppendLine()
            .Append("| model | parameters | accuracy | ECE | agreement |");
        foreach (string other in task.OutOfDistribution)
        {
            text.Append(CultureInfo.InvariantCulture, $" {other}: accuracy | ECE |");
        }

        text.AppendLine().Append("|---|---|---|---|---|").Insert(text.Length, "---|---|", task.OutOfDistribution.Count).AppendLine();
        foreach (IGrouping<(string, double?), Measurement> group in ByModel(here))
        {
            text.Append(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"| {NameOf(group.Key)} | {group.Average(each => each.Changed):N0} | {Spread(group.Select(each => each.Accuracy))} "
                        + $"| {Spread(group.Select(each => each.CalibrationError))} | {Spread(group.Select(each => each.Agreement))} |"
                )
            );
            foreach (string other in task.OutOfDistribution)
            {
                text.Append(
                    CultureInfo.InvariantCulture,
                    $" {Spread(group.Select(each => each.Others[other].Accuracy))} | "
                        + $"{Spread(group.Select(each => each.Others[other].CalibrationError))} |"
                );
            }

            text.AppendLine();
        }

        text.AppendLine();
    }

    private string Csv()
    {
        var text = new StringBuilder("task,shots,seed,method,sparsity,changed,share,accuracy,ece,agreement,set,set_accuracy,set_ece\n");
        foreach (Measurement each in measurements)
        {
            string start = string.Create(
                CultureInfo.InvariantCulture,
                $"{each.Task},{each.Shots},{each.Seed},{each.Method},{each.Sparsity},{each.Changed},{each.Share:R},{each.Accuracy:R},{each.CalibrationError:R},{each.Agreement:R}"
            );
            text.Append(start).AppendLine(",,,");
            foreach ((string set, OutOfDistribution other) in each.Others)
            {
                text.Append(start).AppendLine(CultureInfo.InvariantCulture, $",{set},{other.Accuracy:R},{other.CalibrationError:R}");
            }
        }

        return text.ToString();
    }

    private static IEnumerable<IGrouping<(string Method, double? Sparsity), Measurement>> ByModel(IEnumerable<Measurement> rows) =>
        rows.GroupBy(each => (each.Method, each.Sparsity));

    private static double Accuracy(IEnumerable<Measurement> rows, string task, string method) =>
        rows.Where(each => each.Task == task && each.Method == method).Average(each => each.Accuracy);

    private static string NameOf((string Method, double? Sparsity) model) =>
        model.Sparsity is { } sparsity ? $"{model.Method}, {Percent(sparsity, 2)}" : model.Method;

    private static string Spread(IEnumerable<double> values)
    {
        var drawn = DrawStatistics.Of([.. values]);
        return drawn.Count == 1
            ? Percent(drawn.Mean)
            : $"{Percent(drawn.Mean)} ± {(100 * drawn.StandardDeviation).ToString("0.0", CultureInfo.InvariantCulture)}";
    }

    private static string Percent(double value, int digits = 1) =>
        (100 * value).ToString("0." + new string('0', digits), CultureInfo.InvariantCulture) + " %";
}
