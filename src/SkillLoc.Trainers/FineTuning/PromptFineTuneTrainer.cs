using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Generation;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Runs;
using SkillLoc.Models.Tasks;
using SkillLoc.Transforms;
using TorchSharp;

namespace SkillLoc.Trainers;

/// <summary>
/// Fine-tunes a language model for classification or regression of text, with a prompt whose mask is filled with a label word, or with a
/// classification head (Panigrahi et al. 2023, section 2; methods, A.1 to A.11). T5 learns to generate answers (Qin et al. 2022; methods,
/// C.1, C.2), either one of a few, as a classification, or free text.
/// </summary>
public sealed partial class PromptFineTuneTrainer : IEstimator<TextScoringTransformer>
{
    private readonly ComponentHost _host;
    private readonly Options _options;
    private readonly torch.Device _device;
    private readonly ScoringColumns _columns;

    internal PromptFineTuneTrainer(SkillLocCatalog catalog, Options options)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentException.ThrowIfNullOrEmpty(options.Checkpoint);
        options.Check();
        _host = new(catalog.Context, nameof(PromptFineTuneTrainer));
        _options = options;
        _device = catalog.Device();
        _columns = options.Columns();
    }

    /// <summary>Fine-tunes on a view.</summary>
    /// <param name="input">A view with the label column (a key, for a regression a Single, for T5 also text) and the text columns.</param>
    /// <returns>The scoring transformer, which owns the model; the caller disposes it.</returns>
    /// <exception cref="ArgumentException">A column is missing or of another type, or a label is not one of the task's.</exception>
    /// <exception cref="InvalidOperationException">There are no rows, a row cannot be encoded, training diverged, or the state file is of
    /// another run.</exception>
    /// <exception cref="FileNotFoundException">The checkpoint or one of its files is missing.</exception>
    /// <exception cref="InvalidDataException">The checkpoint is damaged, or a graft to start from was made for another one.</exception>
    /// <exception cref="IOException">An output cannot be written; nothing was trained.</exception>
    public TextScoringTransformer Fit(IDataView input) => Fit(input, _options.ValidationSet);

    /// <summary>Fine-tunes on a view and keeps the best state on a validation view.</summary>
    /// <param name="trainData">A view with the label column (a key, for a regression a Single, for T5 also text) and the text
    /// columns.</param>
    /// <param name="validationData">Validation rows for selecting the best state; null keeps the last.</param>
    /// <returns>The scoring transformer, which owns the model; the caller disposes it.</returns>
    public TextScoringTransformer Fit(IDataView trainData, IDataView? validationData)
    {
        ArgumentNullException.ThrowIfNull(trainData);
        _options.CheckValidation(validationData is not null);
        ScoringSchema.CheckInputs(trainData.Schema, _columns);
        Options options = _options.WithSeed(_host).WithCheckpoint(_host);
        var classifier = TextClassifier.Create(options.Checkpoint, options.Settings(trainData.Schema), _device, seed: options.FreshSeed);
        try
        {
            CheckOutputs(classifier);
            EncodedDataset train = _options.Weighting.Read(trainData, _columns, _options.LabelColumnName, classifier, "training data");
            EncodedDataset? validation = validationData is null
                ? null
                : EncodedDataset.Read(validationData, _columns, _options.LabelColumnName, classifier, "validation data");
            string? fingerprint =
                _options.RecordPath is not null || _options.StartFrom.Count > 0 ? classifier.Backbone.Fingerprint() : null;
            using IChannel channel = _host.Start("Training");
            HeadMatches.Tell(channel, classifier.Head.Match, _options.Checkpoint);
            TellOfTuning(channel, _options.Checkpoint, classifier);
            foreach (Graft graft in _options.StartFrom)
            {
                Start(classifier, graft, fingerprint!, channel);
            }

            Dictionary<string, string> run = options.Describe(classifier.Settings);
            TrainingStateFile? stateFile = StateFile(run, classifier, train, validation);
            TrainingState state;
            channel.Info(MessageSensitivity.None, $"Fine-tuning {_options.Checkpoint} on {train.Count} rows with seed {options.Seed}.");
            using (
                var training = new FineTuning(
                    options,
                    [classifier],
                    [train],
                    validation is null ? null : [validation],
                    stateFile,
                    _host,
                    channel
                )
            )
            {
                state = training.Run();
            }

            if (classifier.Settings.IsMultiLabel && validation is not null)
            {
                classifier.SetThresholds(
                    LabelThresholds.Choose(classifier.Score(validation.Texts), [.. validation.Targets.Select(target => target.LabelSet)])
                );
            }

            string? output = _options.OutputFolder is { } folder ? Path.GetFullPath(folder) : null;
            bool isWritten =
                output is null
                || RunOutputs.Try(
                    channel,
                    $"The model ({output})",
                    () =>
                    {
                        CheckpointStore.CheckTarget(output, options.Checkpoint);
                        Directory.CreateDirectory(Path.GetDirectoryName(output)!);
                        classifier.SaveChecked(output);
                    }
                );
            RunRecord record = state.ToRecord("fine-tune", classifier.Settings.Task, options.Checkpoint, fingerprint, train.Count, run);
            if (state.IsComplete)
            {
                if (_options.RecordPath is { } log)
                {
                    RunOutputs.Try(channel, $"The run's record ({log})", () => RunRecord.Append(log, record));
                }

                // Where the model is not written, what it can be had from again stays.
                if (isWritten && stateFile is not null)
                {
                    RunOutputs.Try(channel, $"That the training is complete ({_options.StateFile})", stateFile.Delete);
                }
            }

            return new(classifier, _columns, isWritten ? output : null, options.Checkpoint) { Host = _host, Record = record };
        }
        catch
        {
            classifier.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public SchemaShape GetOutputSchema(SchemaShape inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        SchemaShape.Column label = ScoringSchema.Find(inputSchema, _options.LabelColumnName);
        if (_options.IsRegression)
        {
            return label.ItemType == NumberDataViewType.Single && !label.IsKey && label.Kind == SchemaShape.Column.VectorKind.Scalar
                ? ScoringSchema.Append(inputSchema, _columns, TaskOutputs.Score)
                : throw new ArgumentOutOfRangeException(nameof(inputSchema), LabelValues.ScoresAreSingle(label.Name, label.ItemType));
        }

        if (_options.MultiLabel)
        {
            return label.Kind != SchemaShape.Column.VectorKind.Scalar
                ? ScoringSchema.Append(inputSchema, _columns, new TaskOutputs(["0", "1"], IsMultiLabel: true))
                : throw new ArgumentOutOfRangeException(nameof(inputSchema), LabelValues.SetsAreVectors(label.Name, label.ItemType));
        }

        if (_options.Task is TextToTextTask)
        {
            return label.IsKey || label.ItemType is TextDataViewType
                ? ScoringSchema.Append(inputSchema, _columns, new TaskOutputs(label.IsKey ? ["0", "1"] : [], IsText: true))
                : throw new ArgumentOutOfRangeException(nameof(inputSchema), LabelValues.AnswersAreText(label.Name, label.ItemType));
        }

        if (!label.IsKey)
        {
            throw new ArgumentOutOfRangeException(
                nameof(inputSchema),
                $"The label column '{label.Name}' is {label.ItemType}; it must be a key: put "
                    + $"mlContext.Transforms.Conversion.MapValueToKey(\"{label.Name}\") before the trainer."
            );
        }

        // A shape tells kinds and annotations, not sizes, so any two labels give the right one.
        return ScoringSchema.Append(inputSchema, _columns, new TaskOutputs(["0", "1"]));
    }

    /// <summary>Throws if an output cannot be written.</summary>
    private void CheckOutputs(TextClassifier classifier)
    {
        if (_options.OutputFolder is not null)
        {
            CheckpointStore.CheckTarget(_options.OutputFolder, _options.Checkpoint);
        }

        long model = RunOutputs.BytesOf(classifier.Parameters.Values);
        var outputs = new RunOutputs();
        outputs.AddCheckpoint(nameof(_options.OutputFolder), _options.OutputFolder, model);
        if (_options.CheckpointFolder is { } folder)
        {
            // Of numbered checkpoints one: how many there will be at a time is not known here.
            outputs.AddFolder(nameof(_options.CheckpointFolder), folder, _options.Checkpoints.HasFlag(CheckpointPolicy.Every) ? model : 0);
            foreach (string name in FineTuning.NamesOf(_options.Checkpoints, folder))
            {
                outputs.AddCheckpoint(nameof(_options.CheckpointFolder), Path.Join(folder, name), model);
            }
        }

        outputs.AddFile(nameof(_options.StateFile), _options.StateFile, StateBytes(_options, [classifier]));
        outputs.AddCartography(nameof(_options.CartographyPath), _options.CartographyPath);
        outputs.AddLog(nameof(_options.RecordPath), _options.RecordPath);
        outputs.Check();
    }

    /// <summary>Estimates the size of a state file: trained parameters, moments and best values.</summary>
    internal static long StateBytes(Options options, IReadOnlyList<TextClassifier> classifiers) =>
        4
        * RunOutputs.BytesOf(
            options.Tuning is not null
                ? classifiers[0].TunedParameters.Values
                : options
                    .Selection.Of(classifiers[0].Backbone)
                    .Select(name => classifiers[0].Backbone.Parameters[name])
                    .Concat(classifiers.SelectMany(classifier => classifier.Head.Parameters.Values))
        );

    /// <summary>Logs how the tuning method of the checkpoint is handled.</summary>
    internal static void TellOfTuning(IChannel channel, string checkpoint, TextClassifier classifier)
    {
        if (classifier.FoldedTuning is { } folded)
        {
            channel.Info(MessageSensitivity.None, $"{checkpoint} was tuned with {folded}, which is folded into the weights.");
        }
    }

    /// <summary>Applies a graft to the model, and its head, if any.</summary>
    private static void Start(TextClassifier classifier, Graft graft, string fingerprint, IChannel channel)
    {
        if (graft.HeadParameters.Count > 0)
        {
            HeadMatches.Tell(channel, classifier.ApplyHead(graft), "a graft");
        }

        graft.MergeInto(classifier.Backbone, fingerprint);
    }

    /// <summary>The state file, with the description of the run that it must belong to.</summary>
    private TrainingStateFile? StateFile(
        Dictionary<string, string> run,
        TextClassifier classifier,
        EncodedDataset train,
        EncodedDataset? validation
    ) =>
        _options.StateFile is not { } path
            ? null
            : new(
                path,
                new Dictionary<string, string>(run, StringComparer.Ordinal)
                {
                    ["start"] = classifier.Fingerprint(),
                    ["training_data"] = RunFingerprint.Of(train),
                    ["validation_data"] = validation is null ? "none" : RunFingerprint.Of(validation),
                    ["cartography"] = _options.CartographyPath is null ? "none" : "recorded",
                }
            );
}

/// <summary>Reports what is reused of a trained classification head.</summary>
internal static class HeadMatches
{
    /// <summary>Logs to the channel: a message if all labels match, else a warning.</summary>
    /// <param name="channel">The trainer's.</param>
    /// <param name="match">The matched labels; null without a trained head.</param>
    /// <param name="source">The source of the trained head.</param>
    /// <param name="task">The task if there are several; else empty.</param>
    public static void Tell(IChannel channel, HeadMatch? match, string source, string task = "")
    {
        if (match is null)
        {
            return;
        }

        string whose = task.Length == 0 ? "" : $" of '{task}'";
        if (match.IsWhole)
        {
            channel.Info(MessageSensitivity.None, $"The head{whose} starts from that of {source}; rows were matched by label name.");
            return;
        }

        string kept = match.Kept.Count == 0 ? "no label is" : Are(match.Kept);
        string fresh = match.Fresh.Count == 0 ? "" : $" {Are(match.Fresh)} new and untrained.";
        string dropped =
            match.Dropped.Count == 0 ? "" : $" Of the trained head {Are(match.Dropped)} left out, as the data has no such label.";
        string hint =
            match.Kept.Count > 0 ? "" : " If labels are the same under other names, give them the names that the trained head has.";
        channel.Warning(
            MessageSensitivity.None,
            $"The head{whose} starts from that of {source}, matched by label name: {kept} kept.{fresh}{dropped}{hint}"
        );
    }

    private static string Are(IReadOnlyList<string> labels) =>
        $"{string.Join(", ", labels.Select(label => $"'{label}'"))} {(labels.Count == 1 ? "is" : "are")}";
}
