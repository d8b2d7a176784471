using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms;
using SkillLoc.Evaluators;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tuning;
using SkillLoc.Studies;
using SkillLoc.Trainers;
using SkillLoc.Transforms;

namespace SkillLoc.GraftingStudy;

/// <summary>The protocol of the grafting paper: for each task, number of shots and seed, fine-tune, graft, and measure beside
/// baselines.</summary>
public sealed class Study
{
    private readonly MLContext _ml = new();
    private readonly StudyPlan _plan;
    private readonly StudyFolder _folder;
    private readonly StudyData _data;
    private readonly string _checkpoint;
    private readonly IReadOnlyList<PromptTask> _ownTasks;
    private readonly CancellationToken _stop;

    /// <param name="plan">The plan.</param>
    /// <param name="output">The folder of what is done.</param>
    /// <param name="stop">Stops the study at its next step.</param>
    /// <exception cref="IOException">The checkpoint or a data set cannot be read.</exception>
    /// <exception cref="InvalidDataException">The checkpoint or a data set is damaged.</exception>
    public Study(StudyPlan plan, string output, CancellationToken stop = default)
    {
        _plan = plan;
        _stop = stop;
        _data = new(_ml, plan);
        _ownTasks = plan.TaskFile is null ? [] : PromptTasks.Load(plan.TaskFile);
        using var model = LanguageModel.Load(plan.Checkpoint);
        _checkpoint = model.Fingerprint();
        _folder = new(output, stop);
    }

    /// <summary>Measures what is not measured yet.</summary>
    /// <returns>All measurements.</returns>
    /// <exception cref="InvalidDataException">The folder holds parts of another study.</exception>
    /// <exception cref="OperationCanceledException">It was stopped; the next time it goes on from there.</exception>
    public IReadOnlyList<Measurement> Run()
    {
        (StudyTask Task, int Shots, int Seed)[] cells =
        [
            .. _plan.Tasks.SelectMany(task =>
                (task.Shots ?? _plan.Shots).SelectMany(shots => _plan.Seeds.Select(seed => (task, shots, seed)))
            ),
        ];

        // What cannot be drawn is better known now than hours later.
        foreach ((StudyTask task, int shots, int seed) in cells)
        {
            TaskOf(task);
            _data.CheckShots(task, shots, seed);
        }

        return [.. cells.SelectMany(cell => RunCell(cell.Task, cell.Shots, cell.Seed))];
    }

    private IReadOnlyList<Measurement> RunCell(StudyTask task, int shots, int seed)
    {
        string name = $"{task.Name}-{shots}-{seed}";
        string fingerprint = StudyJson.FingerprintOf([
            _checkpoint,
            task,
            shots,
            seed,
            _plan.FineTuning,
            _plan.Masks,
            _plan.Sparsities,
            _plan.TestRows,
            _plan.SplitSeed,
            _plan.RandomDraws,
            _plan.Tasks.Where(other => task.OutOfDistribution.Contains(other.Name)),
            .. _ownTasks.Select(own => own.ToString()),
        ]);
        return _folder.Get<IReadOnlyList<Measurement>>(name, fingerprint, state => [.. Measure(task, shots, seed, state)]);
    }

    private IEnumerable<Measurement> Measure(StudyTask task, int shots, int seed, string state)
    {
        (IDataView train, IDataView validation) = _data.Shots(task, shots, seed);
        ValueToKeyMappingTransformer keys = _ml
            .Transforms.Conversion.MapValueToKey("Label", keyOrdinality: ValueToKeyMappingEstimator.KeyOrdinality.ByValue)
            .Fit(train);
        train = _ml.Data.Cache(keys.Transform(train));
        validation = _ml.Data.Cache(keys.Transform(validation));
        var tests = new Dictionary<string, IDataView>(StringComparer.Ordinal) { [task.Name] = keys.Transform(_data.Test(task)) };
        foreach (StudyTask other in _plan.Tasks.Where(other => task.OutOfDistribution.Contains(other.Name)))
        {
            tests.Add(other.Name, keys.Transform(_data.Test(other)));
        }

        using TextScoringTransformer preTrained = FineTune(options => options.Epochs = 0, "pre-trained");
        using TextScoringTransformer tuned = FineTune(_ => { }, "fine-tuned");
        IDataView reference = Score(tuned, tests[task.Name]);
        long considered = Trained(tuned);
        yield return Result("pre-trained", preTrained, 0);
        yield return Result("fine-tuned", tuned, considered);

        // Temperature scaling (Guo et al. 2017), the usual remedy for calibration that grafts have to be compared with.
        TemperatureTransformer temperature = _ml.SkillLoc().CalibrateTemperature().Fit(Score(tuned, validation));
        yield return Result("fine-tuned, temperature", new TransformerChain<ITransformer>(tuned, temperature), considered);

        using (
            TextScoringTransformer biases = FineTune(
                options =>
                {
                    options.BiasOnly = true;
                    options.LearningRate = _plan.FineTuning.BiasLearningRate;
                },
                "BitFit"
            )
        )
        {
            yield return Result("BitFit", biases, Trained(biases));
        }

        using (
            TextScoringTransformer lora = FineTune(
                options =>
                {
                    options.Tuning = new LoraOptions();
                    options.LearningRate = _plan.FineTuning.LoraLearningRate;
                },
                "LoRA"
            )
        )
        {
            yield return Result("LoRA", lora, lora.Classifier.TunedParameters.Values.Sum(parameter => parameter.numel()));
        }

        foreach (Measurement grafted in Sweep("graft", options => options.WithinSparsity = true))
        {
            yield return grafted;
        }

        foreach (Measurement grafted in Sweep("graft, grown", _ => { }))
        {
            yield return grafted;
        }

        foreach (Measurement grafted in Sweep("top movement", options => options.Epochs = 0))
        {
            yield return grafted;
        }

        foreach (
            Measurement grafted in Sweep(
                "lottery ticket",
                options =>
                {
                    options.Epochs = 0;
                    options.Outside = GraftOutside.Zero;
                }
            )
        )
        {
            yield return grafted;
        }

        for (int draw = 0; draw < _plan.RandomDraws; draw++)
        {
            int random = draw;
            foreach (
                Measurement grafted in Sweep(
                    "random mask",
                    options =>
                    {
                        options.Epochs = 0;
                        options.BasePatch = BasePatchKind.Random;
                        options.Seed = (seed * _plan.RandomDraws) + random;
                    }
                )
            )
            {
                yield return grafted;
            }
        }

        yield return Patch("all biases", options => options.BasePatch = BasePatchKind.Biases);
        for (int layer = 0; layer < tuned.Classifier.Backbone.Config.Layers; layer++)
        {
            int patched = layer;
            yield return Patch(
                $"layer {layer + 1} whole",
                options =>
                {
                    options.BasePatch = BasePatchKind.Layer;
                    options.PatchLayer = patched;
                }
            );
        }

        TextScoringTransformer FineTune(Action<PromptFineTuneTrainer.Options> change, string name)
        {
            var options = new PromptFineTuneTrainer.Options
            {
                Checkpoint = _plan.Checkpoint,
                Task = TaskOf(task),
                MaxLength = _plan.FineTuning.MaxLength,
                ValidationSet = validation,
                Optimizer = _plan.FineTuning.Optimizer,
                LearningRate = _plan.FineTuning.LearningRate,
                BatchSize = _plan.FineTuning.BatchSize,
                Epochs = _plan.FineTuning.Epochs,
                EvaluationInterval = _plan.FineTuning.EvaluationInterval,
                L1 = _plan.FineTuning.L1,
                Seed = seed,
                CancellationToken = _stop,
            };
            change(options);
            if (options.Epochs == 0)
            {
                return _ml.SkillLoc().PromptFineTune(options).Fit(train);
            }

            // A model that is trained stays until all is measured, so that a study that was stopped need not train it again.
            string kept = Path.Combine(state, name + " model");
            if (Directory.Exists(kept))
            {
                return _ml.SkillLoc().Connectivity.LoadTextScorer(kept);
            }

            options.StateFile = Path.Combine(state, name);
            TextScoringTransformer model = _ml.SkillLoc().PromptFineTune(options).Fit(train);
            try
            {
                StopSignals.ThrowIfCut(options.StateFile, _stop);
                model.SaveCheckpoint(kept);
                return model;
            }
            catch
            {
                model.Dispose();
                throw;
            }
        }

        GraftMaskEstimator.Options Masks(Action<GraftMaskEstimator.Options> change)
        {
            var options = new GraftMaskEstimator.Options
            {
                FineTuned = tuned,
                BaseCheckpoint = _plan.Checkpoint,
                ValidationSet = validation,
                Epochs = _plan.Masks.Epochs,
                LearningRate = _plan.Masks.LearningRate,
                MaxBatchesPerEpoch = _plan.Masks.MaxBatches,
                Seed = seed,
                CancellationToken = _stop,
            };
            change(options);
            if (options.Epochs > 0)
            {
                options.StateFolder = Path.Combine(state, options.WithinSparsity ? "grafts" : "grown");
            }

            return options;
        }

        IEnumerable<Measurement> Sweep(string method, Action<GraftMaskEstimator.Options> change)
        {
            GraftSweepResult sweep = _ml.SkillLoc().Grafts.SweepSparsity(Masks(change), _plan.Sparsities).Run(train);
            _stop.ThrowIfCancellationRequested();
            foreach (GraftSweepPoint point in sweep.Points)
            {
                using var grafted = GraftTransformer.Create(point.Graft, _plan.Checkpoint, tuned.Columns);
                yield return Result(method, grafted, point.Graft.Count, point.Sparsity);
            }
        }

        Measurement Patch(string method, Action<GraftMaskEstimator.Options> change)
        {
            using GraftTransformer grafted = _ml.SkillLoc()
                .GraftMask(
                    Masks(options =>
                    {
                        options.Epochs = 0;
                        change(options);
                    })
                )
                .Fit(train);
            return Result(method, grafted, grafted.Graft.Count);
        }

        Measurement Result(string method, ITransformer model, long changed, double? sparsity = null)
        {
            _stop.ThrowIfCancellationRequested();
            IDataView scored = Score(model, tests[task.Name]);
            CalibrationMetrics quality = _ml.SkillLoc().EvaluateCalibration(scored);
            return new()
            {
                Task = task.Name,
                Shots = shots,
                Seed = seed,
                Method = method,
                Sparsity = sparsity,
                Changed = changed,
                Share = (double)changed / considered,
                Accuracy = quality.Accuracy,
                CalibrationError = quality.ExpectedCalibrationError,
                Agreement = _ml.SkillLoc().Evaluation.EvaluateAgreement(scored, reference).Agreement,
                Others = task.OutOfDistribution.ToDictionary(
                    other => other,
                    other =>
                    {
                        CalibrationMetrics there = _ml.SkillLoc().EvaluateCalibration(Score(model, tests[other]));
                        return new OutOfDistribution(there.Accuracy, there.ExpectedCalibrationError);
                    },
                    StringComparer.Ordinal
                ),
            };
        }
    }

    /// <summary>Scored once, read by several evaluators.</summary>
    private IDataView Score(ITransformer model, IDataView rows) =>
        _ml.Data.Cache(model.Transform(rows), "Label", "Score", "PredictedLabel");

    private PromptTask TaskOf(StudyTask task) =>
        _ownTasks.FirstOrDefault(own => own.Name.Equals(task.Task, StringComparison.OrdinalIgnoreCase)) ?? PromptTasks.Find(task.Task);

    private static long Trained(TextScoringTransformer model)
    {
        TextClassifier classifier = model.Classifier;
        return classifier.Settings.Trained!.Of(classifier.Backbone).Sum(name => classifier.Backbone.Parameters[name].numel());
    }
}
