using Microsoft.ML;
using SkillLoc.Models.Grafts;
using SkillLoc.Transforms;

namespace SkillLoc.Trainers;

/// <summary>One of the tasks whose models Localize-and-Stitch puts together.</summary>
/// <param name="FineTuned">The fine-tuned model; it is not changed.</param>
/// <param name="Rows">Labelled rows of the task, by which its skill is localised; the paper takes 64 a label.</param>
/// <param name="ValidationSet">Rows that help choose the best epoch of the mask; null chooses by <paramref name="Rows"/>.</param>
public sealed record StitchTask(TextScoringTransformer FineTuned, IDataView Rows, IDataView? ValidationSet = null);

/// <summary>What Localize-and-Stitch found (methods, E.7).</summary>
/// <param name="Grafts">The graft of each task, in the order of the tasks.</param>
public sealed record StitchedGrafts(IReadOnlyList<Graft> Grafts)
{
    /// <summary>All skills in one graft, which scores no task by itself: it has no settings and no head.</summary>
    /// <returns>The graft.</returns>
    public Graft Stitch() => Graft.Stitch(Grafts);

    /// <summary>All skills in one graft that scores a task. The grafts of different tasks change the base alike and differ in settings and
    /// head.</summary>
    /// <param name="task">The task's position among the tasks.</param>
    /// <returns>The graft.</returns>
    /// <exception cref="ArgumentOutOfRangeException">There is no such task.</exception>
    public Graft StitchFor(int task)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(task);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(task, Grafts.Count);
        return Graft.Stitch(Grafts, Grafts[task]);
    }
}
