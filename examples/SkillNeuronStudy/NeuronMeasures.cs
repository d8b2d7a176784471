using Microsoft.ML;
using Microsoft.ML.Transforms;
using SkillLoc.Evaluators;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Datasets;
using SkillLoc.Models.Hub;
using SkillLoc.Models.Neurons;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tokenization;
using SkillLoc.Models.Tuning;
using SkillLoc.Studies;
using SkillLoc.Trainers;
using SkillLoc.Transforms;
using TorchSharp;

namespace SkillLoc.SkillNeuronStudy;

/// <summary>What the runs of the study measure.</summary>
internal sealed class NeuronMeasures(MLContext ml, StudyPlan plan, IReadOnlyDictionary<string, TaskRows> rows, RunContext context)
{
    private readonly MLContext _ml = ml;
    private readonly StudyPlan _plan = plan;
    private readonly IReadOnlyDictionary<string, TaskRows> _rows = rows;
    private readonly CancellationToken _stop = context.CancellationToken;

    private SoftPromptOptions SoftPrompt => new() { Size = _plan.Tuning.PromptSize };

    private string PromptOf(StudyTask task, int seed) => Path.Combine(FolderOf(task, seed), "prompt.safetensors");

    private string FolderOf(StudyTask task, int seed) => context.FilesOf(Study.NameOf(task, seed));

    private string StateOf(string name) => Path.Combine(context.State, name);

    /// <summary>Tunes a prompt and probes with it and with an untrained one; leaves both for the runs that compare.</summary>
    public IEnumerable<Measurement> TuneAndProbe(StudyTask task, int seed)
    {
        TaskRows rows = _rows[task.Name];
        using TextScoringTransformer tuned = Tune(task, SoftPrompt, _plan.Tuning.LearningRate, seed, StateOf("prompt"));
        NeuronProbeResult probe = Probe(tuned, rows);
        tuned.Classifier.SaveTuned(Path.Combine(context.Files, "prompt.safetensors"));
        probe.Save(context.Files);
        yield return Measure(new(task.Name, Measures.Accuracy, Accuracy(tuned.Classifier, rows.Test), seed));
        yield return Measure(new(task.Name, Measures.BestTuned, BestNeuron(probe), seed));

        using TextScoringTransformer untrained = Tune(task, SoftPrompt, _plan.Tuning.LearningRate, seed, epochs: 0);
        yield return Measure(new(task.Name, Measures.BestRandom, BestNeuron(Probe(untrained, rows)), seed));
    }

    /// <summary>A written prompt's best neuron, and the tuned prompt with its skill neurons perturbed.</summary>
    public StudyResult Perturb(StudyTask task)
    {
        TaskRows rows = _rows[task.Name];
        int seed = _plan.Seeds[0];
        var measurements = new List<Measurement>
        {
            new(task.Name, Measures.Majority, rows.Test.CountBy(row => row.Label).Max(label => label.Value) / (double)rows.Test.Count),
        };
        using (TextScoringTransformer written = Tune(task, SoftPrompt, _plan.Tuning.LearningRate, seed, epochs: 0))
        {
            Write(written.Classifier, task.Prompt);
            measurements.Add(Measure(new(task.Name, Measures.BestWritten, BestNeuron(Probe(written, rows)))));
        }

        using TextScoringTransformer model = Load(task, seed);
        NeuronValues means = Means(task, model);
        IReadOnlyList<PerturbationKind> methods = _plan.Perturbation.Methods;
        var curves = new List<CurvePoint>(Curve(task, "prompt", model, means, methods, null));
        if (_plan.Perturbation.LayerRanges.Count > 0)
        {
            curves.AddRange(Curve(task, "prompt", model, means, [methods[0]], _plan.Perturbation.LayerRanges));
        }

        return new(measurements, curves);
    }

    /// <summary>A model that is tuned otherwise, with the same neurons perturbed.</summary>
    public StudyResult PerturbOther(StudyTask task, string name, string measure, TuningOptions tuning, double learningRate)
    {
        TaskRows rows = _rows[task.Name];
        using TextScoringTransformer other = Tune(task, tuning, learningRate, _plan.Seeds[0], StateOf(name));
        EncodedText[] texts = Encode(other.Classifier, rows.Train);
        NeuronValues own = new NeuronProbe(other.Classifier, NeuronProbeKind.TextMean).Baseline(texts, _stop);
        return new(
            [Measure(new(task.Name, measure, Accuracy(other.Classifier, rows.Test)))],
            [.. Curve(task, name, other, own, [_plan.Perturbation.Methods[0]], null)]
        );
    }

    /// <summary>The first run's model, pruned to what the runs agree on.</summary>
    public StudyResult Prune(StudyTask task)
    {
        using TextScoringTransformer model = Load(task, _plan.Seeds[0]);
        return new([.. Prune(task, model, Aggregate(task).Select(_plan.Pruning.Fraction), Means(task, model))], []);
    }

    /// <summary>What there is between the tasks.</summary>
    public StudyResult BetweenTasks() => new([.. Compare(), .. Transfer()], []);

    private NeuronValues Means(StudyTask task, TextScoringTransformer model) =>
        new NeuronProbe(model.Classifier).Baseline(Encode(model.Classifier, _rows[task.Name].Train), _stop);

    private IEnumerable<CurvePoint> Curve(
        StudyTask task,
        string name,
        TextScoringTransformer perturbed,
        NeuronValues fixedAt,
        IReadOnlyList<PerturbationKind> kinds,
        IReadOnlyList<LayerRange>? ranges
    )
    {
        NeuronDropMetrics drop = _ml.SkillLoc()
            .Neurons.EvaluateNeuronDrop(
                Keyed(task, [.. _rows[task.Name].Test.Take(_plan.Perturbation.Rows)]),
                new()
                {
                    Model = perturbed,
                    Probe = Aggregate(task) with { Thresholds = [fixedAt] },
                    Methods = kinds,
                    Fractions = _plan.Perturbation.Fractions,
                    LayerRanges = ranges,
                    Alpha = _plan.Perturbation.Alpha,
                    Controls = _plan.Perturbation.Controls,
                    Seed = 0,
                    CancellationToken = _stop,
                }
            );
        return drop.Points.Select(point => new CurvePoint(task.Name, name, drop.Accuracy, point));
    }

    private Measurement Measure(Measurement measured)
    {
        context.Measure(measured.Measure, measured.Value);
        return measured;
    }

    private IEnumerable<Measurement> Prune(StudyTask task, TextScoringTransformer model, NeuronSet keep, NeuronValues means)
    {
        TaskRows rows = _rows[task.Name];
        int low = _plan.Pruning.LowLayer;
        using TextScoringTransformer pruned = PruneTo(keep);
        yield return Measure(new(task.Name, Measures.Pruned, Accuracy(pruned.Classifier, rows.Test)));
        yield return new(
            task.Name,
            Measures.PrunedRandom,
            Enumerable
                .Range(1, _plan.Perturbation.Controls)
                .Average(draw =>
                {
                    using TextScoringTransformer random = PruneTo(keep.RandomControl(draw));
                    return Accuracy(random.Classifier, rows.Test);
                })
        );
        yield return new(
            task.Name,
            Measures.ParameterRatio,
            NeuronPruning.ParameterRatio(pruned.Classifier.Backbone.Config, model.Classifier.Backbone.Config)
        );
        context.Time(Measures.SpeedUp, Seconds(model.Classifier) / Seconds(pruned.Classifier));

        // The saved checkpoint holds the prompt, from which tuning goes on.
        string folder = StateOf("pruned");
        pruned.SaveCheckpoint(folder);
        using TextScoringTransformer retrained = Tune(
            task,
            SoftPrompt,
            _plan.Tuning.LearningRate,
            _plan.Seeds[0],
            StateOf("retrained"),
            _plan.Tuning.RetrainingEpochs,
            folder
        );
        yield return Measure(new(task.Name, Measures.Retrained, Accuracy(retrained.Classifier, rows.Test)));

        TextScoringTransformer PruneTo(NeuronSet neurons) =>
            _ml.SkillLoc().Neurons.PruneNeurons(model, neurons, means, low, fraction: _plan.Pruning.Fraction);

        double Seconds(TextClassifier classifier)
        {
            EncodedText[] encoded = Encode(classifier, rows.Test);
            int[] labels = LabelsOf(classifier, rows.Test);
            return TimedEvaluation.Measure(classifier, encoded, labels, _plan.Pruning.Repetitions, _stop).Min(time => time.Seconds);
        }
    }

    /// <summary>How alike tasks use neurons. Of several subtasks a neuron's largest predictivity counts.</summary>
    private IEnumerable<Measurement> Compare()
    {
        NeuronValues[] predictivity = [.. _plan.Tasks.Select(task => Aggregate(task).BestPredictivity())];
        for (int i = 0; i < predictivity.Length; i++)
        {
            for (int j = i + 1; j < predictivity.Length; j++)
            {
                string task = _plan.Tasks[i].Name,
                    other = _plan.Tasks[j].Name;
                NeuronSimilarityMetrics similarity = _ml.SkillLoc()
                    .Neurons.EvaluateNeuronSimilarity(predictivity[i], predictivity[j], _plan.TopFraction);
                yield return new(task, Measures.Spearman, similarity.Spearman, Other: other);
                yield return new(task, Measures.Overlap, similarity.Overlap, Other: other);
                foreach (LayerSimilarity layer in similarity.Layers)
                {
                    yield return new(task, Measures.Spearman, layer.Spearman, Other: other, Layer: layer.Layer);
                    yield return new(task, Measures.Overlap, layer.Overlap, Other: other, Layer: layer.Layer);
                }
            }
        }
    }

    /// <summary>How well a prompt serves other tasks of the same label words, and what its activations told of that.</summary>
    private IEnumerable<Measurement> Transfer()
    {
        foreach (int seed in _plan.Seeds)
        {
            foreach (StudyTask task in _plan.Tasks)
            {
                using TextScoringTransformer own = Load(task, seed);
                NeuronSet skill = Aggregate(task).Select(_plan.TopFraction);
                foreach (StudyTask other in _plan.Tasks.Where(other => other != task))
                {
                    using TextScoringTransformer foreign = Load(other, seed);
                    ClassifierSettings settings = foreign.Classifier.Settings;
                    if (
                        !settings.Words!.SequenceEqual(own.Classifier.Settings.Words!)
                        || settings.HasTextPair != own.Classifier.Settings.HasTextPair
                    )
                    {
                        continue;
                    }

                    TransferIndicator indicator = _ml.SkillLoc().Neurons.EvaluateTransfer(foreign, own, skill);
                    yield return new(
                        task.Name,
                        Measures.Transfer,
                        Accuracy(foreign.Classifier, _rows[task.Name].Test, own.Labels),
                        seed,
                        other.Name
                    );
                    yield return new(task.Name, Measures.IndicatorSkill, indicator.SkillNeurons, seed, other.Name);
                    yield return new(task.Name, Measures.IndicatorAll, indicator.AllNeurons, seed, other.Name);
                }
            }
        }
    }

    /// <summary>What the runs found, as one probe: predictivity is the mean over the runs (methods, B.8).</summary>
    private NeuronProbeResult Aggregate(StudyTask task)
    {
        using TextScoringTransformer model = Load(task, _plan.Seeds[0]);
        string[] tasks = model.Labels.Count == 2 ? [model.Labels[1]] : [.. model.Labels];
        NeuronProbeResult[] runs =
        [
            .. _plan.Seeds.Select(seed => NeuronProbeResult.Load(FolderOf(task, seed), NeuronProbeKind.Prompt, tasks)),
        ];
        return runs[0] with
        {
            Accuracies = [.. tasks.Select((_, i) => Predictivity.Of([.. runs.Select(run => run.Accuracies[i])]))],
            TestAccuracies = null,
        };
    }

    private TextScoringTransformer Load(StudyTask task, int seed) =>
        Scorer(TextClassifier.LoadTuned(_plan.Checkpoint, PromptOf(task, seed)));

    private static TextScoringTransformer Scorer(TextClassifier classifier) =>
        new(classifier, new() { TextPair = classifier.Settings.HasTextPair ? "TextPair" : null });

    private TextScoringTransformer Tune(
        StudyTask task,
        TuningOptions tuning,
        double learningRate,
        int seed,
        string? state = null,
        int? epochs = null,
        string? checkpoint = null
    )
    {
        TaskRows rows = _rows[task.Name];
        string tuned = state + " tuned.safetensors";
        if (state is not null && File.Exists(tuned))
        {
            return Scorer(TextClassifier.LoadTuned(checkpoint ?? _plan.Checkpoint, tuned));
        }

        TextScoringTransformer model = _ml.SkillLoc()
            .PromptFineTune(
                new PromptFineTuneTrainer.Options
                {
                    Checkpoint = checkpoint ?? _plan.Checkpoint,
                    Task = task.Find(),
                    Tuning = tuning,
                    ValidationSet = Keyed(task, rows.Dev),
                    LearningRate = learningRate,
                    Epochs = epochs ?? _plan.Tuning.Epochs,
                    BatchSize = _plan.Tuning.BatchSize,
                    EvaluationInterval = _plan.Tuning.EvaluationInterval,
                    MaxLength = _plan.Tuning.MaxLength,
                    Seed = seed,
                    StateFile = state,
                    Progress = context.Follow<TrainingProgress>(at => new(at.Step, at.Steps, at.Loss)),
                    CancellationToken = _stop,
                }
            )
            .Fit(Keyed(task, rows.Train));
        try
        {
            if (state is not null)
            {
                // It stays until all is measured, so that a study that was stopped need not tune it again.
                StopSignals.ThrowIfCut(state, _stop);
                model.Classifier.SaveTuned(tuned);
            }

            return model;
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    private NeuronProbeResult Probe(TextScoringTransformer model, TaskRows rows)
    {
        TextClassifier classifier = model.Classifier;
        var probe = new NeuronProbe(classifier);
        EncodedText[] train = Encode(classifier, rows.Train);
        IReadOnlyList<ProbeTask> tasks = Questions(rows.Train);
        IReadOnlyList<NeuronValues> thresholds = tasks.Count == 1 ? [probe.Baseline(train, _stop)] : probe.Baselines(train, tasks, _stop);
        return new()
        {
            Kind = NeuronProbeKind.Prompt,
            Tasks = [.. tasks.Select(task => task.Name)],
            Thresholds = thresholds,
            Accuracies = probe.Accuracies(Encode(classifier, rows.Dev), Questions(rows.Dev), thresholds, _stop),
            TestAccuracies = probe.Accuracies(Encode(classifier, rows.Test), Questions(rows.Test), thresholds, _stop),
        };

        IReadOnlyList<ProbeTask> Questions(IReadOnlyList<LabeledText> split) =>
            model.Labels.Count == 2
                ? [ProbeTask.Binary(LabelsOf(classifier, split), model.Labels[1])]
                : ProbeTask.OneVersusRest(LabelsOf(classifier, split), model.Labels);
    }

    /// <summary>Test accuracy of the neuron and slot that development rows choose, and the side that they say is right.</summary>
    private static double BestNeuron(NeuronProbeResult probe) =>
        probe
            .Accuracies.Zip(
                probe.TestAccuracies!,
                (dev, test) =>
                {
                    double[] chosenBy = dev.Values.ToArray();
                    int best = Enumerable.Range(0, chosenBy.Length).MaxBy(i => Math.Abs(chosenBy[i] - 0.5));
                    return chosenBy[best] >= 0.5 ? test.Values[best] : 1 - test.Values[best];
                }
            )
            .Average();

    /// <summary>Puts a sentence's word embeddings into the prompt's vectors, again from its start where it is too short.</summary>
    private void Write(TextClassifier classifier, string sentence)
    {
        int[] words = CheckpointTokenizer.Load(CheckpointHub.Resolve(_plan.Checkpoint)).Encode(" " + sentence);
        using IDisposable noGradients = torch.no_grad();
        using DisposeScope scope = torch.NewDisposeScope();
        torch.Tensor prompt = classifier.TunedParameters["prompt"];
        torch.Tensor table = classifier
            .Backbone.Parameters.First(pair => pair.Key.EndsWith("word_embeddings.weight", StringComparison.Ordinal))
            .Value;
        long[] ids = [.. Enumerable.Range(0, (int)prompt.size(1)).Select(i => (long)words[i % words.Length])];
        prompt.copy_(table.index_select(0, torch.tensor(ids, device: table.device)).unsqueeze(0));
    }

    private IDataView Keyed(StudyTask task, IReadOnlyList<LabeledText> rows)
    {
        ValueToKeyMappingTransformer keys = _ml
            .Transforms.Conversion.MapValueToKey("Label", keyOrdinality: ValueToKeyMappingEstimator.KeyOrdinality.ByValue)
            .Fit(_ml.SkillLoc().Data.LoadRows(_rows[task.Name].Train));
        return _ml.Data.Cache(keys.Transform(_ml.SkillLoc().Data.LoadRows(rows)));
    }

    private static EncodedText[] Encode(TextClassifier classifier, IReadOnlyList<LabeledText> rows) =>
        [.. rows.Select(row => classifier.Encode(row.Text, row.TextPair))];

    private static int[] LabelsOf(TextClassifier classifier, IReadOnlyList<LabeledText> rows, IReadOnlyList<string>? labels = null)
    {
        string[] known = [.. labels ?? classifier.Settings.Labels];
        return
        [
            .. rows.Select(row =>
                Array.IndexOf(known, row.Label) is >= 0 and var label
                    ? label
                    : throw new InvalidDataException(
                        $"The label '{row.Label}' is not among the training rows, which have {string.Join(", ", known)}."
                    )
            ),
        ];
    }

    private double Accuracy(TextClassifier classifier, IReadOnlyList<LabeledText> rows, IReadOnlyList<string>? labels = null)
    {
        float[][] scores = classifier.Score(Encode(classifier, rows), _stop);
        int[] right = LabelsOf(classifier, rows, labels);
        return scores.Zip(right, (own, label) => TextClassifier.MostProbable(own) == label ? 1.0 : 0.0).Average();
    }
}
