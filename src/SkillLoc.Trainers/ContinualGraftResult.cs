using System.Collections.ObjectModel;
using Microsoft.ML;
using SkillLoc.Models.Grafts;

namespace SkillLoc.Trainers;

/// <summary>What a sequence of tasks gave: sparse grafts, and how well every task does as others are learnt.</summary>
public sealed record ContinualGraftResult
{
    internal ContinualGraftResult(OrderedDictionary<string, Graft> grafts, IReadOnlyList<ContinualGraftRow> rows)
    {
        Grafts = new ReadOnlyDictionary<string, Graft>(grafts);
        Rows = rows;
    }

    /// <summary>The grafts by the tasks' names, in the order in which they were learnt; no coordinate lies in two of them.</summary>
    public IReadOnlyDictionary<string, Graft> Grafts { get; }

    /// <summary>After every task, for it and every earlier task, one row a method.</summary>
    public IReadOnlyList<ContinualGraftRow> Rows { get; }

    /// <summary>
    /// The graft that scores a task: the union of those up to its own, with its head. <c>GraftTransformer.Create</c> takes it, and
    /// <c>GraftedModelSet.Create</c> those of all tasks.
    /// </summary>
    /// <param name="task">The task's name.</param>
    /// <returns>The union.</returns>
    /// <exception cref="KeyNotFoundException">There is no such task.</exception>
    public Graft Union(string task)
    {
        Graft own = Grafts[task];
        return GraftUnion.Of([.. Grafts.Values.TakeWhile(graft => graft != own), own], own);
    }

    /// <summary>How much of a task is forgotten: the best metric that it had before the last task was learnt, less the one after it.</summary>
    /// <param name="method">How it is scored.</param>
    /// <param name="task">The task's name.</param>
    /// <returns>The difference, negative when later tasks made it better than ever; NaN for the last task, which nothing followed.</returns>
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

    /// <summary>The mean of what is forgotten of all tasks but the last.</summary>
    /// <param name="method">How the tasks are scored.</param>
    /// <returns>The mean; NaN where there is one task only.</returns>
    /// <exception cref="ArgumentException">The tasks were not scored in this way.</exception>
    public double AverageForgetting(ContinualMethod method)
    {
        double[] all = [.. Grafts.Keys.Select(task => Forgetting(method, task))];
        return all.Length > 1 ? all[..^1].Average() : double.NaN;
    }

    /// <summary>The rows as a view.</summary>
    /// <param name="context">The context that the view belongs to.</param>
    /// <returns>Columns After, Task, Method (texts), Metric, Parameters and Bytes, as <see cref="ContinualGraftRow"/> has them.</returns>
    public IDataView ToDataView(MLContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return context.Data.LoadFromEnumerable(Rows.Select(row => new Row
        {
            After = row.After,
            Task = row.Task,
            Method = row.Method.ToString(),
            Metric = row.Metric,
            Parameters = row.Parameters,
            Bytes = row.Bytes,
        }));
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
