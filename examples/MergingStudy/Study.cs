using Microsoft.ML;
using SkillLoc.Evaluators;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Merging;
using SkillLoc.Models.Prompts;
using SkillLoc.Studies;
using SkillLoc.Trainers;
using SkillLoc.Transforms;

namespace SkillLoc.MergingStudy;

/// <summary>For each seed: fine-tunes a model for each task and one for all, merges the former by each method, stitches their grafts, and
/// measures all on each task.</summary>
public sealed class Study
{
    private readonly MLContext _ml = new();
    private readonly StudyPlan _plan;
    private readonly StudyFolder _folder;
    private readonly (StudyTask Plan, PromptTask Prompt, StudyData Data)[] _tasks;
    private readonly string _checkpoint;
    private readonly CancellationToken _stop;

    /// <param name="plan">The plan.</param>
    /// <param name="output">The folder of what is done.</param>
    /// <param name="stop">Stops the study at its next step.</param>
    /// <exception cref="IOException">The checkpoint or a data set cannot be read.</exception>
    /// <exception cref="InvalidDataException">The checkpoint or a data set is damaged.</exception>
    /// <exception cref="ArgumentException">There is no such task or method.</exception>
    public Study(StudyPlan plan, string output, CancellationToken stop = default)
    {
        _plan = plan;
        _stop = stop;
        foreach (MethodPlan method in plan.Methods)
        {
            MethodOf(method);
        }

        _tasks = [.. plan.Tasks.Select(task => (task, task.Find(), new StudyData(_ml, plan, task)))];
        using var model = LanguageModel.Load(plan.Checkpoint);
        _checkpoint = model.Fingerprint();
        _folder = new(output, stop);
    }

    /// <summary>Measures what is not measured yet.</summary>
    /// <returns>All measurements.</returns>
    /// <exception cref="InvalidDataException">The folder holds parts of another study.</exception>
    /// <exception cref="OperationCanceledException">It was stopped; the next time it goes on from there.</exception>
    public IReadOnlyList<Measurement> Run() =>
        [
            .. _plan.Seeds.SelectMany(seed =>
                _folder.Get<IReadOnlyList<Measurement>>(
                    $"seed-{seed}",
                    StudyJson.FingerprintOf([
                        _checkpoint,
                        seed,
                        _plan.Training,
                        _plan.Grafts,
                        _plan.Methods,
                        _plan.StatisticsRows,
                        .. _tasks.Select(task => task.Data.Fingerprint()),
                        .. _tasks.Select(task => task.Prompt.ToString()),
                    ]),
                    state => Measure(seed, state)
                )
            ),
        ];

    private List<Measurement> Measure(int seed, string state)
    {
        // Parts of the seed's own, so that a study that was stopped goes on with the next method.
        var parts = new StudyFolder(Path.Join(state, "parts"), _stop);
        string[] models = [.. _tasks.Select((task, i) => Single(i, seed, state))];
        var singles = new List<TextScoringTransformer>();
        try
        {
            foreach (string model in models)
            {
                singles.Add(_ml.SkillLoc().Connectivity.LoadTextScorer(model));
            }

            var all = new List<Measurement>();
            Part("single models", () => Measured("single models", null, (i, _) => singles[i], null));
            Part("pre-trained", () => Measured("pre-trained", null, (i, _) => Scorer(_plan.Checkpoint, i), null));
            Part("multi-task", () => MultiTask(seed, state, Measured));
            foreach (MethodPlan method in _plan.Methods.Where(method => _plan.StatisticsRows > 0 || !MethodOf(method).NeedsStatistics))
            {
                Part(method.Title, () => Merged(method, seed, state, models, singles, Measured));
            }

            foreach (double sparsity in _plan.Grafts.Sparsities)
            {
                string title = FormattableString.Invariant($"stitched grafts, {100 * sparsity} %");
                Part(title, () => Stitched(title, sparsity, seed, state, models, singles, Measured));
            }

            return all;

            void Part(string name, Func<IReadOnlyList<Measurement>> measure)
            {
                string file = string.Concat(name.Select(letter => char.IsLetterOrDigit(letter) ? letter : '-'));
                all.AddRange(parts.Get(file, "", _ => measure()));
            }

            IReadOnlyList<Measurement> Measured(
                string name,
                double? choice,
                Func<int, IDataView, ITransformer> scorer,
                MergeForecast? forecast
            )
            {
                _stop.ThrowIfCancellationRequested();
                MergeTask[] tasks =
                [
                    .. _tasks.Select((task, i) => new MergeTask(task.Plan.Name, task.Data.Test, singles[i], scorer(i, task.Data.Test))),
                ];
                try
                {
                    return
                    [
                        .. _ml.SkillLoc()
                            .Merging.EvaluateMerge(tasks, forecast)
                            .Tasks.Select(task => new Measurement
                            {
                                Seed = seed,
                                Model = name,
                                Choice = choice,
                                Task = task.Task,
                                Accuracy = task.Accuracy,
                                CalibrationError = task.ExpectedCalibrationError,
                                Agreement = task.Agreement,
                                Interference = task.Interference,
                                ForecastLoss = task.ForecastLoss,
                            }),
                    ];
                }
                finally
                {
                    foreach (MergeTask task in tasks.Where(task => !ReferenceEquals(task.Merged, task.Single)))
                    {
                        (task.Merged as IDisposable)?.Dispose();
                    }
                }
            }
        }
        finally
        {
            singles.ForEach(single => single.Dispose());
        }
    }

    /// <summary>Fine-tunes a task's model, or finds the one that was.</summary>
    private string Single(int task, int seed, string state)
    {
        string folder = Path.Join(state, $"model-{task}");
        if (!Directory.Exists(folder))
        {
            PromptFineTuneTrainer.Options options = Options(seed, Path.Join(state, $"model-{task}-training"));
            options.Task = _tasks[task].Prompt;
            options.ValidationSet = _tasks[task].Data.Dev;
            using TextScoringTransformer model = _ml.SkillLoc().PromptFineTune(options).Fit(_tasks[task].Data.Train);
            StopSignals.ThrowIfCut(options.StateFile!, _stop);
            model.SaveCheckpoint(folder);
            Console.WriteLine($"seed {seed}: {_tasks[task].Plan.Name} is fine-tuned");
        }

        return folder;
    }

    private IReadOnlyList<Measurement> MultiTask(int seed, string state, Evaluation measured)
    {
        PromptFineTuneTrainer.Options options = Options(seed, Path.Join(state, "multi-task-training"));
        using MultiTaskModel model = _ml.SkillLoc()
            .Grafts.MultiTaskFineTune(options, _tasks.Select(task => task.Prompt))
            .Train(
                _tasks.ToDictionary(task => task.Prompt.Name, task => task.Data.Train, StringComparer.Ordinal),
                _tasks.ToDictionary(task => task.Prompt.Name, task => task.Data.Dev, StringComparer.Ordinal)
            );
        StopSignals.ThrowIfCut(options.StateFile!, _stop);
        return measured("multi-task", null, (i, _) => model.Tasks[_tasks[i].Prompt.Name], null);
    }

    private IReadOnlyList<Measurement> Merged(
        MethodPlan method,
        int seed,
        string state,
        string[] models,
        List<TextScoringTransformer> singles,
        Evaluation measured
    )
    {
        // Methods that make a model for each task have the number of the task as a parameter.
        bool isPerTask = MethodOf(method).Parameters.Any(parameter => parameter.Name == "task");
        double? best = null;
        if (method.Choices.Count > 0)
        {
            best = method
                .Choices.Select(choice => (Choice: choice, Accuracy: Evaluate(choice)))
                .OrderByDescending(tried => tried.Accuracy)
                .First()
                .Choice;
        }

        MergeForecast forecast = _ml.SkillLoc().Merging.ForecastMerge(Recipe(best, 0));
        return measured(method.Title, best, (i, _) => Model(best, isPerTask ? i : 0, i), forecast);

        double Evaluate(double choice)
        {
            _stop.ThrowIfCancellationRequested();
            return Enumerable
                .Range(0, _tasks.Length)
                .Average(i =>
                {
                    using TextScoringTransformer scorer = Model(choice, isPerTask ? i : 0, i);
                    return _ml.SkillLoc().EvaluateCalibration(scorer.Transform(_tasks[i].Data.Dev)).Accuracy;
                });
        }

        TextScoringTransformer Model(double? choice, int merged, int task)
        {
            // One model for all tasks is merged for the first of them.
            string folder = Path.Join(state, "merged");
            if (isPerTask || task == 0)
            {
                _ml.SkillLoc().Merging.MergeModels(Recipe(choice, merged), folder);
            }

            return Scorer(folder, task);
        }

        MergeRecipe Recipe(double? choice, int task)
        {
            MergeMethod known = MethodOf(method);
            var parameters = method.Parameters.ToDictionary(pair => pair.Key, pair => (MergeSetting)pair.Value, StringComparer.Ordinal);
            if (choice is { } value)
            {
                parameters[method.Chosen] = value;
            }

            if (isPerTask)
            {
                parameters["task"] = task;
            }

            return new()
            {
                Method = method.Method,
                BaseModel = _plan.Checkpoint,
                Models =
                [
                    .. models.Select(
                        (model, i) => new MergeInput(MergeModel.At(model)) { Statistics = Statistics(known, i, state, singles[i]) }
                    ),
                ],
                Parameters = parameters,
                Seed = seed,
            };
        }
    }

    private IReadOnlyList<Measurement> Stitched(
        string title,
        double sparsity,
        int seed,
        string state,
        string[] models,
        List<TextScoringTransformer> singles,
        Evaluation measured
    )
    {
        var grafts = new List<Graft>();
        for (int i = 0; i < _tasks.Length; i++)
        {
            _stop.ThrowIfCancellationRequested();
            using GraftTransformer grafted = _ml.SkillLoc()
                .GraftMask(
                    new GraftMaskEstimator.Options
                    {
                        FineTuned = singles[i],
                        BaseCheckpoint = _plan.Checkpoint,
                        ValidationSet = _tasks[i].Data.Dev,
                        Sparsity = sparsity,
                        WithinSparsity = _plan.Grafts.Epochs > 0,
                        Epochs = _plan.Grafts.Epochs,
                        LearningRate = _plan.Grafts.LearningRate,
                        MaxBatchesPerEpoch = _plan.Grafts.MaxBatches,
                        Seed = seed,
                        CancellationToken = _stop,
                    }
                )
                .Fit(_tasks[i].Data.Train);
            _stop.ThrowIfCancellationRequested();
            grafts.Add(grafted.Graft);
        }

        Graft stitched = _ml.SkillLoc().Merging.StitchGrafts(grafts);
        var merged = MergeModel.Of(_plan.Checkpoint, stitched);
        string folder = Path.Join(state, "merged");
        _ml.SkillLoc().Merging.MergeModels(new MergeRecipe { Method = "passthrough", Models = [new(merged)] }, folder);
        MergeForecast forecast = _ml.SkillLoc().Merging.ForecastMerge(_plan.Checkpoint, [.. models.Select(MergeModel.At)], folder);
        return measured(title, null, (i, _) => Scorer(folder, i), forecast);
    }

    /// <summary>The file of a model's statistics, which is written when it is first asked for.</summary>
    private string? Statistics(MergeMethod method, int task, string state, TextScoringTransformer single)
    {
        if (!method.NeedsStatistics)
        {
            return null;
        }

        string path = Path.Join(state, $"{method.Name}-{task}.safetensors");
        if (!File.Exists(path))
        {
            _stop.ThrowIfCancellationRequested();
            EncodedText[] rows =
            [
                .. _tasks[task].Data.Unlabelled.Take(_plan.StatisticsRows).Select(row => single.Classifier.Encode(row.Text, row.TextPair)),
            ];
            if (method.Name == "fisher")
            {
                MergeStatistics.WriteFisher(single.Classifier, rows, path);
            }
            else
            {
                MergeStatistics.WriteGrams(single.Classifier, rows, path);
            }
        }

        return path;
    }

    /// <summary>A checkpoint as a scorer of a task, not trained on it.</summary>
    private TextScoringTransformer Scorer(string checkpoint, int task)
    {
        PromptFineTuneTrainer.Options options = Options(0, "");
        options.Checkpoint = checkpoint;
        options.Task = _tasks[task].Prompt;
        options.Epochs = 0;
        options.StateFile = null;
        return _ml.SkillLoc().PromptFineTune(options).Fit(_tasks[task].Data.Train);
    }

    private PromptFineTuneTrainer.Options Options(int seed, string stateFile) =>
        new()
        {
            Checkpoint = _plan.Checkpoint,
            MaxLength = _plan.Training.MaxLength,
            Optimizer = _plan.Training.Optimizer,
            LearningRate = _plan.Training.LearningRate,
            BatchSize = _plan.Training.BatchSize,
            Epochs = _plan.Training.Epochs,
            EvaluationInterval = _plan.Training.EvaluationInterval,
            Seed = seed,
            StateFile = stateFile,
            CancellationToken = _stop,
        };

    private static MergeMethod MethodOf(MethodPlan plan) =>
        MergeMethod.Find(plan.Method)
        ?? throw new ArgumentException(
            $"There is no method '{plan.Method}'; there are {string.Join(", ", MergeMethod.All.Select(method => method.Name))}."
        );

    private delegate IReadOnlyList<Measurement> Evaluation(
        string name,
        double? choice,
        Func<int, IDataView, ITransformer> scorer,
        MergeForecast? forecast
    );
}
