using Microsoft.ML;
using SkillLoc.Transforms;

namespace SkillLoc.Evaluators;

/// <summary>
/// The relative gain of every graft on every task: Rel(gamma, t) = (P_gamma,t - P_0,t) / (P_1,t - P_0,t) (Panigrahi et al. 2023;
/// methods, A.13).
/// </summary>
public sealed record RelativeGainMetrics
{
    /// <summary>The matrix in row order: one graft with all tasks, then the next.</summary>
    public required IReadOnlyList<RelativeGainEntry> Entries { get; init; }

    /// <summary>The entries as rows, with the columns Graft, Task, PreTrained, FineTuned, Grafted, RelativeGain and Retention.</summary>
    /// <param name="context">The context.</param>
    /// <returns>One row per graft and task.</returns>
    public IDataView ToDataView(MLContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return context.Data.LoadFromEnumerable(Entries);
    }

    internal static RelativeGainMetrics Of(
        IReadOnlyDictionary<string, double> preTrained,
        IReadOnlyDictionary<string, double> fineTuned,
        IReadOnlyDictionary<string, IReadOnlyDictionary<string, double>> grafted
    ) =>
        new()
        {
            Entries =
            [
                .. from graft in grafted
                from task in preTrained.Keys
                select new RelativeGainEntry(
                    graft.Key,
                    task,
                    preTrained[task],
                    Measured(fineTuned, task, "fine-tuned model"),
                    Measured(graft.Value, task, $"graft '{graft.Key}'")
                ),
            ],
        };

    private static double Measured(IReadOnlyDictionary<string, double> metrics, string task, string what) =>
        metrics.TryGetValue(task, out double value)
            ? value
            : throw new ArgumentException(
                $"The {what} has no metric for task '{task}', which the pre-trained model has; it has "
                    + $"{EvaluatedColumn.Quote(metrics.Keys)}."
            );
}

/// <summary>The relative gain of a graft on a task.</summary>
/// <param name="Graft">The graft's name.</param>
/// <param name="Task">The task's name.</param>
/// <param name="PreTrained">P_0, the pre-trained model's metric on the task.</param>
/// <param name="FineTuned">P_1, the fine-tuned model's metric.</param>
/// <param name="Grafted">P_gamma, the grafted model's metric.</param>
public sealed record RelativeGainEntry(string Graft, string Task, double PreTrained, double FineTuned, double Grafted)
{
    /// <summary>
    /// (P_gamma - P_0) / (P_1 - P_0): 0 for the pre-trained model, 1 for the fine-tuned one, outside this range if the graft is worse than
    /// the former or better than the latter; NaN if P_1 = P_0.
    /// </summary>
    public double RelativeGain => FineTuned == PreTrained ? double.NaN : (Grafted - PreTrained) / (FineTuned - PreTrained);

    /// <summary>Skill retention, P_gamma / P_1; NaN if P_1 is 0.</summary>
    public double Retention => FineTuned == 0 ? double.NaN : Grafted / FineTuned;
}
