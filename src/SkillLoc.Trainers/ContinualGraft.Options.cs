using SkillLoc.Models.Grafts;

namespace SkillLoc.Trainers;

public sealed partial class ContinualGraft
{
    /// <summary>Everything that continual learning can be told.</summary>
    public sealed class Options
    {
        /// <summary>
        /// How each task is fine-tuned, the checkpoint included. Task, ValidationSet, StartFrom and Frozen are set by the sequence, and
        /// TextToText, Tuning, Region, CheckpointFolder, OutputFolder and CartographyPath do not go with it: leave them out. With StateFile
        /// a task that was interrupted goes on from there.
        /// </summary>
        public PromptFineTuneTrainer.Options FineTune = new();

        /// <summary>
        /// How each task's graft is found. FineTuned, BaseCheckpoint, ValidationSet, LabelColumnName and BaseGrafts are set by the sequence;
        /// Outside and a loaded base patch do not go with it. StateFolder gets a folder per task.
        /// </summary>
        public GraftMaskEstimator.Options GraftMask = new();

        /// <summary>
        /// Where each task's graft is written as soon as it is found, a safetensors file with the run's fingerprint in its name. Where the
        /// same task was learnt with the same options, data and predecessors before, it is read from there; where the options name no seed,
        /// whichever seed it was learnt with. Null writes none.
        /// </summary>
        public string? Folder;

        /// <summary>Also fine-tunes one model on task after task, for comparison; what comes of it is not stored.</summary>
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
