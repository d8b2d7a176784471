using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Generation;
using SkillLoc.Models.Prompts;

namespace SkillLoc.Trainers;

public sealed partial class PromptFineTuneTrainer
{
    public sealed partial class Options
    {
        /// <exception cref="ArgumentException">An option is out of its range.</exception>
        internal void Check()
        {
            if ((HeadKind == HeadKind.Generation) != (Task is TextToTextTask))
            {
                throw new ArgumentException(
                    $"A model that writes its answers (T5) has a {nameof(TextToTextTask)} as Options.Task, and the head "
                        + $"{nameof(HeadKind.Generation)}, which "
                        + $"is the default then. Here the head is {HeadKind}, and Options.Task "
                        + $"{(Task is null ? "null" : $"the {Task.GetType().Name} '{Task.Name}'")}."
                );
            }

            if (MultiLabel && HeadKind.ReadsVocabulary())
            {
                throw new NotSupportedException(
                    $"Options.MultiLabel needs a classification head, such as {nameof(HeadKind)}.{HeadKind.SequenceClassification}, "
                        + $"not {HeadKind}."
                );
            }

            if (HasTemplate && Prompt is null)
            {
                throw new ArgumentException($"The head {HeadKind} reads a template's mask, so Options.Task must be set.");
            }

            if (MultiLabel && (Sampling == RowSampling.Balanced || CartographyPath is not null))
            {
                throw new ArgumentException(
                    "Options.MultiLabel gives rows any number of labels: Options.Sampling and Options.CartographyPath are for rows of one. "
                        + "ClassWeights.Balanced helps rare labels."
                );
            }

            if (IsRegression && (ClassWeights is not null || Sampling == RowSampling.Balanced))
            {
                throw new ArgumentException(
                    $"Options.ClassWeights and Options.Sampling balance labels, and '{Task!.Name}' is a regression task: use "
                        + "Options.ExampleWeightColumnName."
                );
            }

            if (IsRegression && HeadKind != HeadKind.LabelWords)
            {
                throw new NotSupportedException(
                    $"'{Task!.Name}' is a regression task, which is offered with {nameof(HeadKind.LabelWords)} only, not with {HeadKind}."
                );
            }

            if (IsRegression && Prompt!.Verbalizer.Count != 2)
            {
                throw new ArgumentException(
                    $"'{Prompt.Name}' is a regression task, which needs two label words, one for each end of its range, not "
                        + $"{Prompt.Verbalizer.Count}."
                );
            }

            if (Prompt is not null && IsRegression != (Prompt.Metric == PromptMetric.Correlation))
            {
                throw new ArgumentException(
                    $"'{Prompt.Name}' is scored by {Prompt.Metric} and {(IsRegression ? "has a" : "has no")} score range: "
                        + $"{PromptMetric.Correlation} goes with a score range, and the other metrics go without."
                );
            }

            if (Tuning is not null && (BiasOnly || L1 > 0 || Region is not null || Frozen.Count > 0))
            {
                throw new ArgumentException(
                    "Options.Tuning leaves the pre-trained parameters alone, so Options.BiasOnly, L1, Region and Frozen have nothing "
                        + "to choose "
                        + "or hold; leave them out."
                );
            }

            if (IsRegression && CartographyPath is not null)
            {
                throw new ArgumentException(
                    $"Options.CartographyPath records whether rows are predicted right, and '{Task!.Name}' is a regression task; "
                        + "leave it out."
                );
            }

            if (Optimizer == OptimizerKind.Adafactor && WarmupSteps > 0)
            {
                throw new ArgumentException(
                    $"Options.WarmupSteps is {WarmupSteps}, and Adafactor's learning rate is constant: leave it 0, or use "
                        + $"{OptimizerKind.AdamW}."
                );
            }

            CheckTargets();
            Require(LearningRate > 0 && double.IsFinite(LearningRate), nameof(LearningRate), LearningRate, "positive");
            Require(WeightDecay >= 0, nameof(WeightDecay), WeightDecay, "0 or more");
            Require(BatchSize > 0, nameof(BatchSize), BatchSize, "1 or more");
            Require(GradientAccumulationSteps > 0, nameof(GradientAccumulationSteps), GradientAccumulationSteps, "1 or more");
            Require(MaxSteps is null or > 0, nameof(MaxSteps), MaxSteps ?? 0, "1 or more, or null");
            Require(Epochs >= 0, nameof(Epochs), Epochs, "0 or more");
            Require(WarmupSteps >= 0, nameof(WarmupSteps), WarmupSteps, "0 or more");
            Require(EvaluationInterval > 0, nameof(EvaluationInterval), EvaluationInterval, "1 or more");
            Require(Patience is null or > 0, nameof(Patience), Patience ?? 0, "1 or more, or null");
            Require(L1 >= 0 && double.IsFinite(L1), nameof(L1), L1, "0 or more");
            Require(CheckpointInterval > 0, nameof(CheckpointInterval), CheckpointInterval, "1 or more");
            Require(StateInterval > 0, nameof(StateInterval), StateInterval, "1 or more");
            Require(MaxGradientNorm >= 0, nameof(MaxGradientNorm), MaxGradientNorm, "0 or more");
            Require(Dropout is null or (>= 0 and < 1), nameof(Dropout), Dropout ?? 0, "in [0, 1), or null");
            Require(MaxTokensPerBatch is null or > 0, nameof(MaxTokensPerBatch), MaxTokensPerBatch ?? 0, "1 or more, or null");
            Require(MaxLength is null or > 2, nameof(MaxLength), MaxLength ?? 0, "3 or more, or null");

            static void Require(bool holds, string option, double value, string range)
            {
                if (!holds)
                {
                    throw new ArgumentOutOfRangeException(option, value, $"Options.{option} must be {range}.");
                }
            }
        }

        /// <summary>Throws if training would overwrite its initial checkpoint, also through links.</summary>
        /// <exception cref="ArgumentException">It would overwrite it.</exception>
        private void CheckTargets()
        {
            if (OutputFolder is not null)
            {
                Check(OutputFolder, nameof(OutputFolder));
            }

            if (CheckpointFolder is not { } folder)
            {
                return;
            }

            foreach (string name in FineTuning.NamesOf(Checkpoints, folder))
            {
                Check(Path.Join(folder, name), nameof(CheckpointFolder));
            }

            void Check(string target, string option)
            {
                if (Checkpoint.Length > 0 && PathIdentity.Same(target, Checkpoint))
                {
                    throw new ArgumentException(
                        $"Options.{option} leads to '{target}', which is Options.Checkpoint: training would overwrite the model that "
                            + "it starts "
                            + "from, and grafts are found against that. Choose another folder.",
                        option
                    );
                }
            }
        }

        /// <summary>Checks options that need a validation set.</summary>
        /// <param name="isThere">Whether there is one.</param>
        /// <exception cref="ArgumentException">An option needs a validation set, and there is none.</exception>
        internal void CheckValidation(bool isThere)
        {
            if (CheckpointFolder is not null && Checkpoints.HasFlag(CheckpointPolicy.Best) && !isThere)
            {
                throw new ArgumentException("Options.Checkpoints asks for the best state, and there is no validation set to choose it by.");
            }

            if (Patience is not null && !isThere)
            {
                throw new ArgumentException(
                    "Options.Patience ends training when validations no longer improve, and there is no validation set: give one, or "
                        + "leave it out."
                );
            }
        }
    }
}
