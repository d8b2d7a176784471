using Microsoft.ML;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Prompts;

namespace SkillLoc.Trainers;

public sealed partial class ContinualGraft
{
    /// <summary>Options for <see cref="ContinualGraft"/>.</summary>
    public sealed class Options
    {
        /// <summary>
        /// Options of fine-tuning each task, including the checkpoint. Task, ValidationSet, StartFrom and Frozen are set by the sequence,
        /// and TextToText, Tuning, Region, CheckpointFolder, OutputFolder and CartographyPath must not be set. With StateFile, an
        /// interrupted task is resumed.
        /// </summary>
        public PromptFineTuneTrainer.Options FineTune = new();

        /// <summary>
        /// Options of finding each task's graft. FineTuned, BaseCheckpoint, ValidationSet, LabelColumnName and BaseGrafts are set by the
        /// sequence; Outside and a loaded base patch must not be set. StateFolder has one folder per task.
        /// </summary>
        public GraftMaskEstimator.Options GraftMask = new();

        /// <summary>
        /// Folder to which each graft is saved when found, as a safetensors file with the run's fingerprint in its name. A task that was
        /// learnt before with the same options, data and predecessors is loaded from there; without seeds in the options, whatever its
        /// seed. Null (default) saves none.
        /// </summary>
        public string? Folder;

        /// <summary>Whether to fine-tune one model on task after task as well, as a baseline that is not saved; false by default.</summary>
        public bool SequentialBaseline;

        /// <exception cref="ArgumentException">An option is missing, out of its range, or set by the sequence itself.</exception>
        internal void Check()
        {
            ArgumentException.ThrowIfNullOrEmpty(FineTune.Checkpoint);
            if (FineTune.Task is not null || FineTune.ValidationSet is not null || FineTune.StartFrom.Count > 0 || FineTune.Frozen.Count > 0
                || FineTune.Tuning is not null || FineTune.Region is not null || FineTune.CheckpointFolder is not null
                || FineTune.OutputFolder is not null || FineTune.CartographyPath is not null || FineTune.MultiLabel)
            {
                throw new ArgumentException(
                    "Options.FineTune holds for every task: leave out Task, ValidationSet, StartFrom and Frozen, which the sequence sets, and "
                    + "MultiLabel, Tuning, Region, CheckpointFolder, OutputFolder and CartographyPath.");
            }

            if (GraftMask.FineTuned is not null || GraftMask.BaseCheckpoint is not null || GraftMask.ValidationSet is not null
                || GraftMask.BaseGrafts is not null || GraftMask.PatchFile is not null || GraftMask.BasePatch == BasePatchKind.Loaded
                || GraftMask.Outside == GraftOutside.Zero)
            {
                throw new ArgumentException(
                    "Options.GraftMask holds for every task: leave out FineTuned, BaseCheckpoint, ValidationSet and BaseGrafts, which the "
                    + "sequence sets, a loaded base patch, and zeros outside, which would erase earlier tasks.");
            }

            GraftMask.CheckRanges();
        }
    }
}

/// <summary>A task of continual learning (<see cref="ContinualGraft"/>). Its views have the columns named in the options.</summary>
/// <param name="Prompt">The task: template, label words, limits; its name is that of the graft and of the
/// metrics.</param>
/// <param name="Train">Training rows.</param>
/// <param name="Test">Test rows, used for reported metrics only.</param>
/// <param name="Validation">Validation rows, which select the best fine-tuned state and the best mask; null for none.</param>
public sealed record ContinualTask(PromptTask Prompt, IDataView Train, IDataView Test, IDataView? Validation = null);
