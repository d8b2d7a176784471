using System.Globalization;
using Microsoft.ML;
using SkillLoc.Evaluators;
using SkillLoc.Reports;

namespace SkillLoc.GraftingStudy;

/// <summary>The measurements as a report with pictures.</summary>
internal static class Pictures
{
    private const string PreTrained = "pre-trained",
        FineTuned = "fine-tuned";

    private static readonly string[] Controls = ["random mask", "lottery ticket"];

    /// <summary>For each number of shots: what share of the gain a model of some size keeps, and how models do on each task.</summary>
    /// <param name="plan">The plan.</param>
    /// <param name="measurements">What was measured.</param>
    public static ReportBuilder Of(StudyPlan plan, IReadOnlyList<Measurement> measurements)
    {
        ReportBuilder report = new MLContext()
            .SkillLoc()
            .Report(
                "Grafting",
                "Models fine-tuned on few rows, and grafts of them, measured on test rows.",
                new Provenance
                {
                    Rows = "test rows of each task",
                    Seeds = [.. plan.Seeds],
                    Chosen = "the best state of training, on validation rows",
                }
            );
        for (int i = 0; i < plan.Shots.Count; i++)
        {
            var shots = plan.Tasks.ToDictionary(task => task.Name, task => (task.Shots ?? plan.Shots)[i], StringComparer.Ordinal);
            Measurement[] here = [.. measurements.Where(each => each.Shots == shots[each.Task])];
            if (here.Length > 0)
            {
                Add(report, string.Create(CultureInfo.InvariantCulture, $"{plan.Shots[i]} rows per label"), here);
            }
        }

        return report;
    }

    private static void Add(ReportBuilder report, string title, Measurement[] here)
    {
        string[] tasks = [.. here.Select(each => each.Task).Distinct()],
            models = [.. here.Select(NameOf).Distinct()];
        FaithfulnessCurve[] curves =
        [
            .. here.Where(each => each.Sparsity is not null).GroupBy(each => each.Method).Select(method => Curve(method.Key, method, here)),
        ];
        if (curves.Length > 0)
        {
            report.Add($"{title}: share of the gain", curves);
        }

        report
            .Add($"{title}: accuracy", Matrix("accuracy", models, tasks, (model, task) => Mean(model, task, each => each.Accuracy)))
            .Add(
                $"{title}: calibration",
                Matrix("expected calibration error", models, tasks, (model, task) => Mean(model, task, each => each.CalibrationError))
            );
        (string Task, string Other)[] elsewhere =
        [
            .. here.SelectMany(each => each.Others.Keys.Select(other => (each.Task, other))).Distinct(),
        ];
        if (elsewhere.Length > 0)
        {
            report.Add(
                $"{title}: other distributions",
                Matrix(
                    "accuracy on another distribution",
                    models,
                    [.. elsewhere.Select(pair => $"{pair.Task} on {pair.Other}")],
                    (model, pair) =>
                        Mean(
                            model,
                            elsewhere.First(each => $"{each.Task} on {each.Other}" == pair).Task,
                            each => each.Others[elsewhere.First(other => $"{other.Task} on {other.Other}" == pair).Other].Accuracy
                        )
                )
            );
        }

        double Mean(string model, string task, Func<Measurement, double> of) =>
            here.Where(each => NameOf(each) == model && each.Task == task).Select(of).DefaultIfEmpty(double.NaN).Average();
    }

    /// <summary>The gain that is kept, summed over the tasks, with one standard deviation over the seeds.</summary>
    private static FaithfulnessCurve Curve(string name, IEnumerable<Measurement> method, Measurement[] here) =>
        new()
        {
            Name = name,
            IsControl = Controls.Contains(name),
            Intervals = "one sample standard deviation over the seeds to either side of their mean",
            Points =
            [
                .. method
                    .GroupBy(each => each.Sparsity)
                    .Select(size =>
                    {
                        double[] kept = [.. size.GroupBy(each => each.Seed).Select(seed => Kept(seed, here))];
                        var drawn = DrawStatistics.Of(kept);
                        return new FaithfulnessPoint(
                            size.Average(each => each.Share),
                            drawn.Mean,
                            drawn.Mean - drawn.StandardDeviation,
                            drawn.Mean + drawn.StandardDeviation
                        );
                    }),
            ],
        };

    private static double Kept(IEnumerable<Measurement> seed, Measurement[] here)
    {
        double kept = 0,
            gained = 0;
        foreach (IGrouping<string, Measurement> task in seed.GroupBy(each => each.Task))
        {
            double before = Of(task.First(), PreTrained);
            kept += task.Average(each => each.Accuracy) - before;
            gained += Of(task.First(), FineTuned) - before;
        }

        return kept / gained;

        double Of(Measurement of, string method) =>
            here.First(each => each.Method == method && each.Task == of.Task && each.Seed == of.Seed).Accuracy;
    }

    private static NamedMatrix Matrix(string measure, string[] rows, string[] columns, Func<string, string, double> of) =>
        new()
        {
            Measure = measure,
            RowsAre = "model",
            ColumnsAre = "task",
            Rows = rows,
            Columns = columns,
            Values = [.. rows.Select(row => (IReadOnlyList<double>)[.. columns.Select(column => of(row, column))])],
        };

    private static string NameOf(Measurement each) =>
        each.Sparsity is { } sparsity ? string.Create(CultureInfo.InvariantCulture, $"{each.Method} {sparsity}") : each.Method;
}
