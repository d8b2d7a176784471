using Microsoft.ML;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Generation;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Runtime;
using SkillLoc.Models.Tuning;
using SkillLoc.Transforms;

namespace SkillLoc.Trainers;

public sealed partial class PromptFineTuneTrainer
{
    /// <summary>Options for <see cref="PromptFineTuneTrainer"/>.</summary>
    public sealed partial class Options
    {
        /// <summary>
        /// A Hugging Face checkpoint folder, or a name that <see cref="SkillLoc.Models.Hub.CheckpointHub"/> resolves. The rows of an
        /// existing classification head are reused by label name. The adaptation of a
        /// tuned checkpoint is continued if its method equals <see cref="Tuning"/>; otherwise it is folded into the weights, as for LoRA,
        /// or the folder is refused.
        /// </summary>
        public string Checkpoint = "";

        /// <summary>
        /// The task. A <see cref="PromptTask"/> has a template, label words and limits; <see cref="PromptTasks.Find"/> knows those of the
        /// paper, and a GPT-2 checkpoint takes its <see cref="PromptTask.Autoregressive"/> prompt. T5, which writes its answers, takes a
        /// <see cref="TextToTextTask"/>; <see cref="TextToTextTasks.Find"/> knows those of the paper. A key-typed label column makes it a
        /// classification: each label has an answer (<see cref="TextToTextTask.Answers"/>), and the scores are the probabilities of the
        /// answers. Answers that differ from row to row are a text column, or a vector of text where a row has several, of which each use
        /// of the row draws one; only the generated text is predicted then. Validation generates answers and evaluates them by the task's
        /// metric. To train all of T5, as the paper does, set <see cref="FixEmbeddings"/> and <see cref="FixHead"/> to false. Null for a
        /// classification head on plain text.
        /// </summary>
        public TaskDefinition? Task;

        /// <summary>
        /// Whether a row may have any number of the labels. A classification head then gives each label a probability of its own, the
        /// sigmoid of its logit, and learns by binary cross-entropy. The thresholds from which labels are predicted are chosen on the
        /// validation rows when training is over, each for the best F1 of its label, and are 0.5 without such rows; the best state is that
        /// of the best micro-averaged F1. Not for label words, nor for T5.
        /// </summary>
        public bool MultiLabel;

        /// <summary>
        /// The head: label words (prompt mode) or a classification head. Null (default) uses the label words, for a
        /// <see cref="TextToTextTask"/> <see cref="HeadKind.Generation"/>, and with <see cref="MultiLabel"/>
        /// <see cref="HeadKind.SequenceClassification"/>.
        /// </summary>
        public HeadKind? Head;

        /// <summary>The label column: a key; for a regression a Single in the task's score range, where rows with NaN are left out; for
        /// a <see cref="TextToTextTask"/> also text or a vector of text, where rows without an answer are left out; for
        /// <see cref="MultiLabel"/> a vector of keys, or one of Boolean or Single (0 or 1) with the labels as slot names.</summary>
        public string LabelColumnName = "Label";

        /// <summary>
        /// A column of weights of training rows in the loss: Single, finite, 0 or more. They are scaled to a mean of 1, so only ratios
        /// matter. Validation rows have equal weights. Null (default) for equal weights.
        /// </summary>
        public string? ExampleWeightColumnName;

        /// <summary>
        /// Weights of labels in the loss, multiplied by <see cref="ExampleWeightColumnName"/>, for imbalanced labels; scaled likewise. Null
        /// (default) for equal weights. For classifications only.
        /// </summary>
        public ClassWeights? ClassWeights;

        /// <summary>How rows are sampled in an epoch: all, shuffled (default), or balanced by label.</summary>
        public RowSampling Sampling;

        /// <summary>The text column.</summary>
        public string TextColumnName = "Text";

        /// <summary>The second text column; null (default) is "TextPair" for tasks on pairs, and none for others.</summary>
        public string? TextPairColumnName;

        /// <summary>The added column of probabilities, or of the predicted score of a regression; "Score" by default.</summary>
        public string ScoreColumnName = "Score";

        /// <summary>The added column of the most probable label, except for regressions; "PredictedLabel" by default.</summary>
        public string PredictedLabelColumnName = "PredictedLabel";

        /// <summary>The column of the answer that a model writes, which a <see cref="TextToTextTask"/> adds.</summary>
        public string PredictedTextColumnName = "PredictedText";

        /// <summary>Validation rows for selecting the best state, with the columns of the training view. Null (default) keeps the last
        /// state.</summary>
        public IDataView? ValidationSet;

        /// <summary>The optimiser; AdamW by default. For grafts at the paper's sparsity use <see cref="OptimizerKind.Sgd"/>, since the
        /// changes of AdamW are spread over all parameters.</summary>
        public OptimizerKind Optimizer = OptimizerKind.AdamW;

        /// <summary>The learning rate, or its peak after warm-up, above 0; 2e-5 by default.</summary>
        public double LearningRate = 2e-5;

        /// <summary>Weight decay of selected parameters other than biases and layer-norm weights, 0 or more; 1e-4 by default.</summary>
        public double WeightDecay = 1e-4;

        /// <summary>Number of warm-up updates, in which AdamW's learning rate rises from 0; 0 by default.</summary>
        public int WarmupSteps;

        /// <summary>Rows per micro-batch, 1 or more; 16 by default.</summary>
        public int BatchSize = 16;

        /// <summary>Micro-batches per update, 1 or more; 1 by default.</summary>
        public int GradientAccumulationSteps = 1;

        /// <summary>Number of epochs if <see cref="MaxSteps"/> is null, 0 or more; 3 by default. 0 does not train, for zero-shot
        /// scoring.</summary>
        public int Epochs = 3;

        /// <summary>Exact number of updates, 1 or more; null (default) uses <see cref="Epochs"/>.</summary>
        public int? MaxSteps;

        /// <summary>Maximum global norm of gradients, which are clipped to it, 0 or more; 1 by default, 0 for no clipping.</summary>
        public double MaxGradientNorm = 1;

        /// <summary>
        /// Whether to include frozen parameters in the gradient norm, as the paper's code does (methods, A.9), which requires computing
        /// their gradients; false by default.
        /// </summary>
        public bool ClipOverAllParameters;

        /// <summary>Dropout of hidden states and attention, from 0 to below 1; null (default) uses the checkpoint's.</summary>
        public double? Dropout;

        /// <summary>
        /// A parameter-efficient tuning method: only its parameters (with <see cref="BitFitOptions"/>, the biases) and a new classification
        /// head train; weight decay and options that select or anchor pre-trained parameters do not apply. A soft prompt uses the task's
        /// label words, but not its template. Null (default) trains the model's own parameters.
        /// </summary>
        public TuningOptions? Tuning;

        /// <summary>Freezes embeddings, which are also the head of T5 1.0; true by default.</summary>
        public bool FixEmbeddings = true;

        /// <summary>Freezes the pre-trained head, including T5's final norms; true by default. A new classification head always
        /// trains.</summary>
        public bool FixHead = true;

        /// <summary>Number of lowest layers to freeze, in T5 of both encoder and decoder; 0 by default.</summary>
        public int FixLayers;

        /// <summary>Trains biases only (BitFit); in T5, only those of relative positions. False by default.</summary>
        public bool BiasOnly;

        /// <summary>
        /// Strength of the L1 anchor, 0 or more; 0 (default) for none. Adds L1 * sum |value - initial value| to the loss, over the trained
        /// encoder parameters, embeddings included (methods, A.1). The paper uses 0.001 with AdamW.
        /// </summary>
        public double L1;

        /// <summary>
        /// Grafts to apply to the checkpoint before training, in order. Each must have been made for the checkpoint, and grafts with a head
        /// need the same <see cref="Head"/>.
        /// </summary>
        public IReadOnlyList<Graft> StartFrom = [];

        /// <summary>
        /// Grafts whose coordinates are frozen at their initial values, as for earlier tasks in continual learning. Their values are not
        /// applied: see <see cref="StartFrom"/>.
        /// </summary>
        public IReadOnlyList<Graft> Frozen = [];

        /// <summary>
        /// The only pre-trained coordinates that train, such as a graft's <see cref="Graft.Parts"/>, whose values are not applied. All
        /// others are frozen; a new classification head always trains. Null (default) for no limit.
        /// </summary>
        public IReadOnlyList<GraftPart>? Region;

        /// <summary>Updates between evaluations on the validation set, 1 or more; 100 by default. The last update is always
        /// evaluated.</summary>
        public int EvaluationInterval = 100;

        /// <summary>
        /// Early stopping: the number of consecutive validations without improvement, 1 or more. A metric below the best, or a mean
        /// training loss below 1e-7 since the previous validation, counts as none (methods, C.2). Needs a validation set. Null (default)
        /// never stops early.
        /// </summary>
        public int? Patience;

        /// <summary>The state that the fitted transformer keeps; the best by default.</summary>
        public FinalWeights Keep;

        /// <summary>Folder for checkpoints during training; null (default) for none.</summary>
        public string? CheckpointFolder;

        /// <summary>The states saved to <see cref="CheckpointFolder"/>, each as a Hugging Face checkpoint folder.</summary>
        public CheckpointPolicy Checkpoints = CheckpointPolicy.Every;

        /// <summary>Evaluations between checkpoints of <see cref="CheckpointPolicy.Every"/>, 1 or more; 1 by default.</summary>
        public int CheckpointInterval = 1;

        /// <summary>
        /// File for the state of a running training. If the program is interrupted at any time, the next Fit with the same options and data
        /// resumes from it; on the CPU, the result is the same bit for bit. It is removed when training completes. Null (default) saves no
        /// state.
        /// </summary>
        public string? StateFile;

        /// <summary>Updates between writes of <see cref="StateFile"/>, 1 or more; 100 by default. It is also written on
        /// cancellation.</summary>
        public int StateInterval = 100;

        /// <summary>
        /// File for the training dynamics of each row (<c>cartography.json</c> in the paper's code) (methods, C.6);
        /// <see cref="Models.Cartography.TrainingDynamics.Load"/> reads it. It is rewritten after each complete epoch, by row number in the
        /// view. For classifications only; in text-to-text models, correctness is that of the generated text, and confidence that of the
        /// first token in which the answers differ. Null (default) for none.
        /// </summary>
        public string? CartographyPath;

        /// <summary>A log to which the run's record is appended after training (methods, A.11); null (default) for none.</summary>
        public string? RecordPath;

        /// <summary>Maximum length of a row in tokens, 3 or more; null (default) uses the task's. The model's own limit always
        /// applies.</summary>
        public int? MaxLength;

        /// <summary>How rows that exceed the limit are truncated; the ends of sentences by default.</summary>
        public Truncation Truncation;

        /// <summary>
        /// Maximum number of padded tokens in a forward pass, 1 or more; lower it to save memory. It does not change the result except for
        /// rounding. Null (default) chooses a size that suits the device.
        /// </summary>
        public int? MaxTokensPerBatch;

        /// <summary>The arithmetic of the passes; float32 by default. The result is float32.</summary>
        public Precision Precision;

        /// <summary>
        /// Seed of shuffles and dropout, and of new parameters without their own seed. Null (default) uses the seed of the resumed state,
        /// or else draws one from the context: with a seed (<c>new MLContext(seed: 1)</c>) the same in every run of a program, without one
        /// a different one each time. The log and the run's record contain it.
        /// </summary>
        public int? Seed;

        /// <summary>
        /// Seed of a new head and of a tuning method's parameters, so that runs may share their initialisation and differ in
        /// <see cref="Seed"/>, or the reverse (methods, C.2). Null (default) uses <see cref="Seed"/>.
        /// </summary>
        public int? InitialisationSeed;

        /// <summary>
        /// Folder for the fine-tuned checkpoint, to which saved ML.NET models refer; must differ from <see cref="Checkpoint"/>. Null
        /// (default) for none; then <see cref="TextScoringTransformer.SaveCheckpoint"/> must be called before an ML.NET model can be saved.
        /// It is checked before the first update; if writing fails nevertheless, the model is returned with a warning, and
        /// <see cref="StateFile"/> is kept.
        /// </summary>
        public string? OutputFolder;

        /// <summary>Receives a report after each update.</summary>
        public IProgress<TrainingProgress>? Progress;

        /// <summary>Cancels training, which returns the best state so far, as does cancelling the context's execution.</summary>
        public CancellationToken CancellationToken;

        /// <summary>The selection of pre-trained parameters that train.</summary>
        internal ParameterSelection Selection =>
            new()
            {
                FixEmbeddings = FixEmbeddings,
                FixHead = FixHead,
                FixLayers = FixLayers,
                BiasOnly = BiasOnly,
            };

        /// <summary>Used if neither <see cref="Seed"/> nor a stored state has a seed; null draws one from the context.</summary>
        internal int? SpareSeed { get; set; }

        /// <summary>Seed of new parameters, after <see cref="WithSeed(int)"/>.</summary>
        internal int FreshSeed => InitialisationSeed ?? Seed!.Value;

        /// <summary>The task with a prompt; null where there is none.</summary>
        private PromptTask? Prompt => Task as PromptTask;

        internal bool IsRegression => Prompt?.IsRegression == true;

        /// <summary>The chosen head, or that of the task.</summary>
        internal HeadKind HeadKind =>
            Head
            ?? (
                Task is TextToTextTask ? HeadKind.Generation
                : MultiLabel ? HeadKind.SequenceClassification
                : HeadKind.LabelWords
            );

        /// <summary>The weighting of training rows.</summary>
        internal RowWeighting Weighting => new(ExampleWeightColumnName, ClassWeights);

        private bool HasTemplate => HeadKind.ReadsTemplate();

        internal bool HasTextPair() => HasTemplate ? Prompt!.IsPair : TextPairColumnName is not null || Prompt?.IsPair == true;

        /// <summary>Returns the options with a seed: their own, that of a stored state, or one drawn from the context.</summary>
        internal Options WithSeed(ComponentHost host) =>
            WithSeed(Seed ?? TrainingStateFile.SeedOf(StateFile) ?? SpareSeed ?? host.DrawSeed());

        /// <summary>Returns the options with a seed.</summary>
        internal Options WithSeed(int seed)
        {
            var options = (Options)MemberwiseClone();
            options.Seed = seed;
            return options;
        }

        /// <summary>Returns the options with the checkpoint as it is noted down: a full path, or a name with the commit.</summary>
        internal Options WithCheckpoint(ComponentHost host)
        {
            var options = (Options)MemberwiseClone();
            options.Checkpoint = host.Find(Checkpoint, CancellationToken);
            return options;
        }

        /// <summary>Returns the options for one task of several, without a second text column for single texts.</summary>
        internal Options For(PromptTask task)
        {
            var options = (Options)MemberwiseClone();
            options.Task = task;
            options.TextPairColumnName = task.IsPair ? TextPairColumnName : null;
            return options;
        }
    }
}

/// <summary>The states that are saved as checkpoints during fine-tuning (methods, A.9).</summary>
[Flags]
public enum CheckpointPolicy
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>The best state so far on the validation set, as <c>best/</c>.</summary>
    Best = 1,

    /// <summary>The state after the last update, as <c>last/</c>.</summary>
    Last = 2,

    /// <summary>The state at evaluations, as <c>ckpt_{step}/</c>.</summary>
    Every = 4,
}

/// <summary>The state that a fine-tuned transformer keeps.</summary>
public enum FinalWeights
{
    /// <summary>The best state on the validation set, with ties going to the later one; the last state without a validation set.</summary>
    Best,

    /// <summary>The state after the last update.</summary>
    Last,
}

/// <summary>The optimisers of fine-tuning (methods, A.9, C.2).</summary>
public enum OptimizerKind
{
    /// <summary>AdamW: decoupled weight decay, betas 0.9 and 0.999; linear warm-up, then linear decay to 0.</summary>
    AdamW,

    /// <summary>Plain stochastic gradient descent at a constant learning rate.</summary>
    Sgd,

    /// <summary>
    /// Adafactor (Shazeer and Stern 2018) at a constant learning rate, as in transformers without relative step, parameter scaling and
    /// momentum; its state is one row and one column of squares per matrix. Suitable rates are like AdamW's, such as 1e-4.
    /// </summary>
    Adafactor,
}

/// <summary>How rows are sampled in an epoch of fine-tuning.</summary>
public enum RowSampling
{
    /// <summary>Every row once, shuffled.</summary>
    Shuffled,

    /// <summary>
    /// As many rows as in the data, equally many of each label: rows of rare labels are repeated, those of frequent ones subsampled anew in
    /// each epoch. For classifications only.
    /// </summary>
    Balanced,
}
