using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Runtime;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Prompts;
using SkillLoc.Transforms;
using TorchSharp;

namespace SkillLoc.Trainers;

/// <summary>
/// Continual learning with grafts (Panigrahi et al. 2023; methods, A.13): learns tasks one after another and keeps a sparse graft of each,
/// which later tasks do not change.
/// </summary>
/// <remarks>
/// For each task, the base with all earlier grafts is fine-tuned with their coordinates frozen, and the task's graft is found among the
/// free coordinates. A task is scored with the union of the grafts up to its own, the model in which it was learnt; the paper does not
/// specify this. The result also reports metrics with the grafts of later tasks. Classification heads are separate for each task and stored
/// with its graft.
/// </remarks>
public sealed class ContinualGraft
{
    private readonly SkillLocCatalog _catalog;
    private readonly ComponentHost _host;
    private readonly torch.Device _device;
    private readonly Options _options;

    internal ContinualGraft(SkillLocCatalog catalog, Options options)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Check();
        _catalog = catalog;
        _host = new(catalog.Context, nameof(ContinualGraft));
        _device = catalog.Device();
        _options = options;
    }

    /// <summary>Learns tasks in order. All views are read completely before training starts.</summary>
    /// <param name="tasks">At least one task; names must differ.</param>
    /// <returns>Grafts and metrics; if cancelled, those of the tasks learnt so far.</returns>
    /// <exception cref="ArgumentException">There are no tasks, a name occurs twice, a view is missing, a column is missing or of another
    /// type, or a label is not one of the task's.</exception>
    /// <exception cref="InvalidOperationException">A view has no rows, a row cannot be encoded, or training diverged.</exception>
    /// <exception cref="FileNotFoundException">The checkpoint or one of its files is missing.</exception>
    /// <exception cref="InvalidDataException">The checkpoint, or a graft in the folder, is damaged.</exception>
    /// <exception cref="IOException">An output could not be written; nothing was trained.</exception>
    public ContinualGraftResult Train(params IEnumerable<ContinualTask> tasks)
    {
        ArgumentNullException.ThrowIfNull(tasks);
        ContinualTask[] sequence = [.. tasks];
        Check(sequence);
        CheckOutputs();
        Stage[] stages = Read(sequence);
        using IChannel channel = _host.Start("Training");
        var grafts = new List<Graft>();
        foreach (Stage stage in stages)
        {
            if (Learn(stage, grafts, channel) is not { } graft)
            {
                break;
            }

            grafts.Add(graft);
        }

        List<ContinualGraftRow> rows = Measure(stages, grafts);
        if (_options.SequentialBaseline)
        {
            rows.AddRange(MeasureSequential(stages[..grafts.Count], channel));
        }

        return new(
            new(stages.Zip(grafts, (stage, graft) => KeyValuePair.Create(stage.Name, graft))),
            [.. rows.OrderBy(row => Place(row.After)).ThenBy(row => row.Method).ThenBy(row => Place(row.Task))]
        );

        int Place(string name) => Array.FindIndex(stages, stage => stage.Name == name);
    }

    private static void Check(ContinualTask[] sequence)
    {
        if (sequence.Length == 0)
        {
            throw new ArgumentException("There is no task to learn.", nameof(sequence));
        }

        int incomplete = Array.FindIndex(sequence, task => task is not { Prompt: not null, Train: not null, Test: not null });
        if (incomplete >= 0)
        {
            throw new ArgumentException(
                $"Task {incomplete + 1} of the sequence, '{sequence[incomplete]?.Prompt?.Name}', must have a prompt, a training view "
                    + "and a test view.",
                nameof(sequence)
            );
        }

        if (sequence.GroupBy(task => task.Prompt.Name, StringComparer.Ordinal).FirstOrDefault(group => group.Count() > 1) is { } twice)
        {
            throw new ArgumentException($"The task '{twice.Key}' is given twice; tasks must have different names.", nameof(sequence));
        }
    }

    /// <summary>Reads the settings and rows of all tasks, to detect bad input before hours of training.</summary>
    private Stage[] Read(ContinualTask[] sequence)
    {
        PromptFineTuneTrainer.Options[] options = Array.ConvertAll(sequence, task => _options.FineTune.For(task.Prompt));
        Array.ForEach(options, each => each.Check());
        string checkpoint = _host.Find(_options.FineTune.Checkpoint, _options.FineTune.CancellationToken);
        Array.ForEach(options, each => each.Checkpoint = checkpoint);
        ClassifierSettings[] settings = [.. sequence.Zip(options, (task, own) => own.Settings(task.Train.Schema))];
        using var whole = TextClassifier.Create(checkpoint, settings[0], _device);
        string before = _options.Folder is null ? "" : whole.Backbone.Fingerprint();
        var stages = new Stage[sequence.Length];
        for (int i = 0; i < stages.Length; i++)
        {
            using TextClassifier classifier = whole.ForTask(settings[i]);
            stages[i] = new(
                i,
                sequence[i],
                options[i],
                settings[i],
                Rows(sequence[i].Train, "training data", options[i].Weighting),
                Rows(sequence[i].Test, "test data"),
                sequence[i].Validation is { } set ? Rows(set, "validation data") : null,
                _host.DrawSeed(),
                _host.DrawSeed()
            );
            before = _options.Folder is null ? "" : stages[i].Fingerprint = RunFingerprint.Of(Describe(stages[i], before));

            EncodedDataset Rows(IDataView view, string role, RowWeighting? weighting = null) =>
                (weighting ?? RowWeighting.None).Read(
                    view,
                    options[i].Columns(),
                    options[i].LabelColumnName,
                    classifier,
                    $"{role} of '{sequence[i].Prompt.Name}'"
                );
        }

        return stages;
    }

    /// <summary>Describes everything that a task's graft depends on: its data and options, and the fingerprint of its
    /// predecessors.</summary>
    private Dictionary<string, string> Describe(Stage stage, string before)
    {
        GraftMaskEstimator.Options mask = _options.GraftMask;
        return new(stage.Options.Describe(stage.Settings), StringComparer.Ordinal)
        {
            ["before"] = before,
            ["training_data"] = RunFingerprint.Of(stage.Train),
            ["validation_data"] = stage.Validation is null ? "none" : RunFingerprint.Of(stage.Validation),
            ["mask"] = string.Create(
                CultureInfo.InvariantCulture,
                $"{mask.Sparsity:R} {mask.BasePatch} {mask.PatchLayer} {mask.Epochs} {mask.LearningRate:R} {mask.SigmoidBias:R} "
                    + $"{mask.BatchSize} "
                    + $"{mask.MaxBatchesPerEpoch} {mask.Selection} {mask.MaxTokensPerBatch} {mask.Seed} {mask.Considered}"
            ),
        };
    }

    /// <summary>Returns a task's graft, from the folder if it exists; null if cancelled.</summary>
    private Graft? Learn(Stage stage, List<Graft> earlier, IChannel channel)
    {
        string label = string.Create(CultureInfo.InvariantCulture, $"task-{stage.Place + 1:00}");
        string? file = _options.Folder is { } folder ? Path.Join(folder, $"{label}-{stage.Fingerprint![..16]}.safetensors") : null;
        if (File.Exists(file))
        {
            channel.Info(MessageSensitivity.None, $"The graft of '{stage.Name}' is read from {file}.");
            return Graft.Load(file);
        }

        channel.Info(
            MessageSensitivity.None,
            $"Learning '{stage.Name}', task {stage.Place + 1}, beside {earlier.Sum(graft => graft.Count)} parameters."
        );

        // Without the heads, which are of other tasks.
        Graft[] held = earlier.Count > 0 ? [Graft.Union(earlier)] : [];
        PromptFineTuneTrainer.Options tuning = stage.Options.For(stage.Task.Prompt);
        tuning.SpareSeed = stage.TuningSeed;
        tuning.StartFrom = held;
        tuning.Frozen = held;
        using TextScoringTransformer tuned = _catalog.PromptFineTune(tuning).Fit(stage.Task.Train, stage.Task.Validation);
        if (IsCancelled())
        {
            return null;
        }

        using GraftTransformer grafted = _catalog
            .GraftMask(_options.GraftMask.For(tuned, tuning.LabelColumnName, stage.Task.Validation, held, label, stage.MaskSeed))
            .Fit(stage.Task.Train);
        if (IsCancelled())
        {
            return null;
        }

        if (file is not null)
        {
            RunOutputs.Try(
                channel,
                $"The graft of '{stage.Name}' ({file})",
                () =>
                {
                    Directory.CreateDirectory(_options.Folder!);
                    grafted.SaveGraft(file);
                }
            );
        }

        return grafted.Graft;
    }

    /// <summary>Checks what the trainings of tasks would check only later.</summary>
    private void CheckOutputs()
    {
        var outputs = new RunOutputs();
        outputs.AddFolder(nameof(_options.Folder), _options.Folder, 0);
        outputs.AddFile($"{nameof(_options.FineTune)}.{nameof(_options.FineTune.StateFile)}", _options.FineTune.StateFile, 0);
        outputs.AddLog($"{nameof(_options.FineTune)}.{nameof(_options.FineTune.RecordPath)}", _options.FineTune.RecordPath);
        outputs.AddFolder($"{nameof(_options.GraftMask)}.{nameof(_options.GraftMask.StateFolder)}", _options.GraftMask.StateFolder, 0);
        outputs.AddLog($"{nameof(_options.GraftMask)}.{nameof(_options.GraftMask.RecordPath)}", _options.GraftMask.RecordPath);
        outputs.Check();
    }

    private bool IsCancelled() =>
        _host.IsCancelled
        || _options.FineTune.CancellationToken.IsCancellationRequested
        || _options.GraftMask.CancellationToken.IsCancellationRequested;

    /// <summary>Scores every task with its own grafts and with all, after every task.</summary>
    private List<ContinualGraftRow> Measure(Stage[] stages, List<Graft> grafts)
    {
        var rows = new List<ContinualGraftRow>();
        if (grafts.Count == 0)
        {
            return rows;
        }

        using var whole = TextClassifier.Create(stages[0].Options.Checkpoint, stages[0].Settings, _device);
        string fingerprint = whole.Backbone.Fingerprint();
        long[] bytes = [.. grafts.Select(graft => graft.ToBytes().LongLength)];
        for (int after = 0; after < grafts.Count; after++)
        {
            for (int task = 0; task <= after; task++)
            {
                using TextClassifier classifier = whole.ForTask(stages[task].Settings);
                classifier.ApplyHead(grafts[task]);
                Add(ContinualMethod.AllGrafts, after + 1);
                Add(ContinualMethod.OwnGrafts, task + 1);

                void Add(ContinualMethod method, int count)
                {
                    var union = Graft.Union(grafts[..count]);
                    using GraftSwitch grafted = union.Apply(classifier.Backbone, fingerprint);
                    double metric = stages[task].Test.Metric(classifier);
                    rows.Add(new(stages[after].Name, stages[task].Name, method, metric, union.Count, bytes[..count].Sum()));
                }
            }
        }

        return rows;
    }

    /// <summary>Fine-tunes one model on task after task.</summary>
    private List<ContinualGraftRow> MeasureSequential(Stage[] stages, IChannel channel)
    {
        var rows = new List<ContinualGraftRow>();
        var classifiers = new List<TextClassifier>();
        try
        {
            using var whole = TextClassifier.Create(stages[0].Options.Checkpoint, stages[0].Settings, _device);
            using var stored = CheckpointFolder.Open(stages[0].Options.Checkpoint);
            foreach (Stage stage in stages)
            {
                PromptFineTuneTrainer.Options tuning = stage.Options.WithSeed(stage.Options.Seed ?? stage.TuningSeed);
                TextClassifier classifier = whole.ForTask(stage.Settings, tuning.FreshSeed, stored);
                classifiers.Add(classifier);
                channel.Info(MessageSensitivity.None, $"Fine-tuning one model on '{stage.Name}', task {stage.Place + 1}.");
                using (
                    var training = new FineTuning(
                        tuning,
                        [classifier],
                        [stage.Train],
                        stage.Validation is null ? null : [stage.Validation],
                        stateFile: null,
                        _host,
                        channel
                    )
                )
                {
                    training.Run();
                }

                if (IsCancelled())
                {
                    break;
                }

                long parameters = stage.Options.Selection.Of(whole.Backbone).Sum(name => whole.Backbone.Parameters[name].numel());
                rows.AddRange(
                    classifiers.Zip(
                        stages,
                        (each, of) =>
                            new ContinualGraftRow(
                                stage.Name,
                                of.Name,
                                ContinualMethod.Sequential,
                                of.Test.Metric(each),
                                parameters,
                                sizeof(float) * (parameters + each.Head.Parameters.Values.Sum(value => value.numel()))
                            )
                    )
                );
            }

            return rows;
        }
        finally
        {
            classifiers.ForEach(classifier => classifier.Dispose());
        }
    }

    /// <summary>A task with all that is known of it before training. The seeds, which serve where the options have none, are drawn for all
    /// tasks at once: those of a later task do not depend on whether an earlier one's graft is read from a file.</summary>
    private sealed record Stage(
        int Place,
        ContinualTask Task,
        PromptFineTuneTrainer.Options Options,
        ClassifierSettings Settings,
        EncodedDataset Train,
        EncodedDataset Test,
        EncodedDataset? Validation,
        int TuningSeed,
        int MaskSeed
    )
    {
        public string Name => Task.Prompt.Name;

        /// <summary>Fingerprint of the run up to this task; null if nothing is stored.</summary>
        public string? Fingerprint { get; set; }
    }

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
            if (
                FineTune.Task is not null
                || FineTune.ValidationSet is not null
                || FineTune.StartFrom.Count > 0
                || FineTune.Frozen.Count > 0
                || FineTune.Tuning is not null
                || FineTune.Region is not null
                || FineTune.CheckpointFolder is not null
                || FineTune.OutputFolder is not null
                || FineTune.CartographyPath is not null
                || FineTune.MultiLabel
            )
            {
                throw new ArgumentException(
                    "Options.FineTune holds for every task: leave out Task, ValidationSet, StartFrom and Frozen, which the sequence "
                        + "sets, and "
                        + "MultiLabel, Tuning, Region, CheckpointFolder, OutputFolder and CartographyPath."
                );
            }

            if (
                GraftMask.FineTuned is not null
                || GraftMask.BaseCheckpoint is not null
                || GraftMask.ValidationSet is not null
                || GraftMask.BaseGrafts is not null
                || GraftMask.PatchFile is not null
                || GraftMask.BasePatch == BasePatchKind.Loaded
                || GraftMask.Outside == GraftOutside.Zero
            )
            {
                throw new ArgumentException(
                    "Options.GraftMask holds for every task: leave out FineTuned, BaseCheckpoint, ValidationSet and BaseGrafts, which the "
                        + "sequence sets, a loaded base patch, and zeros outside, which would erase earlier tasks."
                );
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
