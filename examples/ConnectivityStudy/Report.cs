using System.Globalization;
using System.Text;
using Microsoft.ML;
using SkillLoc.Evaluators;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Connectivity;
using SkillLoc.Reports;
using SkillLoc.Studies;

namespace SkillLoc.ConnectivityStudy;

/// <summary>The measurements as tables and pictures.</summary>
public sealed class Report(StudyPlan plan, StudyResult result)
{
    /// <summary>
    /// Writes <c>results.md</c>, <c>results.csv</c> with a row for each path, <c>forgetting.csv</c>, <c>report.html</c> with pictures, and for
    /// each experiment a folder with <c>points.csv</c> and the pictures as files.
    /// </summary>
    /// <exception cref="IOException">A file cannot be written.</exception>
    public void Save(string folder)
    {
        AtomicFile.WriteText(Path.Combine(folder, "results.md"), Markdown());
        AtomicFile.WriteText(Path.Combine(folder, "results.csv"), Csv());
        AtomicFile.WriteText(Path.Combine(folder, "forgetting.csv"), ForgettingCsv());
        foreach (IGrouping<string, PathResult> experiment in result.Paths.GroupBy(path => path.Experiment, StringComparer.Ordinal))
        {
            Directory.CreateDirectory(Path.Combine(folder, experiment.Key));
            AtomicFile.WriteText(Path.Combine(folder, experiment.Key, "points.csv"), PointsCsv(experiment));
            Pictures([experiment], []).SaveFiles(Path.Combine(folder, experiment.Key));
        }

        foreach (IGrouping<string, PlaneResult> experiment in result.Planes.GroupBy(plane => plane.Experiment, StringComparer.Ordinal))
        {
            Pictures([], experiment).SaveFiles(Path.Combine(folder, experiment.Key, "planes"));
        }

        if (result.Paths.Count + result.Planes.Count > 0)
        {
            Pictures(result.Paths.GroupBy(path => path.Experiment, StringComparer.Ordinal), result.Planes)
                .Save(Path.Combine(folder, "report.html"));
        }
    }

    /// <summary>Loss and metric along the paths of each experiment, and over its planes.</summary>
    public static ReportBuilder Pictures(IEnumerable<IGrouping<string, PathResult>> experiments, IEnumerable<PlaneResult> planes)
    {
        ReportBuilder pictures = new MLContext()
            .SkillLoc()
            .Report(
                "Mode connectivity",
                "Paths between fine-tuned models, measured on test rows.",
                new Provenance { Rows = "test rows of each task", Chosen = "nothing on these rows" }
            );
        foreach (IGrouping<string, PathResult> experiment in experiments)
        {
            var paths = new OrderedDictionary<string, InterpolationMetrics>(StringComparer.Ordinal);
            foreach (PathResult path in experiment)
            {
                string name = $"{path.Method}: {path.Pair}, on {path.Task}{(path.IsCurve ? ", curve" : "")}";
                paths[name] = new()
                {
                    Task = path.Task,
                    Metric = "metric",
                    Sets = [path.Set],
                };
            }

            pictures.Add(experiment.Key, paths);
        }

        foreach (PlaneResult plane in planes)
        {
            pictures.Add($"{plane.Experiment}, {plane.Method}: {plane.Name}", plane.Plane);
        }

        return pictures;
    }

    /// <summary>The tables that people read.</summary>
    public string Markdown()
    {
        var text = new StringBuilder();
        text.AppendLine(
                "*Barrier*: by how much the path is worse, at most, than the straight line between the values at its ends. "
                    + "*Connected*: the metric's barrier is "
                    + $"at most {Points(plan.Tolerance)} points. *Agreement*: the share of rows that both ends predict alike. "
                    + "*Distance*: L2 (root mean square; cosine) of what tuning "
                    + "added, or of all parameters. *Along the path*: the metric at each point, from its lowest to its highest."
            )
            .AppendLine();
        foreach (ExperimentPlan experiment in plan.Experiments)
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"## {experiment.Name}").AppendLine();
            if (experiment.Question.Length > 0)
            {
                text.AppendLine(experiment.Question).AppendLine();
            }

            if (experiment.Pairs.Count > 0)
            {
                Table(text, result.Paths.Where(path => path.Experiment == experiment.Name && !path.IsCurve));
            }

            foreach (PlaneResult plane in result.Planes.Where(plane => plane.Experiment == experiment.Name))
            {
                IReadOnlyList<LossPlanePoint> points = plane.Plane.Points;
                string ends = string.Join(
                    ", ",
                    plane.Plane.Marks.Select(mark => mark.Loss.ToString("0.000", CultureInfo.InvariantCulture))
                );
                text.AppendLine(
                        CultureInfo.InvariantCulture,
                        $"The plane through {plane.Name}, {plane.Method}: over {points.Count} points the loss is "
                            + $"{points.Min(point => point.Loss):0.000} to {points.Max(point => point.Loss):0.000}; of the ends {ends}."
                    )
                    .AppendLine();
            }

            if (Boundaries(experiment) is { Length: > 0 } boundaries)
            {
                text.Append(boundaries).AppendLine();
            }

            foreach (ForgettingResult each in result.Forgetting.Where(each => each.Experiment == experiment.Name))
            {
                Forgetting(text, each);
            }
        }

        Curves(text);
        Mixtures(text);
        Bases(text);
        return text.ToString();
    }

    private void Table(StringBuilder text, IEnumerable<PathResult> paths)
    {
        text.AppendLine(
                "| method | ends | on | at 0 | at 1 | mean | least | metric barrier | loss barrier | connected | agreement | distance "
                    + "| along the path |"
            )
            .AppendLine("|---|---|---|---|---|---|---|---|---|---|---|---|---|");
        foreach (PathResult path in paths)
        {
            text.AppendLine(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"| {path.Method} | {path.Pair} | {path.Task} | {Percent(path.Points[0].Metric)} | "
                        + $"{Percent(path.Points[^1].Metric)} | {Percent(path.Points.Average(point => point.Metric))} "
                        + $"| {Percent(path.Points.Min(point => point.Metric))} | {Points(path.MetricBarrier)} | "
                        + $"{path.LossBarrier:0.000} | {(IsConnected(path) ? "yes" : "no")} "
                        + $"| {Percent(path.Points[^1].AgreementWithFirst)} | {path.L2:0.00} ({path.MeanL2:0.0000}; "
                        + $"{path.Cosine:0.00}) | {Sparkline.Of([.. path.Points.Select(point => point.Metric)])} |"
                )
            );
        }

        text.AppendLine();
    }

    /// <summary>Where ends of different tasks stay good on the line: within the tolerance of the end that knows the task
    /// (methods, C.9).</summary>
    private string Boundaries(ExperimentPlan experiment)
    {
        var text = new StringBuilder();
        foreach (
            PathResult[] tasks in result
                .Paths.Where(path => path.Experiment == experiment.Name && !path.IsCurve)
                .GroupBy(path => (path.Method, path.Pair))
                .Select(group => group.ToArray())
                .Where(group => group.Length == 2)
        )
        {
            double first = tasks[0].Points.TakeWhile(point => point.Metric >= tasks[0].Points[0].Metric - plan.Tolerance).Last().X;
            double second = tasks[1]
                .Points.Reverse()
                .TakeWhile(point => point.Metric >= tasks[1].Points[^1].Metric - plan.Tolerance)
                .Last()
                .X;
            text.Append(
                CultureInfo.InvariantCulture,
                $"- {tasks[0].Method}, {tasks[0].Pair}: {tasks[0].Task} stays within {Points(plan.Tolerance)} points of its end up to "
                    + $"x = {first}, {tasks[1].Task} from x = {second} on: "
            );
            if (second <= first)
            {
                text.AppendLine(CultureInfo.InvariantCulture, $"both do from {second} to {first}.");
            }
            else
            {
                text.AppendLine(CultureInfo.InvariantCulture, $"there is a gap of {second - first:0.###} between them.");
            }
        }

        return text.ToString();
    }

    private static void Forgetting(StringBuilder text, ForgettingResult each)
    {
        text.AppendLine(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"What the line forgets of the first end's {each.Rows} training rows, {each.Method}, {each.Pair}, with what the "
                        + $"end's training made of those rows; from the start on those that are wrong at the end itself. Of all rows "
                        + $"the mean confidence is {each.Confidence:0.000}, variability {each.Variability:0.000}, correctness "
                        + $"{each.Correctness:0.000}, turns {each.Turns:0.00}."
                )
            )
            .AppendLine()
            .AppendLine("| from | to | newly forgotten | learnt again | confidence | variability | correctness | turns |")
            .AppendLine("|---|---|---|---|---|---|---|---|");
        foreach (ForgettingEntry entry in each.Entries)
        {
            text.Append(
                string.Create(CultureInfo.InvariantCulture, $"| {entry.From} | {entry.To} | {entry.Forgotten} | {entry.Relearnt} |")
            );
            text.AppendLine(
                entry.Forgotten == 0
                    ? " | | | |"
                    : string.Create(
                        CultureInfo.InvariantCulture,
                        $" {entry.Confidence:0.000} | {entry.Variability:0.000} | {entry.Correctness:0.000} | {entry.Turns:0.00} |"
                    )
            );
        }

        text.AppendLine();
    }

    private void Curves(StringBuilder text)
    {
        PathResult[] curves = [.. result.Paths.Where(path => path.IsCurve)];
        if (curves.Length == 0)
        {
            return;
        }

        text.AppendLine("## Curves in place of the worst lines")
            .AppendLine()
            .AppendLine(
                CultureInfo.InvariantCulture,
                $"Of each method the {plan.Curves.Lines} line(s) with the highest loss barrier; Bezier curves with "
                    + $"{plan.Curves.Bends} control point(s), {plan.Curves.Steps} updates."
            )
            .AppendLine()
            .AppendLine(
                "| method | experiment | ends | on | least: line | curve | metric barrier: line | curve | loss barrier: line | curve "
                    + "| curve connected |"
            )
            .AppendLine("|---|---|---|---|---|---|---|---|---|---|---|");
        foreach (PathResult curve in curves)
        {
            PathResult line = result.Paths.First(path =>
                !path.IsCurve
                && (path.Experiment, path.Method, path.Pair, path.Task) == (curve.Experiment, curve.Method, curve.Pair, curve.Task)
            );
            text.AppendLine(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"| {curve.Method} | {curve.Experiment} | {curve.Pair} | {curve.Task} | "
                        + $"{Percent(line.Points.Min(point => point.Metric))} | {Percent(curve.Points.Min(point => point.Metric))} "
                        + $"| {Points(line.MetricBarrier)} | {Points(curve.MetricBarrier)} | {line.LossBarrier:0.000} | "
                        + $"{curve.LossBarrier:0.000} | {(IsConnected(curve) ? "yes" : "no")} |"
                )
            );
        }

        text.AppendLine();
    }

    private void Mixtures(StringBuilder text)
    {
        if (result.Mixtures.Count == 0)
        {
            return;
        }

        text.AppendLine("## Mixtures of the worst lines' ends")
            .AppendLine()
            .AppendLine(
                CultureInfo.InvariantCulture,
                $"Of each method the {plan.Mixtures.Lines} line(s) with the highest loss barrier; {plan.Mixtures.Steps} updates of a "
                    + $"weight for each group, drawn with a standard deviation of {plan.Mixtures.InitialDeviation}. Accuracy (loss)."
            )
            .AppendLine()
            .Append("| method | experiment | ends | on | at 0 | at 1 | halfway |");
        foreach (MixtureGranularity granularity in plan.Mixtures.Granularities)
        {
            text.Append(CultureInfo.InvariantCulture, $" by {granularity.ToString().ToLowerInvariant()} |");
        }

        text.AppendLine()
            .Append("|---|---|---|---|---|---|---|")
            .Insert(text.Length, "---|", plan.Mixtures.Granularities.Count)
            .AppendLine();
        foreach (
            MixtureResult[] mixtures in result
                .Mixtures.GroupBy(each => (each.Experiment, each.Method, each.Pair))
                .Select(group => group.ToArray())
        )
        {
            MixtureResult any = mixtures[0];
            PathResult line = result.Paths.First(path =>
                !path.IsCurve && (path.Experiment, path.Method, path.Pair, path.Task) == (any.Experiment, any.Method, any.Pair, any.Task)
            );
            text.Append(CultureInfo.InvariantCulture, $"| {any.Method} | {any.Experiment} | {any.Pair} | {any.Task} |");
            foreach (InterpolationPoint point in new[] { line.Points[0], line.Points[^1], line.Points[line.Points.Count / 2] })
            {
                text.Append(CultureInfo.InvariantCulture, $" {Percent(point.Accuracy)} ({point.Loss:0.000}) |");
            }

            foreach (MixtureResult mixture in mixtures)
            {
                text.Append(
                    CultureInfo.InvariantCulture,
                    $" {Percent(mixture.Accuracy)} ({mixture.Loss:0.000}); {mixture.Groups} groups, first end's share "
                        + $"{mixture.FirstShare:0.00} |"
                );
            }

            text.AppendLine();
        }

        text.AppendLine();
    }

    private void Bases(StringBuilder text)
    {
        if (result.Bases.Count == 0)
        {
            return;
        }

        text.AppendLine("## Bases")
            .AppendLine()
            .AppendLine("| steps of pre-training | held-out loss | hidden tokens right |")
            .AppendLine("|---|---|---|");
        foreach (BaseResult each in result.Bases)
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"| {each.Steps} | {each.Loss:0.000} | {Percent(each.Accuracy)} |");
        }

        text.AppendLine();
    }

    private string Csv()
    {
        var text = new StringBuilder(
            "experiment,method,pair,task,shape,first,second,mean,least,metric_barrier,loss_barrier,connected,agreement,l2,mean_l2,cosine\n"
        );
        foreach (PathResult path in result.Paths)
        {
            text.Append(
                CultureInfo.InvariantCulture,
                $"{NameOf(path)},{path.Points[0].Metric:R},{path.Points[^1].Metric:R},{path.Points.Average(point => point.Metric):R},{path.Points.Min(point => point.Metric):R},{path.MetricBarrier:R},{path.LossBarrier:R},{(IsConnected(path) ? 1 : 0)},{path.Points[^1].AgreementWithFirst:R},{path.L2:R},{path.MeanL2:R},{path.Cosine:R}\n"
            );
        }

        return text.ToString();
    }

    private static string PointsCsv(IEnumerable<PathResult> paths)
    {
        var text = new StringBuilder(
            "experiment,method,pair,task,shape,x,loss,metric,accuracy,ece,brier,agreement_first,agreement_second,right,learnt,forgotten\n"
        );
        foreach (PathResult path in paths)
        {
            foreach (InterpolationPoint point in path.Points)
            {
                text.Append(
                    CultureInfo.InvariantCulture,
                    $"{NameOf(path)},{point.X:R},{point.Loss:R},{point.Metric:R},{point.Accuracy:R},{point.ExpectedCalibrationError:R},{point.BrierScore:R},{point.AgreementWithFirst:R},{point.AgreementWithSecond:R},{point.Right},{point.Learnt},{point.Forgotten}\n"
                );
            }
        }

        return text.ToString();
    }

    private string ForgettingCsv()
    {
        var text = new StringBuilder("experiment,method,pair,from,to,forgotten,relearnt,confidence,variability,correctness,turns\n");
        foreach (ForgettingResult each in result.Forgetting)
        {
            foreach (ForgettingEntry entry in each.Entries)
            {
                text.Append(
                    CultureInfo.InvariantCulture,
                    $"{each.Experiment},{each.Method},{each.Pair},{entry.From},{entry.To},{entry.Forgotten},{entry.Relearnt},{entry.Confidence:R},{entry.Variability:R},{entry.Correctness:R},{entry.Turns:R}\n"
                );
            }
        }

        return text.ToString();
    }

    private static string NameOf(PathResult path) =>
        $"{path.Experiment},{path.Method},{path.Pair},{path.Task},{(path.IsCurve ? "curve" : "line")}";

    private bool IsConnected(PathResult path) => path.MetricBarrier <= plan.Tolerance;

    private static string Percent(double value) => (100 * value).ToString("0.0", CultureInfo.InvariantCulture) + " %";

    private static string Points(double value) => (100 * value).ToString("0.0", CultureInfo.InvariantCulture);
}
