using System.Collections.ObjectModel;
using Microsoft.ML;
using SkillLoc.Models.Grafts;

namespace SkillLoc.Trainers;

/// <summary>The result of continual learning: sparse grafts, and the metrics of all tasks after each one.</summary>
public sealed record ContinualGraftResult
{
    internal ContinualGraftResult(OrderedDictionary<string, Graft> grafts, IReadOnlyList<ContinualGraftRow> rows)
    {
        Grafts = new ReadOnlyDictionary<string, Graft>(grafts);
        Rows = rows;
    }

    /// <summary>The grafts by task, in the order of learning; they are disjoint.</summary>
    public IReadOnlyDictionary<string, Graft> Grafts { get; }

    /// <summary>After each task, one row per method for it and all earlier tasks.</summary>
    public IReadOnlyList<ContinualGraftRow> Rows { get; }

    /// <summary>
    /// Returns the graft that scores a task: the union of those up to its own, with its head, for <c>GraftTransformer.Create</c> or, for
    /// all tasks, <c>GraftedModelSet.Create</c>.
    /// </summary>
    /// <param name="task">The task's name.</param>
    /// <returns>The union.</returns>
    /// <exception cref="KeyNotFoundException">The task is unknown.</exception>
    public Graft Union(string task)
    {
        Graft own = Grafts[task];
        return Graft.Union([.. Grafts.Values.TakeWhile(graft => graft != own), own], own);
    }

    /// <summary>Returns the forgetting of a task: its best metric before the last task was learnt minus the final one.</summary>
    /// <param name="method">The scoring method.</param>
    /// <param name="task">The task's name.</param>
    /// <returns>The difference, negative if later tasks improved it; NaN for the last task.</returns>
    /// <exception cref="ArgumentException">The task was not scored in this way.</exception>
    public double Forgetting(ContinualMethod method, string task)
    {
        double[] metrics = [.. Rows.Where(row => row.Method == method && row.Task == task).Select(row => row.Metric)];
        return metrics.Length switch
        {
            0 => throw new ArgumentException($"There is no metric of the task '{task}' by {method}.", nameof(task)),
            1 => double.NaN,
            _ => metrics[..^1].Max() - metrics[^1],
        };
    }

    /// <summary>Returns the mean forgetting of all tasks except the last.</summary>
    /// <param name="method">The scoring method.</param>
    /// <returns>The mean; NaN for a single task.</returns>
    /// <exception cref="ArgumentException">The tasks were not scored in this way.</exception>
    public double AverageForgetting(ContinualMethod method)
    {
        double[] all = [.. Grafts.Keys.Select(task => Forgetting(method, task))];
        return all.Length > 1 ? all[..^1].Average() : double.NaN;
    }

    /// <summary>Returns the rows as a view.</summary>
    /// <param name="context">The context that the view belongs to.</param>
    /// <returns>Columns After, Task, Method (texts), Metric, Parameters and Bytes, as in <see cref="ContinualGraftRow"/>.</returns>
    public IDataView ToDataView(MLContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return context.Data.LoadFromEnumerable(
            Rows.Select(row => new Row
            {
                After = row.After,
                Task = row.Task,
                Method = row.Method.ToString(),
                Metric = row.Metric,
                Parameters = row.Parameters,
                Bytes = row.Bytes,
            })
        );
    }

    private sealed class Row
    {
        public string After { get; set; } = "";

        public string Task { get; set; } = "";

        public string Method { get; set; } = "";

        public double Metric { get; set; }

        public long Parameters { get; set; }

        public long Bytes { get; set; }
    }
}

/// <summary>A task's metric at a point of a sequence.</summary>
/// <param name="After">The task that was learnt last.</param>
/// <param name="Task">The scored task, this or an earlier one.</param>
/// <param name="Method">The scoring method.</param>
/// <param name="Metric">The task's own metric on its test rows.</param>
/// <param name="Parameters">Scalars stored in addition to the base model: those of the grafts used, or all that sequential fine-tuning
/// trains, without classification heads.</param>
/// <param name="Bytes">Their size in bytes: that of the graft files, or 4 bytes per scalar, heads included.</param>
public sealed record ContinualGraftRow(string After, string Task, ContinualMethod Method, double Metric, long Parameters, long Bytes);

/// <summary>How a task is scored in continual learning.</summary>
public enum ContinualMethod
{
    /// <summary>The base with all grafts learnt so far, including those of later tasks: one model for all tasks.</summary>
    AllGrafts,

    /// <summary>
    /// The base with the grafts of the tasks up to this one, in which this task was learnt. Later tasks do not change it.
    /// </summary>
    OwnGrafts,

    /// <summary>Plain sequential fine-tuning, task after task in one model: the baseline.</summary>
    Sequential,
}
