using Microsoft.ML;
using SkillLoc.Models.Tuning;
using SkillLoc.Transforms;

namespace SkillLoc.Trainers;

public sealed partial class GraftMaskEstimator
{
    /// <summary>Everything that grafting can be told (grafting reference A.12, decision 10).</summary>
    public sealed class Options
    {
        /// <summary>The fine-tuned transformer whose skill is to be localised; it stays as it is and must live until Fit ends.</summary>
        public TextScoringTransformer? FineTuned;

        /// <summary>The pre-trained checkpoint folder; null takes the one that the fine-tuned transformer came from.</summary>
        public string? BaseCheckpoint;

        /// <summary>The label column, as fine-tuning had it: a key, for a regression a Single.</summary>
        public string LabelColumnName = "Label";

        /// <summary>Rows that help choose the best epoch; columns as the training view's. Null chooses by training rows alone.</summary>
        public IDataView? ValidationSet;

        /// <summary>The size of the base patch, as a share of the considered parameters.</summary>
        public double Sparsity = 1e-4;

        /// <summary>What the mask starts from.</summary>
        public BasePatchKind BasePatch = BasePatchKind.HighestMovement;

        /// <summary>Passes over the data, each with one update of the scores; 0 keeps the base patch as it is.</summary>
        public int Epochs = 100;

        /// <summary>The learning rate of the scores.</summary>
        public double LearningRate = 1e7;

        /// <summary>beta: what is taken off the scores before the sigmoid.</summary>
        public double SigmoidBias = 10;

        /// <summary>Rows of a micro-batch.</summary>
        public int BatchSize = 8;

        /// <summary>At most this many micro-batches make an epoch, drawn anew for each.</summary>
        public int MaxBatchesPerEpoch = 128;

        /// <summary>What chooses the best epoch.</summary>
        public GraftSelection Selection = GraftSelection.TrainingAndValidation;

        /// <summary>Which parameters the graft may use; null takes those that fine-tuning could change.</summary>
        public ParameterSelection? Considered;

        /// <summary>
        /// Padded tokens in one forward pass; lower it when memory is short. It does not change the result's mathematics. Null takes what
        /// suits the device.
        /// </summary>
        public int? MaxTokensPerBatch;

        /// <summary>Seed of the scores and of the shuffle.</summary>
        public int Seed;

        /// <summary>Told after every epoch; a step is an epoch.</summary>
        public IProgress<TrainingProgress>? Progress;

        /// <summary>Ends the training with the best mask so far.</summary>
        public CancellationToken CancellationToken;

        /// <exception cref="ArgumentException">An option is missing or out of its range.</exception>
        internal void Check()
        {
            if (FineTuned is null)
            {
                throw new ArgumentException("Options.FineTuned must be the transformer that PromptFineTune gave.");
            }

            if (BaseCheckpoint is null && FineTuned.BaseCheckpoint is null)
            {
                throw new ArgumentException("The fine-tuned transformer does not know its base; name the folder in Options.BaseCheckpoint.");
            }

            Require(Sparsity is >= 0 and <= 1, nameof(Sparsity), Sparsity, "in [0, 1]");
            Require(Epochs >= 0, nameof(Epochs), Epochs, "0 or more");
            Require(LearningRate > 0 && double.IsFinite(LearningRate), nameof(LearningRate), LearningRate, "positive");
            Require(SigmoidBias >= 0, nameof(SigmoidBias), SigmoidBias, "0 or more");
            Require(BatchSize > 0, nameof(BatchSize), BatchSize, "1 or more");
            Require(MaxBatchesPerEpoch > 0, nameof(MaxBatchesPerEpoch), MaxBatchesPerEpoch, "1 or more");
            Require(MaxTokensPerBatch is null or > 0, nameof(MaxTokensPerBatch), MaxTokensPerBatch ?? 0, "1 or more, or null");

            static void Require(bool holds, string option, double value, string range)
            {
                if (!holds)
                {
                    throw new ArgumentOutOfRangeException(option, value, $"Options.{option} must be {range}.");
                }
            }
        }
    }
}
