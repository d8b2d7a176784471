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

/// <summary>
/// The protocol of the skill-neuron paper (Wang et al. 2022): for each task and run tune a soft prompt and probe; for each task perturb and
/// prune what the runs agree on; between tasks compare and transfer.
/// </summary>
public sealed class Study
{
    private readonly MLContext _ml = new();
    private readonly StudyPlan _plan;
    private readonly string _output;
    private readonly StudyFolder _folder;
    private readonly Dictionary<string, TaskRows> _rows;
    private readonly string _checkpoint;
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
        _output = output;
        _rows = plan.Tasks.ToDictionary(task => task.Name, plan.RowsOf, StringComparer.Ordinal);
        using var model = LanguageModel.Load(plan.Checkpoint);
        _checkpoint = model.Fingerprint();
        _folder = new(output, stop);
    }

    private SoftPromptOptions SoftPrompt => new() { Size = _plan.Tuning.PromptSize };

    /// <summary>Measures what is not measured yet.</summary>
    /// <returns>All measurements.</returns>
    /// <exception cref="InvalidDataException">The folder holds parts of another study.</exception>
    /// <exception cref="OperationCanceledException">It was stopped; the next time it goes on from there.</exception>
    public StudyResult Run()
    {
        var parts = new List<StudyResult>();
        foreach (StudyTask task in _plan.Tasks)
        {
            foreach (int seed in _plan.Seeds)
            {
                parts.Add(
                    _folder.Get(
                        NameOf(task, seed),
                        StudyJson.FingerprintOf(Common(task), seed),
                        state => new StudyResult([.. TuneAndProbe(task, seed, state)], [])
                    )
                );
            }
        }

        foreach (StudyTask task in _plan.Tasks)
        {
            parts.Add(
                _folder.Get(
                    task.Name,
                    StudyJson.FingerprintOf(Common(task), _plan.Seeds, _plan.Perturbation, _plan.Pruning),
                    state => PerturbAndPrune(task, state)
                )
            );
        }

        parts.Add(
            _folder.Get(
                "between tasks",
                StudyJson.FingerprintOf(_plan.Tasks.Select(Common), _plan.Seeds, _plan.TopFraction),
                _ => new StudyResult([.. Compare(), .. Transfer()], [])
            )
        );
        return new([.. parts.SelectMany(part => part.Measurements)], [.. parts.SelectMany(part => part.Curves)]);
    }

    private static string NameOf(StudyTask task, int seed) => $"{task.Name}-{seed}";

    private object[] Common(StudyTask task) =>
        [_checkpoint, task, _plan.Tuning, _plan.TrainRows, _plan.DevRows, _plan.TestRows, _plan.SplitSeed];

    /// <summary>What a run leaves beside its measurements, for the parts that compare runs and tasks.</summary>
    private string FolderOf(StudyTask task, int seed) => Path.Combine(_output, NameOf(task, seed));

    private string PromptOf(StudyTask task, int seed) => Path.Combine(FolderOf(task, seed), "prompt.safetensors");

    private IEnumerable<Measurement> TuneAndProbe(StudyTask task, int seed, string state)
    {
        TaskRows rows = _rows[task.Name];
        using TextScoringTransformer tuned = Tune(task, SoftPrompt, _plan.Tuning.LearningRate, seed, Path.Combine(state, "prompt"));
        NeuronProbeResult probe = Probe(tuned, rows);
        Directory.CreateDirectory(FolderOf(task, seed));
        tuned.Classifier.SaveTuned(PromptOf(task, seed));
        probe.Save(FolderOf(task, seed));
        yield return new(task.Name, Measures.Accuracy, Accuracy(tuned.Classifier, rows.Test), seed);
        yield return new(task.Name, Measures.BestTuned, BestNeuron(probe), seed);

        using TextScoringTransformer untrained = Tune(task, SoftPrompt, _plan.Tuning.LearningRate, seed, epochs: 0);
        yield return new(task.Name, Measures.BestRandom, BestNeuron(Probe(untrained, rows)), seed);
    }

    private StudyResult PerturbAndPrune(StudyTask task, string state)
    {
        TaskRows rows = _rows[task.Name];
        int seed = _plan.Seeds[0];
        var measurements = new List<Measurement>
        {
            new(task.Name, Measures.Majority, rows.Test.CountBy(row => row.Label).Max(label => label.Value) / (double)rows.Test.Count),
        };
        var curves = new List<CurvePoint>();

        using (TextScoringTransformer written = Tune(task, SoftPrompt, _plan.Tuning.LearningRate, seed, epochs: 0))
        {
            Write(written.Classifier, task.Prompt);
            measurements.Add(new(task.Name, Measures.BestWritten, BestNeuron(Probe(written, rows))));
        }

        using TextScoringTransformer model = Load(task, seed);
        NeuronProbeResult found = Aggregate(task);
        EncodedText[] train = Encode(model.Classifier, rows.Train);
        NeuronValues means = new NeuronProbe(model.Classifier).Baseline(train, _stop);
        IReadOnlyList<PerturbationKind> methods = _plan.Perturbation.Methods;
        Curve("prompt", model, means, methods, null);
        if (_plan.Perturbation.LayerRanges.Count > 0)
        {
            Curve("prompt", model, means, [methods[0]], _plan.Perturbation.LayerRanges);
        }

        Other("BitFit", Measures.BitFit, new BitFitOptions(), _plan.Tuning.BiasLearningRate);
        Other("adapter", Measures.Adapter, new AdapterOptions(), _plan.Tuning.AdapterLearningRate);
        measurements.AddRange(Prune(task, model, found.Select(_plan.Pruning.Fraction), means, state));
        return new(measurements, curves);

        void Other(string name, string measure, TuningOptions tuning, double learningRate)
        {
            using TextScoringTransformer other = Tune(task, tuning, learningRate, seed, Path.Combine(state, name));
            measurements.Add(new(task.Name, measure, Accuracy(other.Classifier, rows.Test)));
            EncodedText[] texts = Encode(other.Classifier, rows.Train);
            NeuronValues own = new NeuronProbe(other.Classifier, NeuronProbeKind.TextMean).Baseline(texts, _stop);
            Curve(name, other, own, [methods[0]], null);
        }

        void Curve(
            string name,
            TextScoringTransformer perturbed,
            NeuronValues fixedAt,
            IReadOnlyList<PerturbationKind> kinds,
            IReadOnlyList<LayerRange>? ranges
        )
        {
            NeuronDropMetrics drop = _ml.SkillLoc()
                .Neurons.EvaluateNeuronDrop(
                    Keyed(task, [.. rows.Test.Take(_plan.Perturbation.Rows)]),
                    new()
                    {
                        Model = perturbed,
                        Probe = found with { Thresholds = [fixedAt] },
                        Methods = kinds,
                        Fractions = _plan.Perturbation.Fractions,
                        LayerRanges = ranges,
                        Alpha = _plan.Perturbation.Alpha,
                        Controls = _plan.Perturbation.Controls,
                        Seed = 0,
                        CancellationToken = _stop,
                    }
                );
            curves.AddRange(drop.Points.Select(point => new CurvePoint(task.Name, name, drop.Accuracy, point)));
        }
    }

    private IEnumerable<Measurement> Prune(StudyTask task, TextScoringTransformer model, NeuronSet keep, NeuronValues means, string state)
    {
        TaskRows rows = _rows[task.Name];
        int low = _plan.Pruning.LowLayer;
        using TextScoringTransformer pruned = PruneTo(keep);
        yield return new(task.Name, Measures.Pruned, Accuracy(pruned.Classifier, rows.Test));
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
        yield return new(task.Name, Measures.SpeedUp, Seconds(model.Classifier) / Seconds(pruned.Classifier));

        // The saved checkpoint holds the prompt, from which tuning goes on.
        string folder = Path.Combine(state, "pruned");
        pruned.SaveCheckpoint(folder);
        using TextScoringTransformer retrained = Tune(
            task,
            SoftPrompt,
            _plan.Tuning.LearningRate,
            _plan.Seeds[0],
            Path.Combine(state, "retrained"),
            _plan.Tuning.RetrainingEpochs,
            folder
        );
        yield return new(task.Name, Measures.Retrained, Accuracy(retrained.Classifier, rows.Test));

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
