using System.Collections.ObjectModel;
using Microsoft.ML;
using Microsoft.ML.Runtime;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Runs;
using SkillLoc.Transforms;
using TorchSharp;

namespace SkillLoc.Trainers;

/// <summary>
/// Fine-tunes one language model on several tasks at once, each with its own prompt and labels, or its own classification head
/// (Panigrahi et al. 2023; methods, A.13).
/// </summary>
/// <remarks>
/// Each micro-batch has rows of one task. An epoch has the micro-batches of all tasks in random order, so tasks are seen in proportion to
/// their rows. The options are those of <see cref="PromptFineTuneTrainer"/>. A graft in
/// <see cref="PromptFineTuneTrainer.Options.StartFrom"/> with a head initialises that of its task; to purify a union of tasks with heads,
/// start from the union followed by the grafts of the tasks, whose values it contains.
/// </remarks>
public sealed class MultiTaskFineTuneTrainer
{
    private readonly ComponentHost _host;
    private readonly torch.Device _device;
    private readonly PromptFineTuneTrainer.Options _options;
    private readonly OrderedDictionary<string, PromptFineTuneTrainer.Options> _tasks = new(StringComparer.Ordinal);

    internal MultiTaskFineTuneTrainer(SkillLocCatalog catalog, PromptFineTuneTrainer.Options options, IEnumerable<PromptTask> tasks)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(tasks);
        ArgumentException.ThrowIfNullOrEmpty(options.Checkpoint);
        if (options.Task is not null || options.ValidationSet is not null)
        {
            throw new ArgumentException(
                "Options.Task and ValidationSet are of one task; name the tasks beside the options, and give the views to Train."
            );
        }

        if (
            options.Tuning is not null
            || options.CheckpointFolder is not null
            || options.OutputFolder is not null
            || options.CartographyPath is not null
            || options.MultiLabel
        )
        {
            throw new ArgumentException(
                "Options.MultiLabel, Tuning, CheckpointFolder, OutputFolder and CartographyPath are for one task; leave them out. "
                    + "Options.StateFile keeps the state of training, and each task's transformer can be saved."
            );
        }

        foreach (PromptTask task in tasks)
        {
            PromptFineTuneTrainer.Options own = options.For(task);
            own.Check();
            if (!_tasks.TryAdd(task.Name, own))
            {
                throw new ArgumentException($"The task '{task.Name}' is given twice; tasks must have different names.", nameof(tasks));
            }
        }

        if (_tasks.Count == 0)
        {
            throw new ArgumentException("There is no task to train.", nameof(tasks));
        }

        _host = new(catalog.Context, nameof(MultiTaskFineTuneTrainer));
        _device = catalog.Device();
        _options = options;
    }

    /// <summary>Fine-tunes on one view per task.</summary>
    /// <param name="train">The training view of each task, with the columns named in the options.</param>
    /// <param name="validation">The validation view of each task; the best state has the highest mean metric. Null keeps the last
    /// state.</param>
    /// <returns>The model; the caller disposes it.</returns>
    /// <exception cref="ArgumentException">A task has no view, a view has no task, a column is missing or of another type, or a label is
    /// not one of the task's.</exception>
    /// <exception cref="InvalidOperationException">A view has no rows, a row cannot be encoded, training diverged, or the state file is of
    /// another run.</exception>
    /// <exception cref="FileNotFoundException">The checkpoint or one of its files is missing.</exception>
    /// <exception cref="InvalidDataException">The checkpoint is damaged, or a graft to start from was made for another one.</exception>
    /// <exception cref="IOException">An output cannot be written; nothing was trained.</exception>
    public MultiTaskModel Train(IReadOnlyDictionary<string, IDataView> train, IReadOnlyDictionary<string, IDataView>? validation = null)
    {
        ArgumentNullException.ThrowIfNull(train);
        CheckViews(train, "training");
        _options.CheckValidation(validation is not null);
        if (validation is not null)
        {
            CheckViews(validation, "validation");
        }

        PromptFineTuneTrainer.Options options = _options.WithSeed(_host).WithCheckpoint(_host);
        var classifiers = new List<TextClassifier>();
        try
        {
            using IChannel channel = _host.Start("Training");
            Load(train, classifiers, options, channel);
            var outputs = new RunOutputs();
            outputs.AddFile(nameof(_options.StateFile), _options.StateFile, PromptFineTuneTrainer.StateBytes(_options, classifiers));
            outputs.AddLog(nameof(_options.RecordPath), _options.RecordPath);
            outputs.Check();
            EncodedDataset[] rows = Read(train, classifiers, "training data", _options.Weighting);
            EncodedDataset[]? chosenBy = validation is null ? null : Read(validation, classifiers, "validation data", RowWeighting.None);
            string? fingerprint =
                _options.RecordPath is not null || _options.StartFrom.Count > 0 ? classifiers[0].Backbone.Fingerprint() : null;
            foreach (TextClassifier classifier in classifiers)
            {
                HeadMatches.Tell(channel, classifier.Head.Match, _options.Checkpoint, classifier.Settings.Task);
            }

            foreach (Graft graft in _options.StartFrom)
            {
                Start(classifiers, graft, fingerprint!, channel);
            }

            Dictionary<string, string> run = Describe(classifiers, options.Seed!.Value);
            TrainingStateFile? stateFile = StateFile(run, classifiers, rows, chosenBy);
            TrainingState state;
            channel.Info(
                MessageSensitivity.None,
                $"Fine-tuning {_options.Checkpoint} on {rows.Sum(each => each.Count)} rows of {_tasks.Count} tasks with seed "
                    + $"{options.Seed}."
            );
            using (var training = new FineTuning(options, classifiers, rows, chosenBy, stateFile, _host, channel))
            {
                state = training.Run();
            }

            RunRecord record = state.ToRecord(
                "multi-task-fine-tune",
                string.Join('+', _tasks.Keys),
                options.Checkpoint,
                fingerprint,
                rows.Sum(each => each.Count),
                run
            );
            if (state.IsComplete)
            {
                if (_options.RecordPath is { } log)
                {
                    RunOutputs.Try(channel, $"The run's record ({log})", () => RunRecord.Append(log, record));
                }

                if (stateFile is not null)
                {
                    RunOutputs.Try(channel, $"That the training is complete ({_options.StateFile})", stateFile.Delete);
                }
            }

            string folder = options.Checkpoint;
            return new(
                new(
                    _tasks.Zip(
                        classifiers,
                        (task, classifier) =>
                            KeyValuePair.Create(
                                task.Key,
                                new TextScoringTransformer(classifier, task.Value.Columns(), baseCheckpoint: folder)
                                {
                                    Host = _host,
                                    Record = record,
                                }
                            )
                    )
                ),
                record
            );
        }
        catch
        {
            classifiers.ForEach(classifier => classifier.Dispose());
            throw;
        }
    }

    /// <summary>Applies a graft to the backbone, and its head, if any, to that of its task.</summary>
    private static void Start(List<TextClassifier> classifiers, Graft graft, string fingerprint, IChannel channel)
    {
        if (graft.HeadParameters.Count > 0)
        {
            TextClassifier own =
                classifiers.Find(classifier => classifier.Settings.Task == graft.Task)
                ?? throw new ArgumentException(
                    $"A graft of Options.StartFrom carries the head of the task '{graft.Task}', which is none of those that train."
                );
            HeadMatches.Tell(channel, own.ApplyHead(graft), "a graft", graft.Task);
        }

        graft.MergeInto(classifiers[0].Backbone, fingerprint);
    }

    /// <summary>Creates the classifiers of all tasks over one backbone; heads are new, except for labels of a trained head in the
    /// checkpoint.</summary>
    private void Load(
        IReadOnlyDictionary<string, IDataView> train,
        List<TextClassifier> classifiers,
        PromptFineTuneTrainer.Options options,
        IChannel channel
    )
    {
        ClassifierSettings[] settings = [.. _tasks.Select(task => task.Value.Settings(train[task.Key].Schema))];
        using var whole = TextClassifier.Create(options.Checkpoint, settings[0], _device);
        PromptFineTuneTrainer.TellOfTuning(channel, _options.Checkpoint, whole);
        using var stored = CheckpointFolder.Open(options.Checkpoint);
        foreach (ClassifierSettings each in settings)
        {
            classifiers.Add(whole.ForTask(each, options.FreshSeed, stored));
        }
    }

    private EncodedDataset[] Read(
        IReadOnlyDictionary<string, IDataView> views,
        List<TextClassifier> classifiers,
        string role,
        RowWeighting weighting
    ) =>
        [
            .. _tasks.Zip(
                classifiers,
                (task, classifier) =>
                    weighting.Read(views[task.Key], task.Value.Columns(), _options.LabelColumnName, classifier, $"{role} of '{task.Key}'")
            ),
        ];

    private void CheckViews(IReadOnlyDictionary<string, IDataView> views, string role)
    {
        string[] missing = [.. _tasks.Keys.Where(name => views.GetValueOrDefault(name) is null)],
            unknown = [.. views.Keys.Except(_tasks.Keys)];
        if (missing.Length > 0 || unknown.Length > 0)
        {
            throw new ArgumentException(
                missing.Length > 0
                    ? $"The task '{missing[0]}' has no {role} view."
                    : $"There is a {role} view of '{unknown[0]}', which is none of the tasks "
                        + $"{string.Join(", ", _tasks.Keys.Select(name => $"'{name}'"))}."
            );
        }
    }

    /// <summary>Describes the run: common options once, others per task.</summary>
    private Dictionary<string, string> Describe(List<TextClassifier> classifiers, int seed) =>
        _tasks
            .Zip(classifiers, (task, classifier) => (Task: task.Key, Run: task.Value.WithSeed(seed).Describe(classifier.Settings)))
            .SelectMany(each => each.Run, (each, pair) => (each.Task, pair.Key, pair.Value))
            .GroupBy(entry => entry.Key, StringComparer.Ordinal)
            .SelectMany(group =>
                group.Count() == _tasks.Count && group.All(entry => entry.Value == group.First().Value)
                    ? [KeyValuePair.Create(group.Key, group.First().Value)]
                    : group.Select(entry => KeyValuePair.Create($"{entry.Task}.{entry.Key}", entry.Value))
            )
            .ToDictionary(StringComparer.Ordinal);

    private TrainingStateFile? StateFile(
        Dictionary<string, string> run,
        List<TextClassifier> classifiers,
        EncodedDataset[] train,
        EncodedDataset[]? validation
    )
    {
        if (_options.StateFile is not { } path)
        {
            return null;
        }

        var identity = new Dictionary<string, string>(run, StringComparer.Ordinal)
        {
            ["start"] = CheckpointFingerprint.Compute([
                .. classifiers[0].Backbone.Parameters.Select(pair => (pair.Key, (torch.Tensor)pair.Value)),
                .. classifiers.SelectMany(
                    (classifier, task) =>
                        classifier.Head.Parameters.Select(pair => (TrainableParameters.HeadName(pair.Key, task), (torch.Tensor)pair.Value))
                ),
            ]),
        };
        foreach ((string name, int i) in _tasks.Keys.Select((name, i) => (name, i)))
        {
            identity[$"{name}.training_data"] = RunFingerprint.Of(train[i]);
            identity[$"{name}.validation_data"] = validation is null ? "none" : RunFingerprint.Of(validation[i]);
        }

        return new(path, identity);
    }
}

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
