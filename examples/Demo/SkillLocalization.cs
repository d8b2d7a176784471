using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms;
using SkillLoc.Models.Classification;
using SkillLoc.Studies;
using SkillLoc.Trainers;
using SkillLoc.Transforms;

namespace SkillLoc.Demo;

/// <summary>The demo's job: fine-tune a model, localise the skill, and measure what is lost and gained.</summary>
/// <param name="options">What the command line says.</param>
/// <param name="console">Where progress is told.</param>
/// <param name="stop">Stops it at its next step; states of trainings stay in the output folder for the next time.</param>
public sealed class SkillLocalization(DemoOptions options, ConsoleProgress console, CancellationToken stop = default)
{
    private readonly MLContext _ml = new(seed: 1);

    public void Run()
    {
        var results = new Results(_ml);

        // Data, fine-tuning and measuring, two for each graft, and the explanations of the first seed.
        console.Work(
            (options.Seeds.Length * (3 + (2 * options.Sparsities.Length))) + 1,
            () =>
            {
                foreach (int seed in options.Seeds)
                {
                    Run(seed, results);
                }
            }
        );

        results.Save(Path.Combine(options.Output, "results.tsv"));
        console.Show(results.Table());
        DemoData data = Read(options.Seeds[^1]);
        foreach (TestSet test in data.Tests)
        {
            console.Say($"{test.Name}: {test.About}.");
        }

        console.Say("Acc.: accuracy; macro: averaged over the labels. ECE: expected calibration error.");
        console.Say("Agree: same prediction as the fine-tuned model. Changed: parameters unlike the");
        console.Say("pre-trained model's. Share: of those that fine-tuning could change.");
        if (options.Seeds.Length > 1)
        {
            console.Say($"Mean and standard deviation over {options.Seeds.Length} seeds, in percent.");
        }

        console.Say(
            $"Written to {options.Output}: "
                + $"{string.Join(", ", Directory.GetFileSystemEntries(options.Output).Select(Path.GetFileName).Order())}"
        );
        PredictWith(ModelPath(options.Seeds[^1], options.Sparsities[^1]), data);
    }

    private void Run(int seed, Results results)
    {
        string of = options.Seeds.Length > 1 ? $"seed {seed}, " : "";
        DemoData data = console.Step(of + "reading the data", () => Read(seed));

        // A label becomes a key, a model scores the text, and the key that it predicts becomes a label again.
        ValueToKeyMappingEstimator keys = _ml.Transforms.Conversion.MapValueToKey("Label");
        KeyToValueMappingEstimator answers = _ml.Transforms.Conversion.MapKeyToValue("Answer", "PredictedLabel");
        IDataView validation = keys.Fit(data.Train).Transform(data.Validation);

        using TransformerChain<TextScoringTransformer> preTrained = keys.Append(_ml.SkillLoc().PromptFineTune(FineTuning(seed, epochs: 0)))
            .Fit(data.Train);
        using TransformerChain<TextScoringTransformer> fineTuned = console.Step(
            of + "fine-tuning",
            progress => keys.Append(_ml.SkillLoc().PromptFineTune(FineTuning(seed, options.Epochs, validation, progress))).Fit(data.Train)
        );
        StopSignals.ThrowIfCut(StatePath(seed, "fine-tuning"), stop);
        string checkpoint = Path.Combine(FolderOf(seed), "fine-tuned");
        fineTuned.LastTransformer.SaveCheckpoint(checkpoint);

        // The report is of the first seed.
        Pictures? pictures = seed == options.Seeds[0] ? new(_ml, options, data.Tests[0], seed) : null;
        IReadOnlyList<IDataView> reference = results.Reference(data.Tests, fineTuned);
        console.Step(
            of + "measuring both",
            () =>
            {
                Measure("zero-shot", preTrained, changed: 0, share: 0, path: null);
                Measure("fine-tuned", fineTuned, Trained(fineTuned.LastTransformer.Classifier), share: 1, checkpoint);
            }
        );

        foreach (double sparsity in options.Sparsities)
        {
            using TransformerChain<KeyToValueMappingTransformer> grafted = console.Step(
                $"{of}grafting, sparsity {sparsity}",
                progress =>
                    keys.Append(_ml.SkillLoc().GraftMask(Grafting(seed, fineTuned.LastTransformer, sparsity, validation, progress)))
                        .Append(answers)
                        .Fit(data.Train)
            );
            stop.ThrowIfCancellationRequested();
            GraftTransformer scorer = grafted.OfType<GraftTransformer>().Single();
            string path = GraftPath(seed, sparsity);
            scorer.SaveGraft(path);
            _ml.Model.Save(grafted, data.Train.Schema, ModelPath(seed, sparsity));
            console.Step(of + "measuring it", () => Measure($"graft {sparsity}", grafted, scorer.Graft.Count, scorer.Graft.Share, path));
            if (sparsity == options.Sparsities[options.Sparsities.Length / 2] && pictures is not null)
            {
                IDataView test = keys.Fit(data.Train).Transform(data.Tests[0].Rows);
                console.Step(of + "explaining it", () => pictures.AddGraft($"graft {sparsity}", scorer, test, stop));
            }
        }

        if (pictures is not null)
        {
            pictures.AddAccuracies(results.Accuracies(seed));
            pictures.Save(FolderOf(seed));
        }

        if (Directory.Exists(StatePath(seed, "")))
        {
            Directory.Delete(StatePath(seed, ""), recursive: true);
        }

        void Measure(string name, ITransformer model, long changed, double share, string? path)
        {
            IReadOnlyList<IDataView> scored = results.Add(seed, name, model, data.Tests, reference, changed, share, path);
            pictures?.AddCalibration(name, scored[0]);
        }
    }

    private DemoData Read(int seed)
    {
        DemoData data = options.Data is null
            ? DemoData.SpamAssassin(_ml, options.Corpus, options.Rows, seed)
            : DemoData.FromPaths(_ml, options.Data, options.Test, options.OutOfDistribution, options.Rows, seed);
        return options.Choosing
            ? data with
            {
                Tests = [new("Validation", "rows that choose the best state and the settings", data.Validation)],
            }
            : data;
    }

    private PromptFineTuneTrainer.Options FineTuning(
        int seed,
        int epochs,
        IDataView? validation = null,
        IProgress<TrainingProgress>? progress = null
    ) =>
        new()
        {
            Checkpoint = options.Checkpoint,
            Task = options.Task,
            MaxLength = options.MaxLength,
            ValidationSet = validation,
            Optimizer = options.Optimizer,
            LearningRate = options.LearningRate,
            Epochs = epochs,
            EvaluationInterval = 40,
            Seed = seed,
            StateFile = epochs > 0 ? StatePath(seed, "fine-tuning") : null,
            Progress = progress,
            CancellationToken = stop,
        };

    private GraftMaskEstimator.Options Grafting(
        int seed,
        TextScoringTransformer fineTuned,
        double sparsity,
        IDataView validation,
        IProgress<TrainingProgress> progress
    ) =>
        new()
        {
            FineTuned = fineTuned,
            Sparsity = sparsity,
            ValidationSet = validation,
            Epochs = options.GraftEpochs,
            LearningRate = options.GraftLearningRate,
            MaxBatchesPerEpoch = 16,
            Seed = seed,
            StateFolder = StatePath(seed, "grafts"),
            Progress = progress,
            CancellationToken = stop,
        };

    /// <summary>A program that has the pre-trained model needs nothing but the zip, which the graft travels in.</summary>
    private void PredictWith(string modelPath, DemoData data)
    {
        var fresh = new MLContext();
        ITransformer model = fresh.Model.Load(modelPath, out _);
        using PredictionEngine<Message, Prediction> engine = fresh.Model.CreatePredictionEngine<Message, Prediction>(model);
        Message[] messages = [.. fresh.Data.CreateEnumerable<Message>(data.Tests[0].Rows, reuseRowObject: false)];
        Message message = Array.Find(messages, row => row.Label == options.Task.Verbalizer.Labels[^1]) ?? messages[0];
        Prediction prediction = engine.Predict(message);
        VBuffer<ReadOnlyMemory<char>> labels = default;
        engine.OutputSchema["Score"].GetSlotNames(ref labels);
        console.Say($"Loaded {modelPath} into a fresh pre-trained model.");
        console.Say($"  \"{message.Text[..Math.Min(72, message.Text.Length)]}...\" ({message.Label})");
        console.Say(
            $"  is {prediction.Answer}: "
                + $"{string.Join(", ", labels.DenseValues().Zip(prediction.Score, (label, score) => $"{label} {score:0.0%}"))}"
        );
    }

    /// <summary>One seed's files lie in the output folder itself, those of several in a folder for each.</summary>
    private string FolderOf(int seed) => options.Seeds.Length == 1 ? options.Output : Path.Combine(options.Output, $"seed-{seed}");

    private string StatePath(int seed, string name) => Path.Combine(FolderOf(seed), "state", name);

    private string GraftPath(int seed, double sparsity) => Path.Combine(FolderOf(seed), $"graft-{sparsity}.safetensors");

    private string ModelPath(int seed, double sparsity) => Path.Combine(FolderOf(seed), $"graft-{sparsity}.zip");

    private static long Trained(TextClassifier classifier) =>
        classifier.Settings.Trained!.Of(classifier.Backbone).Sum(name => classifier.Backbone.Parameters[name].numel());
}
