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
        DemoData data = console.Step(
            "Reading the data",
            () =>
                options.Data is null
                    ? DemoData.SpamAssassin(_ml, options.Corpus, options.Rows)
                    : DemoData.FromPaths(_ml, options.Data, options.Test, options.OutOfDistribution, options.Rows)
        );

        // A label becomes a key, a model scores the text, and the key that it predicts becomes a label again.
        ValueToKeyMappingEstimator keys = _ml.Transforms.Conversion.MapValueToKey("Label");
        KeyToValueMappingEstimator answers = _ml.Transforms.Conversion.MapKeyToValue("Answer", "PredictedLabel");
        IDataView validation = keys.Fit(data.Train).Transform(data.Validation);

        using TransformerChain<TextScoringTransformer> preTrained = keys.Append(_ml.SkillLoc().PromptFineTune(FineTuning(epochs: 0)))
            .Fit(data.Train);
        using TransformerChain<TextScoringTransformer> fineTuned = console.Step(
            "Fine-tuning",
            progress => keys.Append(_ml.SkillLoc().PromptFineTune(FineTuning(options.Epochs, validation, progress))).Fit(data.Train)
        );
        StopSignals.ThrowIfCut(StatePath("fine-tuning"), stop);
        string checkpoint = Path.Combine(options.Output, "fine-tuned");
        fineTuned.LastTransformer.SaveCheckpoint(checkpoint);

        var results = new Results(_ml, data.Tests, fineTuned);
        console.Step(
            "Measuring both",
            () =>
            {
                results.Add("zero-shot", preTrained, changed: 0, share: 0, path: null);
                results.Add("fine-tuned", fineTuned, Trained(fineTuned.LastTransformer.Classifier), share: 1, checkpoint);
            }
        );

        foreach (double sparsity in options.Sparsities)
        {
            using TransformerChain<KeyToValueMappingTransformer> grafted = console.Step(
                $"Grafting, sparsity {sparsity}",
                progress =>
                    keys.Append(_ml.SkillLoc().GraftMask(Grafting(fineTuned.LastTransformer, sparsity, validation, progress)))
                        .Append(answers)
                        .Fit(data.Train)
            );
            stop.ThrowIfCancellationRequested();
            GraftTransformer scorer = grafted.OfType<GraftTransformer>().Single();
            scorer.SaveGraft(GraftPath(sparsity));
            _ml.Model.Save(grafted, data.Train.Schema, ModelPath(sparsity));
            console.Step(
                "Measuring it",
                () => results.Add($"graft {sparsity}", grafted, scorer.Graft.Count, scorer.Graft.Share, GraftPath(sparsity))
            );
        }

        if (Directory.Exists(StatePath("")))
        {
            Directory.Delete(StatePath(""), recursive: true);
        }

        results.Save(Path.Combine(options.Output, "results.tsv"));
        console.Show(results.Table());
        foreach (TestSet test in data.Tests)
        {
            console.Say($"{test.Name}: {test.About}.");
        }

        console.Say("Acc.: accuracy; macro: averaged over the labels. ECE: expected calibration error.");
        console.Say("Agree: same prediction as the fine-tuned model. Changed: parameters unlike the");
        console.Say("pre-trained model's. Share: of those that fine-tuning could change.");
        console.Say(
            $"Written to {options.Output}: "
                + $"{string.Join(", ", Directory.GetFileSystemEntries(options.Output).Select(Path.GetFileName).Order())}"
        );
        PredictWith(ModelPath(options.Sparsities[^1]), data);
    }

    private PromptFineTuneTrainer.Options FineTuning(
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
            Seed = 0,
            StateFile = epochs > 0 ? StatePath("fine-tuning") : null,
            Progress = progress,
            CancellationToken = stop,
        };

    private GraftMaskEstimator.Options Grafting(
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
            MaxBatchesPerEpoch = 32,
            Seed = 0,
            StateFolder = StatePath("grafts"),
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

    private string StatePath(string name) => Path.Combine(options.Output, "state", name);

    private string GraftPath(double sparsity) => Path.Combine(options.Output, $"graft-{sparsity}.safetensors");

    private string ModelPath(double sparsity) => Path.Combine(options.Output, $"graft-{sparsity}.zip");

    private static long Trained(TextClassifier classifier) =>
        classifier.Settings.Trained!.Of(classifier.Backbone).Sum(name => classifier.Backbone.Parameters[name].numel());
}
