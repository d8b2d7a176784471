using Microsoft.ML;
using SkillLoc.Evaluators;
using SkillLoc.Reports;

namespace SkillLoc.SkillNeuronStudy;

/// <summary>The measurements as a report with pictures.</summary>
internal static class Pictures
{
    private static readonly (string Name, string Measure)[] Models =
    [
        ("most frequent label", Measures.Majority),
        ("prompt", Measures.Accuracy),
        ("BitFit", Measures.BitFit),
        ("adapter", Measures.Adapter),
        ("best neuron, tuned prompt", Measures.BestTuned),
        ("best neuron, random prompt", Measures.BestRandom),
        ("best neuron, written prompt", Measures.BestWritten),
        ("pruned to skill neurons", Measures.Pruned),
        ("pruned to random neurons", Measures.PrunedRandom),
        ("pruned, prompt tuned again", Measures.Retrained),
    ];

    /// <summary>What is lost with neurons perturbed, how models do, and how alike tasks are.</summary>
    /// <param name="plan">The plan.</param>
    /// <param name="result">What was measured.</param>
    public static ReportBuilder Of(StudyPlan plan, StudyResult result)
    {
        ReportBuilder report = new MLContext()
            .SkillLoc()
            .Report(
                "Skill neurons",
                "Models tuned with a soft prompt, and their feed-forward neurons, measured on test rows.",
                new Provenance
                {
                    Rows = "test rows of each task",
                    Seeds = [.. plan.Seeds.Select(seed => (long)seed)],
                    Chosen = "neurons, on development rows",
                }
            );
        string[] tasks = [.. plan.Tasks.Select(task => task.Name)];
        foreach (string task in tasks)
        {
            FaithfulnessCurve[] curves = [.. Curves(task, result)];
            if (curves.Any(curve => curve.Points.Count > 0))
            {
                report.Add($"{task}: accuracy above chance that is lost with neurons perturbed", curves);
            }
        }

        report.Add(
            "Accuracy",
            Matrix(
                "accuracy",
                "model",
                [.. Models.Select(model => model.Name)],
                tasks,
                (model, task) => Mean(each => each.Task == task && each.Measure == Models.First(known => known.Name == model).Measure)
            )
        );
        if (tasks.Length > 1)
        {
            report
                .Add(
                    "Tasks compared: correlation",
                    Matrix("Spearman's correlation of predictivity", "task", tasks, tasks, Pair(Measures.Spearman))
                )
                .Add("Tasks compared: overlap", Matrix("overlap of the top neurons", "task", tasks, tasks, Pair(Measures.Overlap)))
                .Add(
                    "Prompts on other tasks",
                    Matrix(
                        "accuracy",
                        "prompt of",
                        tasks,
                        tasks,
                        (other, task) =>
                            Mean(each =>
                                each.Task == task
                                && (
                                    other == task
                                        ? each.Measure == Measures.Accuracy
                                        : each.Measure == Measures.Transfer && each.Other == other
                                )
                            )
                    )
                );
        }

        return report;

        double Mean(Func<Measurement, bool> which) =>
            result.Measurements.Where(which).Select(each => each.Value).DefaultIfEmpty(double.NaN).Average();

        Func<string, string, double> Pair(string measure) =>
            (first, second) =>
                first == second
                    ? 1
                    : Mean(each =>
                        each.Measure == measure
                        && each.Layer is null
                        && ((each.Task == first && each.Other == second) || (each.Task == second && each.Other == first))
                    );
    }

    /// <summary>Of each model of a task the curve of its skill neurons and the one of random neurons.</summary>
    private static IEnumerable<FaithfulnessCurve> Curves(string task, StudyResult result)
    {
        double chance = result
            .Measurements.Where(each => each.Task == task && each.Measure == Measures.Majority)
            .Select(each => each.Value)
            .DefaultIfEmpty(double.NaN)
            .Average();
        return result
            .Curves.Where(curve => curve.Task == task)
            .GroupBy(curve => curve.Model)
            .SelectMany(model =>
                FaithfulnessCurve.Of(
                    model.Key,
                    new NeuronDropMetrics
                    {
                        Count = 0,
                        Accuracy = model.First().Unperturbed,
                        Seed = 0,
                        Points = [.. model.Select(curve => curve.Point)],
                    },
                    chance
                )
            );
    }

    private static NamedMatrix Matrix(string measure, string rowsAre, string[] rows, string[] columns, Func<string, string, double> of) =>
        new()
        {
            Measure = measure,
            RowsAre = rowsAre,
            ColumnsAre = "task",
            Rows = rows,
            Columns = columns,
            Values = [.. rows.Select(row => (IReadOnlyList<double>)[.. columns.Select(column => of(row, column))])],
        };
}
