using Microsoft.ML;
using SkillLoc.Evaluators;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Merging;
using SkillLoc.Models.Prompts;
using SkillLoc.Studies;
using SkillLoc.Trainers;
using SkillLoc.Transforms;

namespace SkillLoc.MergingStudy;

/// <summary>Trains and measures what a seed has.</summary>
/// <param name="ml">The context.</param>
/// <param name="plan">The plan.</param>
/// <param name="tasks">The plan's tasks.</param>
/// <param name="seed">The seed.</param>
/// <param name="context">The run.</param>
internal sealed class SeedMeasures(MLContext ml, StudyPlan plan, IReadOnlyList<KnownTask> tasks, int seed, RunContext context) : IDisposable
{
    /// <summary>The folder of a run's files that a task's model is in.</summary>
    public const string Model = "model";

    private string[] _models = [];
    private TextScoringTransformer[] _singles = [];

    /// <summary>Loads the models of the tasks, which runs before this one trained.</summary>
    /// <param name="runs">The names of these runs.</param>
    public void Load(IEnumerable<string> runs)
    {
        _models = [.. runs.Select(run => Path.Join(context.FilesOf(run), Model))];
        _singles = [.. _models.Select(model => ml.SkillLoc().Connectivity.LoadTextScorer(model))];
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (TextScoringTransformer single in _singles)
        {
            single.Dispose();
        }
    }

    /// <summary>Fine-tunes a task's model and keeps it.</summary>
    /// <param name="task">The number of the task.</param>
    /// <returns>The task's name.</returns>
    public string Train(int task)
    {
        PromptFineTuneTrainer.Options options = Options(Path.Join(context.State, "training"));
        options.Task = tasks[task].Prompt;
        options.ValidationSet = tasks[task].Data.Dev;
        using TextScoringTransformer model = ml.SkillLoc().PromptFineTune(options).Fit(tasks[task].Data.Train);
        StopSignals.ThrowIfCut(options.StateFile!, context.CancellationToken);
        model.SaveCheckpoint(Path.Join(context.Files, Model));
        return tasks[task].Plan.Name;
    }

    /// <summary>The models of the tasks, each on its own.</summary>
    /// <param name="title">The name of the measurements.</param>
    public IReadOnlyList<Measurement> Single(string title) => Measured(title, null, i => _singles[i], null);

    /// <summary>The model that none was trained from.</summary>
    /// <param name="title">The name of the measurements.</param>
    public IReadOnlyList<Measurement> PreTrained(string title) => Measured(title, null, i => Scorer(plan.Checkpoint, i), null);

    /// <summary>One model that was trained on all tasks.</summary>
    public IReadOnlyList<Measurement> MultiTask()
    {
        PromptFineTuneTrainer.Options options = Options(Path.Join(context.State, "training"));
        using MultiTaskModel model = ml.SkillLoc()
            .Grafts.MultiTaskFineTune(options, tasks.Select(task => task.Prompt))
            .Train(
                tasks.ToDictionary(task => task.Prompt.Name, task => task.Data.Train, StringComparer.Ordinal),
                tasks.ToDictionary(task => task.Prompt.Name, task => task.Data.Dev, StringComparer.Ordinal)
            );
        StopSignals.ThrowIfCut(options.StateFile!, context.CancellationToken);
        return Measured("multi-task", null, i => model.Tasks[tasks[i].Prompt.Name], null);
    }

    /// <summary>The models merged by a method, with the choice that dev rows prefer.</summary>
    /// <param name="method">The method.</param>
    public IReadOnlyList<Measurement> Merged(MethodPlan method)
    {
        // Methods that make a model for each task have the number of the task as a parameter.
        bool isPerTask = Study.MethodOf(method).Parameters.Any(parameter => parameter.Name == "task");
        double? best = null;
        if (method.Choices.Count > 0)
        {
            best = method
                .Choices.Select(choice => (Choice: choice, Accuracy: Evaluate(choice)))
                .OrderByDescending(tried => tried.Accuracy)
                .First()
                .Choice;
        }

        MergeForecast forecast = ml.SkillLoc().Merging.ForecastMerge(Recipe(best, 0));
        return Measured(method.Title, best, i => Model(best, isPerTask ? i : 0, i), forecast);

        double Evaluate(double choice)
        {
            context.CancellationToken.ThrowIfCancellationRequested();
            return Enumerable
                .Range(0, tasks.Count)
                .Average(i =>
                {
                    using TextScoringTransformer scorer = Model(choice, isPerTask ? i : 0, i);
                    return ml.SkillLoc().EvaluateCalibration(scorer.Transform(tasks[i].Data.Dev)).Accuracy;
                });
        }

        TextScoringTransformer Model(double? choice, int merged, int task)
        {
            // One model for all tasks is merged for the first of them.
            string folder = Path.Join(context.State, "merged");
            if (isPerTask || task == 0)
            {
                ml.SkillLoc().Merging.MergeModels(Recipe(choice, merged), folder);
            }

            return Scorer(folder, task);
        }

        MergeRecipe Recipe(double? choice, int task)
        {
            MergeMethod known = Study.MethodOf(method);
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
                BaseModel = plan.Checkpoint,
                Models = [.. _models.Select((model, i) => new MergeInput(MergeModel.At(model)) { Statistics = Statistics(known, i) })],
                Parameters = parameters,
                Seed = seed,
            };
        }
    }

    /// <summary>The models' grafts stitched.</summary>
    /// <param name="title">The name of the measurements.</param>
    /// <param name="sparsity">The share of the considered parameters that a graft has.</param>
    public IReadOnlyList<Measurement> Stitched(string title, double sparsity)
    {
        var grafts = new List<Graft>();
        for (int i = 0; i < tasks.Count; i++)
        {
            context.CancellationToken.ThrowIfCancellationRequested();
            using GraftTransformer grafted = ml.SkillLoc()
                .GraftMask(
                    new GraftMaskEstimator.Options
                    {
                        FineTuned = _singles[i],
                        BaseCheckpoint = plan.Checkpoint,
                        ValidationSet = tasks[i].Data.Dev,
                        Sparsity = sparsity,
                        WithinSparsity = plan.Grafts.Epochs > 0,
                        Epochs = plan.Grafts.Epochs,
                        LearningRate = plan.Grafts.LearningRate,
                        MaxBatchesPerEpoch = plan.Grafts.MaxBatches,
                        Seed = seed,
                        Progress = Following,
                        CancellationToken = context.CancellationToken,
                    }
                )
                .Fit(tasks[i].Data.Train);
            context.CancellationToken.ThrowIfCancellationRequested();
            grafts.Add(grafted.Graft);
        }

        Graft stitched = ml.SkillLoc().Merging.StitchGrafts(grafts);
        var merged = MergeModel.Of(plan.Checkpoint, stitched);
        string folder = Path.Join(context.State, "merged");
        ml.SkillLoc().Merging.MergeModels(new MergeRecipe { Method = "passthrough", Models = [new(merged)] }, folder);
        MergeForecast forecast = ml.SkillLoc().Merging.ForecastMerge(plan.Checkpoint, [.. _models.Select(MergeModel.At)], folder);
        return Measured(title, null, i => Scorer(folder, i), forecast);
    }

    /// <summary>The file of a model's statistics, which is written when it is first asked for.</summary>
    private string? Statistics(MergeMethod method, int task)
    {
        TextScoringTransformer single = _singles[task];
        if (!method.NeedsStatistics)
        {
            return null;
        }

        string path = Path.Join(context.State, $"{method.Name}-{task}.safetensors");
        if (!File.Exists(path))
        {
            context.CancellationToken.ThrowIfCancellationRequested();
            EncodedText[] rows =
            [
                .. tasks[task].Data.Unlabelled.Take(plan.StatisticsRows).Select(row => single.Classifier.Encode(row.Text, row.TextPair)),
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
        PromptFineTuneTrainer.Options options = Options(null);
        options.Checkpoint = checkpoint;
        options.Task = tasks[task].Prompt;
        options.Epochs = 0;
        return ml.SkillLoc().PromptFineTune(options).Fit(tasks[task].Data.Train);
    }

    private IProgress<TrainingProgress> Following => context.Follow<TrainingProgress>(at => new(at.Step, at.Steps, at.Loss));

    private PromptFineTuneTrainer.Options Options(string? stateFile) =>
        new()
        {
            Checkpoint = plan.Checkpoint,
            MaxLength = plan.Training.MaxLength,
            Optimizer = plan.Training.Optimizer,
            LearningRate = plan.Training.LearningRate,
            BatchSize = plan.Training.BatchSize,
            Epochs = plan.Training.Epochs,
            EvaluationInterval = plan.Training.EvaluationInterval,
            Seed = seed,
            StateFile = stateFile,
            Progress = Following,
            CancellationToken = context.CancellationToken,
        };

    private IReadOnlyList<Measurement> Measured(string name, double? choice, Func<int, ITransformer> scorer, MergeForecast? forecast)
    {
        context.CancellationToken.ThrowIfCancellationRequested();
        MergeTask[] merged = [.. tasks.Select((task, i) => new MergeTask(task.Plan.Name, task.Data.Test, _singles[i], scorer(i)))];
        try
        {
            return
            [
                .. ml.SkillLoc()
                    .Merging.EvaluateMerge(merged, forecast)
                    .Tasks.Select(task => new Measurement
                    {
                        Seed = seed,
                        Model = name,
                        Choice = choice,
                        Task = task.Task,
                        Count = task.Count,
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
            foreach (MergeTask task in merged.Where(task => !ReferenceEquals(task.Merged, task.Single)))
            {
                (task.Merged as IDisposable)?.Dispose();
            }
        }
    }
}
