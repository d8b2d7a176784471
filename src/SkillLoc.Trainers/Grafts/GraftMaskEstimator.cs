using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Runtime;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Tuning;
using SkillLoc.Transforms;

namespace SkillLoc.Trainers;

/// <summary>
/// Localises a skill: finds the few parameters whose fine-tuned values, in the pre-trained model, preserve the skill (Panigrahi et al.
/// 2023, section 3; methods, A.12).
/// </summary>
public sealed class GraftMaskEstimator : IEstimator<GraftTransformer>
{
    private readonly ComponentHost _host;
    private readonly Options _options;

    internal GraftMaskEstimator(SkillLocCatalog catalog, Options options)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Check();
        _host = new(catalog.Context, nameof(GraftMaskEstimator));
        _options = options;
    }

    /// <summary>Trains the mask.</summary>
    /// <param name="input">The training view, with the label column of fine-tuning and the text columns of the fine-tuned
    /// transformer.</param>
    /// <returns>A scoring transformer with base model and graft; the caller disposes it.</returns>
    /// <exception cref="ArgumentException">A column is missing or of another type, or a label is not one of the task's.</exception>
    /// <exception cref="InvalidOperationException">There are no rows, or a row cannot be encoded.</exception>
    /// <exception cref="InvalidDataException">The base checkpoint is damaged, or of another architecture than the fine-tuned model; or the
    /// file of a base patch or of a stored training is damaged or belongs to something else.</exception>
    /// <exception cref="IOException">An output cannot be written; nothing was trained.</exception>
    public GraftTransformer Fit(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        using IChannel channel = _host.Start("Training");
        using var training = new GraftTraining(_host, channel, _options, [_options.Sparsity], input);
        return training.Finish(training.Find(_options.Sparsity));
    }

    /// <inheritdoc/>
    public SchemaShape GetOutputSchema(SchemaShape inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        return ScoringSchema.Append(inputSchema, _options.FineTuned!.Columns, _options.FineTuned.Outputs);
    }

    /// <summary>Options for <see cref="GraftMaskEstimator"/> (methods, A.12).</summary>
    public sealed class Options
    {
        /// <summary>The fine-tuned transformer whose skill is localised. It is not changed, and must not be disposed before Fit
        /// ends.</summary>
        public TextScoringTransformer? FineTuned;

        /// <summary>The pre-trained checkpoint folder; null (default) for that of the fine-tuned transformer.</summary>
        public string? BaseCheckpoint;

        /// <summary>The label column, as in fine-tuning: a key, or a Single for a regression.</summary>
        public string LabelColumnName = "Label";

        /// <summary>A column of weights of training rows, as <see cref="PromptFineTuneTrainer.Options.ExampleWeightColumnName"/>; null
        /// (default) for equal weights.</summary>
        public string? ExampleWeightColumnName;

        /// <summary>Weights of the labels, as <see cref="PromptFineTuneTrainer.Options.ClassWeights"/>; use those of fine-tuning. Null
        /// (default) for equal weights.</summary>
        public ClassWeights? ClassWeights;

        /// <summary>Validation rows for selecting the best epoch, with the columns of the training view. Null (default) selects by training
        /// rows only.</summary>
        public IDataView? ValidationSet;

        /// <summary>Size of the base patch as a share of the considered scalars, in [0, 1]; 1e-4 by default.</summary>
        public double Sparsity = 1e-4;

        /// <summary>
        /// Whether to limit the graft to the K = floor(sparsity N) coordinates with the highest soft mask, at every evaluation and in the
        /// result. False (default, as in the paper's code) lets the mask grow beyond the base patch.
        /// </summary>
        public bool WithinSparsity;

        /// <summary>The base patch of the mask; the largest movements by default.</summary>
        public BasePatchKind BasePatch = BasePatchKind.HighestMovement;

        /// <summary>The zero-based layer of <see cref="BasePatchKind.Layer"/>; 0 by default.</summary>
        public int PatchLayer;

        /// <summary>The file of <see cref="BasePatchKind.Loaded"/>.</summary>
        public string? PatchFile;

        /// <summary>The values of considered parameters outside the mask; pre-trained by default.</summary>
        public GraftOutside Outside;

        /// <summary>
        /// Grafts of earlier skills to apply to the base first (continual learning; methods, A.13); their coordinates are not considered
        /// and not part of the new graft.
        /// </summary>
        public IReadOnlyList<Graft>? BaseGrafts;

        /// <summary>
        /// Number of epochs, each with one update of the scores, 0 or more; 100 by default. 0 evaluates the base patch, or the best mask in
        /// <see cref="StateFolder"/>.
        /// </summary>
        public int Epochs = 100;

        /// <summary>Learning rate of the scores, above 0; 1e7 by default.</summary>
        public double LearningRate = 1e7;

        /// <summary>beta, which is subtracted from the scores before the sigmoid, 0 or more; 10 by default.</summary>
        public double SigmoidBias = 10;

        /// <summary>What the scores are charged beside the loss; nothing by default.</summary>
        public MaskPenalty Penalty;

        /// <summary>lambda, the weight of <see cref="Penalty"/>, 0 or more; 10 by default, as in Localize-and-Stitch.</summary>
        public double PenaltyStrength = 10;

        /// <summary>Rows per micro-batch, 1 or more; 8 by default.</summary>
        public int BatchSize = 8;

        /// <summary>Maximum number of micro-batches per epoch, drawn for each epoch, 1 or more; 128 by default.</summary>
        public int MaxBatchesPerEpoch = 128;

        /// <summary>The criterion for the best epoch; the sum of training and validation metric by default.</summary>
        public GraftSelection Selection = GraftSelection.TrainingAndValidation;

        /// <summary>The considered parameters; null (default) for those that fine-tuning could change.</summary>
        public ParameterSelection? Considered;

        /// <summary>
        /// Maximum number of padded tokens in a forward pass, 1 or more; lower it to save memory. It does not change the result except for
        /// rounding. Null (default) chooses a size that suits the device.
        /// </summary>
        public int? MaxTokensPerBatch;

        /// <summary>
        /// Seed of a random base patch, the scores and the shuffles. Null (default) uses the seed of the resumed state, or else draws one
        /// from the context, as <see cref="PromptFineTuneTrainer.Options.Seed"/> does.
        /// </summary>
        public int? Seed;

        /// <summary>
        /// Folder for the training state, with one file per sparsity that holds base patch and scores (4 bytes per considered scalar).
        /// Training resumes from an existing file, with the same result as an uninterrupted run; a state with <see cref="Epochs"/> or more
        /// epochs returns its best mask. Null (default) saves no state.
        /// </summary>
        public string? StateFolder;

        /// <summary>Epochs between writes of the state, 1 or more; 10 by default. The final state is always written.</summary>
        public int StateInterval = 10;

        /// <summary>A log to which each found graft appends a line (<see cref="Models.Runs.RunRecord"/>); null (default) for
        /// none.</summary>
        public string? RecordPath;

        /// <summary>Receives a report after each epoch, which counts as one step.</summary>
        public IProgress<TrainingProgress>? Progress;

        /// <summary>Cancels training, which returns the best mask so far, as does cancelling the context's execution.</summary>
        public CancellationToken CancellationToken;

        /// <summary>The settings of Localize-and-Stitch (He et al. 2025): a base patch of 1e-5, scores that start 4 to 5 from the threshold,
        /// and 10 epochs over all rows with a penalty on the size of the mask.</summary>
        /// <returns>New options.</returns>
        public static Options LocalizeAndStitch() =>
            new()
            {
                Sparsity = 1e-5,
                SigmoidBias = 5,
                Epochs = 10,
                MaxBatchesPerEpoch = int.MaxValue,
                Penalty = MaskPenalty.Shrink,
            };

        /// <summary>The criterion by which the best epoch is chosen.</summary>
        internal double Criterion(GraftQuality quality) =>
            Selection switch
            {
                GraftSelection.Training => quality.Training,
                GraftSelection.Validation => quality.Validation ?? quality.Training,
                _ => quality.Training + (quality.Validation ?? 0),
            };

        /// <summary>The weighting of training rows.</summary>
        internal RowWeighting Weighting => new(ExampleWeightColumnName, ClassWeights);

        /// <summary>Used if neither <see cref="Seed"/> nor a stored state has a seed; null draws one from the context.</summary>
        internal int? SpareSeed { get; set; }

        /// <summary>Returns the state file of a sparsity; null for none.</summary>
        internal string? StateFile(double sparsity) =>
            StateFolder is null
                ? null
                : Path.Join(StateFolder, string.Create(CultureInfo.InvariantCulture, $"graft-mask-{sparsity:R}.safetensors"));

        /// <summary>Returns the options with a seed: their own, that of the first stored state, or one drawn from the context.</summary>
        internal Options WithSeed(ComponentHost host, IEnumerable<double> sparsities)
        {
            var options = (Options)MemberwiseClone();
            IEnumerable<int?> stored = sparsities.Select(StateFile).Where(File.Exists).Select(file => GraftMaskState.SeedOf(file!));
            options.Seed ??= stored.FirstOrDefault(seed => seed is not null) ?? SpareSeed ?? host.DrawSeed();
            return options;
        }

        /// <summary>Returns the options for one task of a sequence.</summary>
        internal Options For(
            TextScoringTransformer fineTuned,
            string labelColumnName,
            IDataView? validation,
            IReadOnlyList<Graft> baseGrafts,
            string stateName,
            int? spareSeed
        )
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
                throw new ArgumentException(
                    "The fine-tuned transformer does not know its base; name the folder in Options.BaseCheckpoint."
                );
            }

            string found = BaseCheckpoint ?? FineTuned.BaseCheckpoint!;
            if (FineTuned.CheckpointFolder is { } tuned && PathIdentity.Same(tuned, found))
            {
                throw new ArgumentException(
                    $"'{found}' is where the fine-tuned model itself was saved: a graft is the difference of two models, so name the "
                        + "folder that "
                        + "fine-tuning started from in Options.BaseCheckpoint."
                );
            }

            if (BasePatch == BasePatchKind.Loaded == PatchFile is null)
            {
                throw new ArgumentException(
                    PatchFile is null
                        ? "BasePatchKind.Loaded reads the base patch from Options.PatchFile; name it."
                        : $"Options.PatchFile is read with BasePatchKind.Loaded, and Options.BasePatch is {BasePatch}."
                );
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
                    $"Options.WithinSparsity holds the graft to Options.Sparsity, and a base patch of the kind {BasePatch} has a size "
                        + "of its own."
                );
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
            Require(
                PenaltyStrength >= 0 && double.IsFinite(PenaltyStrength),
                nameof(PenaltyStrength),
                PenaltyStrength,
                "finite, and 0 or more"
            );
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

/// <summary>The base patch of a graft's mask.</summary>
public enum BasePatchKind
{
    /// <summary>The coordinates with the largest movement, as many as the sparsity allows.</summary>
    HighestMovement,

    /// <summary>Empty; training the mask must find all coordinates.</summary>
    Empty,

    /// <summary>Coordinates drawn uniformly, as many as the sparsity allows; depending on the seed. Controls need at least 5
    /// draws.</summary>
    Random,

    /// <summary>All considered biases, whatever the sparsity.</summary>
    Biases,

    /// <summary>All considered coordinates of one layer, whatever the sparsity.</summary>
    Layer,

    /// <summary>A mask from a file: a graft's coordinates, or a safetensors file with a mask or scores for each considered
    /// parameter.</summary>
    Loaded,
}

/// <summary>The criterion that selects the epoch whose rounded mask becomes the graft (methods, A.12).</summary>
public enum GraftSelection
{
    /// <summary>The sum of the metrics on training rows and on the validation set, as in the paper's code.</summary>
    TrainingAndValidation,

    /// <summary>The metric on the validation set only.</summary>
    Validation,

    /// <summary>The metric on training rows only.</summary>
    Training,
}
