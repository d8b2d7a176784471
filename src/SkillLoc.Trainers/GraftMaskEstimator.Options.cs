using System.Globalization;
using Microsoft.ML;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Tuning;
using SkillLoc.Transforms;

namespace SkillLoc.Trainers;

public sealed partial class GraftMaskEstimator
{
    /// <summary>Everything that grafting can be told (methods, A.12).</summary>
    public sealed class Options
    {
        /// <summary>The fine-tuned transformer whose skill is to be localised; it stays as it is and must live until Fit ends.</summary>
        public TextScoringTransformer? FineTuned;

        /// <summary>The pre-trained checkpoint folder; null takes the one that the fine-tuned transformer came from.</summary>
        public string? BaseCheckpoint;

        /// <summary>The label column, as fine-tuning had it: a key, for a regression a Single.</summary>
        public string LabelColumnName = "Label";

        /// <summary>A column of weights of training rows, as <see cref="PromptFineTuneTrainer.Options.ExampleWeightColumnName"/>; null
        /// weighs all alike.</summary>
        public string? ExampleWeightColumnName;

        /// <summary>Weights of the labels, as <see cref="PromptFineTuneTrainer.Options.ClassWeights"/>; give a graft those that fine-tuning
        /// had. Null weighs all alike.</summary>
        public ClassWeights? ClassWeights;

        /// <summary>Rows that help choose the best epoch; columns as the training view's. Null chooses by training rows alone.</summary>
        public IDataView? ValidationSet;

        /// <summary>The size of the base patch, as a share of the considered parameters.</summary>
        public double Sparsity = 1e-4;

        /// <summary>
        /// Whether the graft is held to the K = floor(sparsity N) coordinates that the soft mask puts nearest to 1, at every evaluation and
        /// in the end. Without, as in the paper's code, training may grow the mask beyond the base patch.
        /// </summary>
        public bool WithinSparsity;

        /// <summary>What the mask starts from.</summary>
        public BasePatchKind BasePatch = BasePatchKind.HighestMovement;

        /// <summary>The layer of <see cref="BasePatchKind.Layer"/>, from 0.</summary>
        public int PatchLayer;

        /// <summary>The file of <see cref="BasePatchKind.Loaded"/>.</summary>
        public string? PatchFile;

        /// <summary>What the considered parameters hold outside the mask.</summary>
        public GraftOutside Outside;

        /// <summary>
        /// Grafts of earlier skills that are put into the base first (continual learning; methods, A.13): the mask is found relative to
        /// them, their coordinates are not considered, and the new graft holds none of them.
        /// </summary>
        public IReadOnlyList<Graft>? BaseGrafts;

        /// <summary>
        /// Passes over the data, each with one update of the scores; 0 only evaluates the base patch, or the best mask of a training that
        /// was stored in <see cref="StateFolder"/>.
        /// </summary>
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

        /// <summary>
        /// Seed of a random base patch, of the scores and of the shuffles. Null takes the seed of the state that training goes on from, if
        /// there is one, or else one of the context's, as <see cref="PromptFineTuneTrainer.Options.Seed"/> does.
        /// </summary>
        public int? Seed;

        /// <summary>
        /// A folder for the state of the training, a file per sparsity with base patch and scores (4 bytes for each considered scalar).
        /// Where the file is there the training goes on from it, to the same result as if it had never stopped; a state that has done
        /// <see cref="Epochs"/> or more gives its best mask. Null stores nothing.
        /// </summary>
        public string? StateFolder;

        /// <summary>The state is stored after every so many epochs, and at the end.</summary>
        public int StateInterval = 10;

        /// <summary>A log to which each graft that is found appends one line (<see cref="Models.Runs.RunRecord"/>); null appends
        /// none.</summary>
        public string? RecordPath;

        /// <summary>Told after every epoch; a step is an epoch.</summary>
        public IProgress<TrainingProgress>? Progress;

        /// <summary>Ends the training with the best mask so far, as does the end of the context's execution.</summary>
        public CancellationToken CancellationToken;

        /// <summary>What training rows count by.</summary>
        internal RowWeighting Weighting => new(ExampleWeightColumnName, ClassWeights);

        /// <summary>Taken where neither <see cref="Seed"/> nor a stored state has one; null draws one from the context.</summary>
        internal int? SpareSeed { get; set; }

        /// <summary>The file of the state for a sparsity; null where none is stored.</summary>
        internal string? StateFile(double sparsity) => StateFolder is null
            ? null
            : Path.Join(StateFolder, string.Create(CultureInfo.InvariantCulture, $"graft-mask-{sparsity:R}.safetensors"));

        /// <summary>The same options with a seed for certain: their own, that of the first stored state, or one of the context's.</summary>
        internal Options WithSeed(ComponentHost host, IEnumerable<double> sparsities)
        {
            var options = (Options)MemberwiseClone();
            IEnumerable<int?> stored = sparsities.Select(StateFile).Where(File.Exists).Select(file => GraftMaskState.SeedOf(file!));
            options.Seed ??= stored.FirstOrDefault(seed => seed is not null) ?? SpareSeed ?? host.DrawSeed();
            return options;
        }

        /// <summary>The same options for one task of a sequence.</summary>
        internal Options For(
            TextScoringTransformer fineTuned, string labelColumnName, IDataView? validation, IReadOnlyList<Graft> baseGrafts,
            string stateName, int? spareSeed)
        {
            var options = (Options)MemberwiseClone();
            options.SpareSeed = spareSeed;
            options.FineTuned = fineTuned;
            options.LabelColumnName = labelColumnName;
            options.ValidationSet = validation;
            options.BaseGrafts = baseGrafts;
            options.StateFolder = StateFolder is null ? null : Path.Join(StateFolder, stateName);
            return options;
        }

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

            string found = BaseCheckpoint ?? FineTuned.BaseCheckpoint!;
            if (FineTuned.CheckpointFolder is { } tuned && PathIdentity.Same(tuned, found))
            {
                throw new ArgumentException(
                    $"'{found}' is where the fine-tuned model itself was saved: a graft is the difference of two models, so name the folder that "
                    + "fine-tuning started from in Options.BaseCheckpoint.");
            }

            if (BasePatch == BasePatchKind.Loaded == PatchFile is null)
            {
                throw new ArgumentException(
                    PatchFile is null
                        ? "BasePatchKind.Loaded reads the base patch from Options.PatchFile; name it."
                        : $"Options.PatchFile is read with BasePatchKind.Loaded, and Options.BasePatch is {BasePatch}.");
            }

            if (ClassWeights is not null && FineTuned.Labels.Count == 0)
            {
                throw new ArgumentException("Options.ClassWeights are of labels, and the fine-tuned model has none.");
            }

            if (Outside == GraftOutside.Zero && BaseGrafts is { Count: > 0 })
            {
                throw new ArgumentException("Options.Outside = Zero would erase Options.BaseGrafts; use one of them.");
            }

            if (WithinSparsity && BasePatch is BasePatchKind.Biases or BasePatchKind.Layer or BasePatchKind.Loaded)
            {
                throw new ArgumentException(
                    $"Options.WithinSparsity holds the graft to Options.Sparsity, and a base patch of the kind {BasePatch} has a size of its own.");
            }

            CheckRanges();
        }

        /// <exception cref="ArgumentOutOfRangeException">A number is out of its range.</exception>
        internal void CheckRanges()
        {
            Require(Sparsity is >= 0 and <= 1, nameof(Sparsity), Sparsity, "in [0, 1]");
            Require(Epochs >= 0, nameof(Epochs), Epochs, "0 or more");
            Require(LearningRate > 0 && double.IsFinite(LearningRate), nameof(LearningRate), LearningRate, "positive");
            Require(SigmoidBias >= 0, nameof(SigmoidBias), SigmoidBias, "0 or more");
            Require(BatchSize > 0, nameof(BatchSize), BatchSize, "1 or more");
            Require(MaxBatchesPerEpoch > 0, nameof(MaxBatchesPerEpoch), MaxBatchesPerEpoch, "1 or more");
            Require(PatchLayer >= 0, nameof(PatchLayer), PatchLayer, "0 or more");
            Require(StateInterval > 0, nameof(StateInterval), StateInterval, "1 or more");
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
