using System.Collections.ObjectModel;
using SkillLoc.Models.Runs;
using SkillLoc.Transforms;

namespace SkillLoc.Trainers;

/// <summary>
/// One model that was fine-tuned on several tasks (Panigrahi et al. 2023; methods, A.13): one transformer per task, all sharing the same
/// weights. Owns the transformers: dispose it after using all of them.
/// </summary>
public sealed class MultiTaskModel : IDisposable
{
    internal MultiTaskModel(OrderedDictionary<string, TextScoringTransformer> tasks, RunRecord record)
    {
        Tasks = new ReadOnlyDictionary<string, TextScoringTransformer>(tasks);
        Record = record;
    }

    /// <summary>
    /// The transformers by task, in the given order. Each can be used as <see cref="GraftMaskEstimator.Options.FineTuned"/>, to find one
    /// mask per task in the shared model. Saving one saves the whole model.
    /// </summary>
    public IReadOnlyDictionary<string, TextScoringTransformer> Tasks { get; }

    /// <summary>The record of the training; its validation metrics are means over the tasks.</summary>
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
