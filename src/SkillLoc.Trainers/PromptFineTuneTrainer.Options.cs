using System.Globalization;
using Microsoft.ML;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Generation;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tuning;
using SkillLoc.Transforms;

namespace SkillLoc.Trainers;

public sealed partial class PromptFineTuneTrainer
{
    /// <summary>Everything that fine-tuning can be told.</summary>
    public sealed class Options
    {
        /// <summary>
        /// A Hugging Face checkpoint folder. A classification head in it goes on by the names of its labels. Where a method tuned the model,
        /// training goes on with that if it is <see cref="Tuning"/>; else what it learnt is folded into the weights, as LoRA's is, or the
        /// folder is refused.
        /// </summary>
        public string Checkpoint = "";

        /// <summary>
        /// The task. A <see cref="PromptTask"/> has a template, label words and limits; <see cref="PromptTasks.Find"/> knows those of the paper,
        /// and a GPT-2 checkpoint takes its <see cref="PromptTask.Autoregressive"/> prompt. T5, which writes its answers, takes a
        /// <see cref="TextToTextTask"/>; <see cref="TextToTextTasks.Find"/> knows those of the paper. A key-typed label column makes it a
        /// classification: each label has an answer (<see cref="TextToTextTask.Answers"/>), and the scores are the probabilities of the
        /// answers. Answers that differ from row to row are a text column, or a vector of text where a row has several, of which each use of
        /// the row draws one; nothing but the written text is predicted then. Validation has the model write, and judges by the task's
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
        /// What makes logits: the label words (prompt mode), or a classification head. Null takes the label words, for a
        /// <see cref="TextToTextTask"/> <see cref="HeadKind.Generation"/>, and with <see cref="MultiLabel"/>
        /// <see cref="HeadKind.SequenceClassification"/>.
        /// </summary>
        public HeadKind? Head;

        /// <summary>The label column: a key; for a regression a Single in the task's score range, where rows with NaN are left out; for
        /// a <see cref="TextToTextTask"/> also text or a vector of text, where rows without an answer are left out; for
        /// <see cref="MultiLabel"/> a vector of keys, or one of Boolean or Single (0 or 1) with the labels as slot names.</summary>
        public string LabelColumnName = "Label";

        /// <summary>
        /// A column of weights, Single, finite and 0 or more: how much a training row counts in the loss. They are scaled to a mean of 1, so
        /// only their ratios matter. Validation rows count alike. Null weighs all rows alike.
        /// </summary>
        public string? ExampleWeightColumnName;

        /// <summary>
        /// How much the rows of each label count in the loss, on top of <see cref="ExampleWeightColumnName"/>, for labels of which some are
        /// rare; scaled like those. Null weighs all labels alike. For labels only.
        /// </summary>
        public ClassWeights? ClassWeights;

        /// <summary>Which rows an epoch sees: all, shuffled, or as many of each label.</summary>
        public RowSampling Sampling;

        /// <summary>The text column.</summary>
        public string TextColumnName = "Text";

        /// <summary>The second text column; for a task on pairs it is "TextPair" unless named, for other tasks there is none.</summary>
        public string? TextPairColumnName;

        /// <summary>The column of probabilities that scoring adds; for a regression it holds the predicted score.</summary>
        public string ScoreColumnName = "Score";

        /// <summary>The column of the most probable label that scoring adds, but not for a regression.</summary>
        public string PredictedLabelColumnName = "PredictedLabel";

        /// <summary>The column of the answer that a model writes, which a <see cref="TextToTextTask"/> adds.</summary>
        public string PredictedTextColumnName = "PredictedText";

        /// <summary>Rows that choose the best state; its columns must be as the training view's. Null keeps the last state.</summary>
        public IDataView? ValidationSet;

        /// <summary>The optimiser. For grafts at the paper's sparsity use <see cref="OptimizerKind.Sgd"/>: AdamW's change is spread wide.</summary>
        public OptimizerKind Optimizer = OptimizerKind.AdamW;

        /// <summary>The learning rate, or its peak after warm-up.</summary>
        public double LearningRate = 2e-5;

        /// <summary>Weight decay of selected parameters that are neither biases nor layer-norm weights.</summary>
        public double WeightDecay = 1e-4;

        /// <summary>Updates over which AdamW's learning rate rises from 0.</summary>
        public int WarmupSteps;

        /// <summary>Rows of a micro-batch.</summary>
        public int BatchSize = 16;

        /// <summary>Micro-batches whose gradients make one update.</summary>
        public int GradientAccumulationSteps = 1;

        /// <summary>Passes over the data, when <see cref="MaxSteps"/> is null; 0 trains nothing, which scores zero-shot.</summary>
        public int Epochs = 3;

        /// <summary>Exactly this many updates, over as many epochs as they need.</summary>
        public int? MaxSteps;

        /// <summary>Gradients are scaled to this global norm when they exceed it; 0 does not clip.</summary>
        public double MaxGradientNorm = 1;

        /// <summary>
        /// Counts the gradients of frozen parameters in the norm too, as the paper's code does (methods, A.9); costs their computation.
        /// </summary>
        public bool ClipOverAllParameters;

        /// <summary>Dropout of hidden states and attention; null takes the checkpoint's own.</summary>
        public double? Dropout;

        /// <summary>
        /// A parameter-efficient method: only what it adds (with <see cref="BitFitOptions"/> the biases) and a fresh classification head
        /// train, and neither weight decay nor the options that choose or anchor pre-trained parameters apply. With a soft prompt the
        /// task's template is not used, its label words are. Null trains the model's own parameters.
        /// </summary>
        public TuningOptions? Tuning;

        /// <summary>Keep embeddings as they are; T5's first version reads its head from them too.</summary>
        public bool FixEmbeddings = true;

        /// <summary>Keep the pre-trained head as it is, and T5's last norms with it; a fresh classification head always trains.</summary>
        public bool FixHead = true;

        /// <summary>Keep this many of the lowest layers as they are, of T5's encoder and decoder alike.</summary>
        public int FixLayers;

        /// <summary>Train biases only (BitFit); T5 has those of its relative positions alone.</summary>
        public bool BiasOnly;

        /// <summary>
        /// Strength of an anchor that adds L1 * sum |value - value at the start| to the loss, over the encoder's parameters that train,
        /// embeddings included (methods, A.1). The paper localises AdamW's skills with 0.001; 0 is none.
        /// </summary>
        public double L1;

        /// <summary>
        /// Grafts that are put into the checkpoint before training, in this order. Each must have been made for the checkpoint, and one
        /// that carries a head needs the same <see cref="Head"/>.
        /// </summary>
        public IReadOnlyList<Graft> StartFrom = [];

        /// <summary>
        /// Grafts whose coordinates keep their starting values bit for bit, as continual learning asks of those of earlier tasks. Their
        /// values are not read: see <see cref="StartFrom"/>.
        /// </summary>
        public IReadOnlyList<Graft> Frozen = [];

        /// <summary>
        /// The only pre-trained coordinates that train, such as a graft's <see cref="Graft.Parts"/>; values are not read. All others keep
        /// their starting values bit for bit; a classification head of its own trains as ever. Null is no limit.
        /// </summary>
        public IReadOnlyList<GraftPart>? Region;

        /// <summary>Updates between evaluations on the validation set; there is always one after the last update.</summary>
        public int EvaluationInterval = 100;

        /// <summary>
        /// Ends training after so many validations in a row that did not improve: the metric was below the best, or the mean training loss
        /// since the validation before was below 1e-7 (methods, C.2). Needs a validation set. Null never does.
        /// </summary>
        public int? Patience;

        /// <summary>What the fitted transformer holds.</summary>
        public KeptState Keep;

        /// <summary>Where checkpoints are written while training runs; null writes none.</summary>
        public string? CheckpointFolder;

        /// <summary>Which states are written to <see cref="CheckpointFolder"/>, each a Hugging Face checkpoint folder.</summary>
        public CheckpointPolicy Checkpoints = CheckpointPolicy.Every;

        /// <summary>Evaluations between checkpoints of <see cref="CheckpointPolicy.Every"/>.</summary>
        public int CheckpointInterval = 1;

        /// <summary>
        /// A file that holds the state of the training while it runs. When the program is ended, at whatever moment, the next Fit with the
        /// same options and data finds it, goes on from there and, on the CPU, comes to the same result bit for bit. It is removed when
        /// training is complete. Null keeps no state.
        /// </summary>
        public string? StateFile;

        /// <summary>Updates between writes of <see cref="StateFile"/>, which is also written when training is cancelled.</summary>
        public int StateInterval = 100;

        /// <summary>
        /// A file, <c>cartography.json</c> in the paper's code, for what the model makes of the training rows after each epoch
        /// (methods, C.6); <see cref="Models.Cartography.TrainingDynamics.Load"/> reads it. It is replaced after each epoch, so that it holds
        /// all complete epochs, by the rows' numbers in the view; an epoch that training leaves early is not recorded. For labels only;
        /// where a model writes their answers, a row is right when what it writes is, and the confidence is that of the first token in
        /// which the answers differ. Null records none.
        /// </summary>
        public string? CartographyPath;

        /// <summary>A log to which the run's record is appended when training is complete (methods, A.11); null appends none.</summary>
        public string? RecordPath;

        /// <summary>The longest row in tokens; null takes the task's. The model's own limit holds in any case.</summary>
        public int? MaxLength;

        /// <summary>What gives way in rows that are too long.</summary>
        public Truncation Truncation;

        /// <summary>
        /// Padded tokens in one forward pass; lower it when memory is short. It does not change the result's mathematics. Null takes what
        /// suits the device.
        /// </summary>
        public int? MaxTokensPerBatch;

        /// <summary>The arithmetic of the passes; what comes out is float32.</summary>
        public Precision Precision;

        /// <summary>
        /// Seed of the shuffle and of dropout, and of fresh parameters where these have no seed of their own. Null takes the seed of the
        /// state that training goes on from, if there is one, or else one of the context's: with a seed of its own
        /// (<c>new MLContext(seed: 1)</c>) the same in every run of a program, without one another each time. What was taken stands in the
        /// log and in the run's record.
        /// </summary>
        public int? Seed;

        /// <summary>
        /// Seed of a fresh head and of a tuning method's fresh parameters, so that runs can start alike and differ in <see cref="Seed"/>, or
        /// start differently and see the rows in the same order (methods, C.2). Null takes <see cref="Seed"/>.
        /// </summary>
        public int? InitialisationSeed;

        /// <summary>
        /// Where the fine-tuned checkpoint is written, which an ML.NET model that is saved names; not <see cref="Checkpoint"/>'s folder. Null
        /// writes none; then <see cref="TextScoringTransformer.SaveCheckpoint"/> must be called before an ML.NET model can be saved. As all
        /// that is written, it is checked before the first update; where writing fails in the end all the same, the model is handed back with
        /// a warning, and what <see cref="StateFile"/> holds stays.
        /// </summary>
        public string? OutputFolder;

        /// <summary>Told after every update.</summary>
        public IProgress<TrainingProgress>? Progress;

        /// <summary>Ends training with the best state so far, as does the end of the context's execution.</summary>
        public CancellationToken CancellationToken;

        /// <summary>Which pre-trained parameters train.</summary>
        internal ParameterSelection Selection =>
            new() { FixEmbeddings = FixEmbeddings, FixHead = FixHead, FixLayers = FixLayers, BiasOnly = BiasOnly };

        /// <summary>Taken where neither <see cref="Seed"/> nor a stored state has one; null draws one from the context.</summary>
        internal int? SpareSeed { get; set; }

        /// <summary>Of fresh parameters, once <see cref="WithSeed(int)"/> has settled it.</summary>
        internal int FreshSeed => InitialisationSeed ?? Seed!.Value;

        /// <summary>The task with a prompt; null where there is none.</summary>
        private PromptTask? Prompt => Task as PromptTask;

        internal bool IsRegression => Prompt?.IsRegression == true;

        /// <summary>The head that was chosen, or the task's.</summary>
        internal HeadKind HeadKind => Head
            ?? (Task is TextToTextTask ? HeadKind.Generation : MultiLabel ? HeadKind.SequenceClassification : HeadKind.LabelWords);

        /// <summary>What training rows count by.</summary>
        internal RowWeighting Weighting => new(ExampleWeightColumnName, ClassWeights);

        private bool HasTemplate => HeadKind is HeadKind.LabelWords or HeadKind.MaskTokenLinear;

        internal bool HasTextPair() => HasTemplate ? Prompt!.IsPair : TextPairColumnName is not null || Prompt?.IsPair == true;

        /// <exception cref="ArgumentException">An option is out of its range.</exception>
        internal void Check()
        {
            if ((HeadKind == HeadKind.Generation) != (Task is TextToTextTask))
            {
                throw new ArgumentException(
                    $"A model that writes its answers (T5) has a {nameof(TextToTextTask)} as Options.Task, and the head {nameof(HeadKind.Generation)}, which "
                    + $"is the default then. Here the head is {HeadKind}, and Options.Task {(Task is null ? "null" : $"the {Task.GetType().Name} '{Task.Name}'")}.");
            }

            if (MultiLabel && HeadKind is HeadKind.LabelWords or HeadKind.Generation)
            {
                throw new NotSupportedException(
                    $"Options.MultiLabel needs a classification head, such as {nameof(HeadKind)}.{HeadKind.SequenceClassification}, not {HeadKind}.");
            }

            if (HasTemplate && Prompt is null)
            {
                throw new ArgumentException($"The head {HeadKind} reads a template's mask, so Options.Task must be set.");
            }

            if (MultiLabel && (Sampling == RowSampling.Balanced || CartographyPath is not null))
            {
                throw new ArgumentException(
                    "Options.MultiLabel gives rows any number of labels: Options.Sampling and Options.CartographyPath are for rows of one. "
                    + "ClassWeights.Balanced helps rare labels.");
            }

            if (IsRegression && (ClassWeights is not null || Sampling == RowSampling.Balanced))
            {
                throw new ArgumentException(
                    $"Options.ClassWeights and Options.Sampling balance labels, and '{Task!.Name}' is a regression task: use "
                    + "Options.ExampleWeightColumnName.");
            }

            if (IsRegression && HeadKind != HeadKind.LabelWords)
            {
                throw new NotSupportedException(
                    $"'{Task!.Name}' is a regression task, which is offered with {nameof(HeadKind.LabelWords)} only, not with {HeadKind}.");
            }

            if (IsRegression && Prompt!.Verbalizer.Count != 2)
            {
                throw new ArgumentException(
                    $"'{Prompt.Name}' is a regression task, which needs two label words, one for each end of its range, not {Prompt.Verbalizer.Count}.");
            }

            if (Prompt is not null && IsRegression != (Prompt.Metric == PromptMetric.Correlation))
            {
                throw new ArgumentException(
                    $"'{Prompt.Name}' is scored by {Prompt.Metric} and {(IsRegression ? "has a" : "has no")} score range: "
                    + $"{PromptMetric.Correlation} goes with a score range, and the other metrics go without.");
            }

            if (Tuning is not null && (BiasOnly || L1 > 0 || Region is not null || Frozen.Count > 0))
            {
                throw new ArgumentException(
                    "Options.Tuning leaves the pre-trained parameters alone, so Options.BiasOnly, L1, Region and Frozen have nothing to choose "
                    + "or hold; leave them out.");
            }

            if (IsRegression && CartographyPath is not null)
            {
                throw new ArgumentException(
                    $"Options.CartographyPath records whether rows are predicted right, and '{Task!.Name}' is a regression task; leave it out.");
            }

            if (Optimizer == OptimizerKind.Adafactor && WarmupSteps > 0)
            {
                throw new ArgumentException(
                    $"Options.WarmupSteps is {WarmupSteps}, and Adafactor's learning rate is constant: leave it 0, or use {OptimizerKind.AdamW}.");
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

        /// <summary>Throws where training would overwrite the checkpoint that it starts from, also through links.</summary>
        /// <exception cref="ArgumentException">It would.</exception>
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
                        $"Options.{option} leads to '{target}', which is Options.Checkpoint: training would overwrite the model that it starts "
                        + "from, and grafts are found against that. Choose another folder.",
                        option);
                }
            }
        }

        /// <summary>Checks what needs a validation set.</summary>
        /// <param name="isThere">Whether there is one.</param>
        /// <exception cref="ArgumentException">There is none, and an option needs it.</exception>
        internal void CheckValidation(bool isThere)
        {
            if (CheckpointFolder is not null && Checkpoints.HasFlag(CheckpointPolicy.Best) && !isThere)
            {
                throw new ArgumentException("Options.Checkpoints asks for the best state, and there is no validation set to choose it by.");
            }

            if (Patience is not null && !isThere)
            {
                throw new ArgumentException(
                    "Options.Patience ends training when validations no longer improve, and there is no validation set: give one, or leave it out.");
            }
        }

        /// <summary>The same options with a seed for certain: their own, that of a stored state, or one of the context's.</summary>
        internal Options WithSeed(ComponentHost host) =>
            WithSeed(Seed ?? TrainingStateFile.SeedOf(StateFile) ?? SpareSeed ?? host.DrawSeed());

        /// <summary>The same options with a seed.</summary>
        internal Options WithSeed(int seed)
        {
            var options = (Options)MemberwiseClone();
            options.Seed = seed;
            return options;
        }

        /// <summary>The same options for one task of several; where it is on single texts there is no second column.</summary>
        internal Options For(PromptTask task)
        {
            var options = (Options)MemberwiseClone();
            options.Task = task;
            options.TextPairColumnName = task.IsPair ? TextPairColumnName : null;
            return options;
        }

        /// <summary>The columns that the task's rows are read from and scored into.</summary>
        internal ScoringColumns Columns() => new()
        {
            Text = TextColumnName,
            TextPair = HasTextPair() ? TextPairColumnName ?? "TextPair" : null,
            Score = ScoreColumnName,
            PredictedLabel = PredictedLabelColumnName,
            PredictedText = PredictedTextColumnName,
        };

        /// <summary>The classifier's settings for training rows.</summary>
        /// <exception cref="ArgumentException">A column is missing or of another type, a label is none of the task's, or the task has no
        /// prompt for the checkpoint's kind of model.</exception>
        internal ClassifierSettings Settings(DataViewSchema schema)
        {
            ScoringSchema.CheckInputs(schema, Columns());
            if (Task is TextToTextTask writing)
            {
                return Settings(schema, writing);
            }

            IReadOnlyList<string>? values = null;
            int keys = 2;
            if (MultiLabel)
            {
                values = LabelValues.OfSets(schema, LabelColumnName);
            }
            else if (IsRegression)
            {
                LabelValues.CheckScores(schema, LabelColumnName);
            }
            else
            {
                values = LabelValues.Of(schema, LabelColumnName, out keys);
            }

            return Settings(values, keys, Models.Checkpoints.CheckpointFolder.ReadConfig(Checkpoint));
        }

        /// <summary>The settings of a model that writes its answers.</summary>
        /// <exception cref="ArgumentException">A label has no answer, or there are no labels and answers are given.</exception>
        private ClassifierSettings Settings(DataViewSchema schema, TextToTextTask task)
        {
            IReadOnlyList<string> labels = [];
            if (!LabelValues.AreAnswers(schema, LabelColumnName))
            {
                labels = LabelValues.Of(schema, LabelColumnName, out int keys) ?? Numbers(keys);
                RequireTwo(labels);
            }
            else if (ClassWeights is not null || Sampling == RowSampling.Balanced)
            {
                throw new ArgumentException(
                    $"Options.ClassWeights and Options.Sampling balance labels, and the label column '{LabelColumnName}' is text: put "
                    + $"mlContext.Transforms.Conversion.MapValueToKey(\"{LabelColumnName}\") before the trainer, or leave them out.");
            }
            else if (task.Answers is not null)
            {
                throw new ArgumentException(
                    $"The answers of Options.Task are those of labels, and the label column '{LabelColumnName}' is text, which holds the answers themselves.");
            }
            else if (CartographyPath is not null)
            {
                throw new ArgumentException(
                    $"Options.CartographyPath records the probability of the right label, and the label column '{LabelColumnName}' is text: put "
                    + $"mlContext.Transforms.Conversion.MapValueToKey(\"{LabelColumnName}\") before the trainer, or leave it out.");
            }

            return new()
            {
                Task = task.Name,
                Head = HeadKind,
                TextToText = task with { Answers = null },
                Labels = labels,
                Words = task.Answers is null ? null : [.. labels.Select(Answer)],
                HasTextPair = HasTextPair(),
                MaxLength = MaxLength ?? task.MaxInputLength,
                Truncation = Truncation,
                Trained = Tuning is null ? Selection : null,
                Tuning = Tuning,
            };

            string Answer(string label) => task.Answers.TryGetValue(label, out string? answer) ? answer : throw new ArgumentException(
                $"The label column '{LabelColumnName}' has the label '{label}', and Options.Task has answers for "
                + $"{string.Join(", ", task.Answers.Keys.Select(known => $"'{known}'"))} only.");
        }

        /// <exception cref="ArgumentException">There are fewer than two labels.</exception>
        private void RequireTwo(IReadOnlyList<string> labels)
        {
            if (labels.Count < 2)
            {
                throw new ArgumentException(
                    $"The label column '{LabelColumnName}' of the training data holds {(labels.Count == 0 ? "no label" : $"the label '{labels[0]}' only")}; a "
                    + "classifier tells two or more apart. Are the rows of one class, or is another column the label?");
            }
        }

        /// <summary>What labels are called whose keys have no values.</summary>
        private static string[] Numbers(int keys) => [.. Enumerable.Range(0, keys).Select(i => i.ToString(CultureInfo.InvariantCulture))];

        /// <summary>
        /// The classifier's settings. Scores stand in the order of the label column's keys, as ML.NET's evaluators expect.
        /// </summary>
        /// <exception cref="ArgumentException">A label is none of the task's, or the task has no prompt for the checkpoint's kind of model.</exception>
        private ClassifierSettings Settings(IReadOnlyList<string>? keyValues, int keys, ModelConfig config)
        {
            AutoregressivePrompt? prompt = config.IsCausal && HeadKind == HeadKind.LabelWords
                ? Prompt!.Autoregressive ?? throw new ArgumentException(
                    $"The task '{Prompt.Name}' has no autoregressive prompt, which a causal model ({config.ModelType} in {Checkpoint}) needs: set "
                    + $"{nameof(PromptTask)}.{nameof(PromptTask.Autoregressive)}, or use {nameof(HeadKind)}.{HeadKind.SequenceClassification}.")
                : null;
            Verbalizer? verbalizer = HasTemplate ? Prompt!.Verbalizer : null;
            IReadOnlyList<string> labels = keyValues
                ?? (verbalizer is not null && verbalizer.Count == keys
                    ? verbalizer.Labels
                    : Numbers(keys));
            RequireTwo(labels);
            bool isPrompted = Tuning is not SoftPromptOptions;
            return new()
            {
                Task = Task?.Name ?? "",
                Head = HeadKind,
                Template = HasTemplate && isPrompted && prompt is null ? Prompt!.Template.ToString() : null,
                AutoregressiveTemplate = isPrompted ? prompt?.Template.ToString() : null,
                OptionScoring = prompt?.Scoring ?? OptionScoring.Auto,
                Labels = labels,
                Words = verbalizer is null ? null : [.. labels.Select(label => Word(verbalizer, prompt?.Options ?? verbalizer.Words, label))],
                ScoreRange = Prompt?.ScoreRange,
                Thresholds = MultiLabel ? [.. labels.Select(_ => LabelThresholds.Usual)] : null,
                HasTextPair = HasTextPair(),
                MaxLength = MaxLength ?? (config.IsCausal
                    ? prompt?.MaxLength ?? AutoregressivePrompt.UsualMaxLength
                    : Prompt?.MaxLength ?? PromptTask.UsualMaxLength),
                FirstSentenceLimit = Prompt?.FirstSentenceLimit,
                OtherSentenceLimit = Prompt?.OtherSentenceLimit,
                Truncation = Truncation,
                Metric = Prompt?.Metric ?? PromptMetric.Accuracy,
                Trained = Tuning is null ? Selection : null,
                Tuning = Tuning,
            };
        }

        /// <summary>
        /// What bears on a run's result beside checkpoint and data, by name in snake case: numbers, flags and choices, the classifier's
        /// settings, and the fingerprints of regions.
        /// </summary>
        internal RunDescription Describe(ClassifierSettings settings)
        {
            var run = new RunDescription(this, nameof(Checkpoints), nameof(CheckpointInterval), nameof(StateInterval));
            run.Put(nameof(Head), settings.Head);
            run.Put(nameof(settings.TextToText), settings.TextToText);
            run.Put(nameof(settings.OptionScoring), settings.OptionScoring);
            run.Put(nameof(settings.Template), settings.Template);
            run.Put(nameof(settings.Labels), string.Join('|', settings.Labels));
            run.Put(nameof(settings.AutoregressiveTemplate), settings.AutoregressiveTemplate);
            run.Put(nameof(settings.ScoreRange), settings.ScoreRange);
            run.Put(nameof(settings.Words), settings.Words is null ? null : string.Join('|', settings.Words));
            run.Put(nameof(settings.MaxLength), settings.MaxLength);
            run.Put(nameof(settings.FirstSentenceLimit), settings.FirstSentenceLimit);
            run.Put(nameof(settings.OtherSentenceLimit), settings.OtherSentenceLimit);
            run.Put(nameof(settings.Metric), settings.Metric);
            run.Put(nameof(ExampleWeightColumnName), ExampleWeightColumnName);
            run.Put(nameof(ClassWeights), ClassWeights);
            run.Put(nameof(Tuning), Tuning?.ToJson());
            run.Put(nameof(StartFrom), StartFrom.Count == 0 ? null : RunFingerprint.Of(StartFrom.SelectMany(graft => graft.Parts)));
            run.Put(nameof(Frozen), Frozen.Count == 0 ? null : RunFingerprint.Of(Frozen.SelectMany(graft => graft.Parts)));
            run.Put(nameof(Region), Region is null ? null : RunFingerprint.Of(Region));
            return run;
        }

        private string Word(Verbalizer verbalizer, IReadOnlyList<string> words, string label)
        {
            int index = verbalizer.IndexOf(label);
            return index >= 0 ? words[index] : throw new ArgumentException(
                $"The label column '{LabelColumnName}' has the label '{label}', and the task '{Task!.Name}' has words for "
                + $"{string.Join(", ", verbalizer.Labels.Select(known => $"'{known}'"))} only. Give words of your own, one for each label: Task = task with "
                + $"{{ Verbalizer = new Verbalizer([new(\"{label}\", \"a word\"), ...]) }}, or describe the task in JSON (PromptTasks.Load); or take a head that "
                + "needs none: Head = HeadKind.SequenceClassification.");
        }
    }
}
