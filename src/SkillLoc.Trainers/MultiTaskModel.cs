using System.Collections.ObjectModel;
using SkillLoc.Models.Runs;
using SkillLoc.Transforms;

namespace SkillLoc.Trainers;

/// <summary>
/// One model that was fine-tuned on several tasks (Panigrahi et al. 2023; methods, A.13): a transformer per task, all over the
/// same weights in memory. It owns the transformers: dispose it when done with all of them.
/// </summary>
public sealed class MultiTaskModel : IDisposable
{
    internal MultiTaskModel(OrderedDictionary<string, TextScoringTransformer> tasks, RunRecord record)
    {
        Tasks = new ReadOnlyDictionary<string, TextScoringTransformer>(tasks);
        Record = record;
    }

    /// <summary>
    /// The transformers by the tasks' names, in the order in which the tasks were given. Each is what
    /// <see cref="GraftMaskEstimator.Options.FineTuned"/> takes, so that one mask per task is found in the shared model; one that is saved
    /// takes the whole model with it.
    /// </summary>
    public IReadOnlyDictionary<string, TextScoringTransformer> Tasks { get; }

    /// <summary>How the model was trained; its validation metrics are means over the tasks.</summary>
    public RunRecord Record { get; }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (TextScoringTransformer transformer in Tasks.Values)
        {
            transformer.Dispose();
        }
    }
}
