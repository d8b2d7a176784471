using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms;
using SkillLoc.Evaluators;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Prompts;
using SkillLoc.Studies;
using SkillLoc.Trainers;
using SkillLoc.Transforms;

namespace SkillLoc.GraftingStudy;

/// <summary>What the runs of a cell have in common: its rows, its fine-tuned model, and how a model is trained and measured.</summary>
internal sealed class CellMeasures : IDisposable
{
    private readonly MLContext _ml;
    private readonly StudyPlan _plan;
    private readonly Cell _cell;
    private readonly PromptTask _task;
    private readonly RunContext _context;
    private readonly IDataView _train;
    private readonly IDataView _validation;
    private readonly Dictionary<string, IDataView> _tests;
    private readonly IDataView _reference;

    /// <param name="ml">The context.</param>
    /// <param name="plan">The plan.</param>
    /// <param name="data">The data sets.</param>
    /// <param name="cell">The cell.</param>
    /// <param name="task">Its template and label words.</param>
    /// <param name="context">The run.</param>
    /// <param name="model">The folder of the fine-tuned model; null trains it.</param>
    public CellMeasures(MLContext ml, StudyPlan plan, StudyData data, Cell cell, PromptTask task, RunContext context, string? model)
    {
        _ml = ml;
        _plan = plan;
        _cell = cell;
        _task = task;
        _context = context;
        (IDataView train, IDataView validation) = data.Shots(cell.Task, cell.Shots, cell.Seed);
        ValueToKeyMappingTransformer keys = ml
            .Transforms.Conversion.MapValueToKey("Label", keyOrdinality: ValueToKeyMappingEstimator.KeyOrdinality.ByValue)
            .Fit(train);
        _train = ml.Data.Cache(keys.Transform(train));
        _validation = ml.Data.Cache(keys.Transform(validation));
        _tests = plan
            .Tasks.Where(other => other == cell.Task || cell.Task.OutOfDistribution.Contains(other.Name))
            .ToDictionary(other => other.Name, other => keys.Transform(data.Test(other)), StringComparer.Ordinal);
        Tuned = model is null ? FineTune(_ => { }) : ml.SkillLoc().Connectivity.LoadTextScorer(model);
        _reference = Score(Tuned, _tests[cell.Task.Name]);
        Considered = Trained(Tuned);
    }

    /// <summary>The fine-tuned model.</summary>
    public TextScoringTransformer Tuned { get; }

    /// <summary>Parameters that fine-tuning could change.</summary>
    public long Considered { get; }

    private IProgress<TrainingProgress> Following => _context.Follow<TrainingProgress>(at => new(at.Step, at.Steps, at.Loss));

    public void Dispose() => Tuned.Dispose();

    /// <summary>Trains a model on the cell's rows.</summary>
    /// <param name="change">What differs from the plan's fine-tuning.</param>
    public TextScoringTransformer FineTune(Action<PromptFineTuneTrainer.Options> change)
    {
        var options = new PromptFineTuneTrainer.Options
        {
            Checkpoint = _plan.Checkpoint,
            Task = _task,
            MaxLength = _plan.FineTuning.MaxLength,
            ValidationSet = _validation,
            Optimizer = _plan.FineTuning.Optimizer,
            LearningRate = _plan.FineTuning.LearningRate,
            BatchSize = _plan.FineTuning.BatchSize,
            Epochs = _plan.FineTuning.Epochs,
            EvaluationInterval = _plan.FineTuning.EvaluationInterval,
            L1 = _plan.FineTuning.L1,
            Seed = _cell.Seed,
            Progress = Following,
            CancellationToken = _context.CancellationToken,
        };
        change(options);
        if (options.Epochs == 0)
        {
            return _ml.SkillLoc().PromptFineTune(options).Fit(_train);
        }

        options.StateFile = Path.Combine(_context.State, "training");
        TextScoringTransformer model = _ml.SkillLoc().PromptFineTune(options).Fit(_train);
        try
        {
            StopSignals.ThrowIfCut(options.StateFile, _context.CancellationToken);
            return model;
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <summary>Finds grafts of some sparsities and measures them.</summary>
    /// <param name="method">What the tables call them.</param>
    /// <param name="sparsities">The shares of the parameters.</param>
    /// <param name="change">What differs from the plan's masks.</param>
    public IEnumerable<Measurement> Sweep(string method, IReadOnlyList<double> sparsities, Action<GraftMaskEstimator.Options> change)
    {
        GraftSweepResult sweep = _ml.SkillLoc().Grafts.SweepSparsity(Masks(change), sparsities).Run(_train);
        _context.CancellationToken.ThrowIfCancellationRequested();
        foreach (GraftSweepPoint point in sweep.Points)
        {
            using var grafted = GraftTransformer.Create(point.Graft, _plan.Checkpoint, Tuned.Columns);
            yield return Measure(method, grafted, point.Graft.Count, point.Sparsity);
        }
    }

    /// <summary>Measures a patch that takes no training.</summary>
    /// <param name="method">What the tables call it.</param>
    /// <param name="change">Which patch.</param>
    public Measurement Patch(string method, Action<GraftMaskEstimator.Options> change)
    {
        using GraftTransformer grafted = _ml.SkillLoc()
            .GraftMask(
                Masks(options =>
                {
                    options.Epochs = 0;
                    change(options);
                })
            )
            .Fit(_train);
        return Measure(method, grafted, grafted.Graft.Count);
    }

    /// <summary>The fine-tuned model with its temperature chosen on the validation rows (Guo et al. 2017), the usual remedy for
    /// calibration that grafts have to be compared with.</summary>
    public Measurement Temperature()
    {
        TemperatureTransformer temperature = _ml.SkillLoc().CalibrateTemperature().Fit(Score(Tuned, _validation));
        return Measure("fine-tuned, temperature", new TransformerChain<ITransformer>(Tuned, temperature), Considered);
    }

    /// <summary>Measures a model on the cell's test rows and on those of other distributions.</summary>
    /// <param name="method">What the tables call it.</param>
    /// <param name="model">The model.</param>
    /// <param name="changed">Parameters that differ from the pre-trained model's.</param>
    /// <param name="sparsity">The share that was asked for.</param>
    public Measurement Measure(string method, ITransformer model, long changed, double? sparsity = null)
    {
        _context.CancellationToken.ThrowIfCancellationRequested();
        IDataView scored = Score(model, _tests[_cell.Task.Name]);
        CalibrationMetrics quality = _ml.SkillLoc().EvaluateCalibration(scored);
        _context.Measure($"accuracy of {method}{(sparsity is { } share ? $" {share}" : "")}", quality.Accuracy);
        return new()
        {
            Task = _cell.Task.Name,
            Shots = _cell.Shots,
            Seed = _cell.Seed,
            Method = method,
            Sparsity = sparsity,
            Changed = changed,
            Share = (double)changed / Considered,
            Accuracy = quality.Accuracy,
            CalibrationError = quality.ExpectedCalibrationError,
            Agreement = _ml.SkillLoc().Evaluation.EvaluateAgreement(scored, _reference).Agreement,
            Others = _cell.Task.OutOfDistribution.ToDictionary(
                other => other,
                other =>
                {
                    CalibrationMetrics there = _ml.SkillLoc().EvaluateCalibration(Score(model, _tests[other]));
                    return new OutOfDistribution(there.Accuracy, there.ExpectedCalibrationError);
                },
                StringComparer.Ordinal
            ),
        };
    }

    /// <summary>Parameters that a model's training could change.</summary>
    public static long Trained(TextScoringTransformer model)
    {
        TextClassifier classifier = model.Classifier;
        return classifier.Settings.Trained!.Of(classifier.Backbone).Sum(name => classifier.Backbone.Parameters[name].numel());
    }

    /// <summary>Scored once, read by several evaluators.</summary>
    private IDataView Score(ITransformer model, IDataView rows) =>
        _ml.Data.Cache(model.Transform(rows), "Label", "Score", "PredictedLabel");

    private GraftMaskEstimator.Options Masks(Action<GraftMaskEstimator.Options> change)
    {
        var options = new GraftMaskEstimator.Options
        {
            FineTuned = Tuned,
            BaseCheckpoint = _plan.Checkpoint,
            ValidationSet = _validation,
            Epochs = _plan.Masks.Epochs,
            LearningRate = _plan.Masks.LearningRate,
            MaxBatchesPerEpoch = _plan.Masks.MaxBatches,
            Seed = _cell.Seed,
            Progress = Following,
            CancellationToken = _context.CancellationToken,
        };
        change(options);
        if (options.Epochs > 0)
        {
            options.StateFolder = Path.Combine(_context.State, "masks");
        }

        return options;
    }
}
