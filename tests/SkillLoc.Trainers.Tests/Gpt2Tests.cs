using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Runtime;
using SkillLoc.Transforms;
using TorchSharp;

namespace SkillLoc.Trainers.Tests;

/// <summary>Fine-tuning, grafting and saving with a causal model.</summary>
public sealed class Gpt2Tests : IDisposable
{
    private static readonly string Checkpoint = Oracles.PathOf("tiny-gpt2");
    private static readonly PromptTask Task = Toy.Task with { Autoregressive = new("{0} It was", " bad", " good") };
    private readonly MLContext _ml = new(seed: 1);
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(HeadKind.LabelWords, OptionScoring.Auto, " bad", " good")]
    [InlineData(HeadKind.LabelWords, OptionScoring.WholeOption, " a man.", " a film.")]
    [InlineData(HeadKind.SequenceClassification, OptionScoring.Auto, null, null)]
    public void APipelineLearnsSavesAndLoads(HeadKind head, OptionScoring scoring, string? negative, string? positive)
    {
        var losses = new List<double>();
        IDataView train = Toy.View(_ml, Toy.Examples(120)),
            test = Toy.View(_ml, Toy.Examples(40, seed: 9));
        string folder = Path.Join(_folder, "tuned"),
            zip = Path.Join(_folder, "tuned.zip");
        using TextScoringTransformer model = _ml.SkillLoc()
            .PromptFineTune(
                Toy.Options(options =>
                {
                    options.Checkpoint = Checkpoint;
                    options.Head = head;
                    options.Task = negative is null
                        ? null
                        : Task with
                        {
                            Autoregressive = new("{0} It was", negative, positive!) { Scoring = scoring },
                        };
                    options.Epochs = 10;
                    options.OutputFolder = folder;
                    options.Progress = new Immediate(report => losses.Add(report.Loss));
                })
            )
            .Fit(train);
        Assert.True(losses[^10..].Average() < 0.5 * losses[..10].Average(), $"{losses[..10].Average()} to {losses[^10..].Average()}");
        Assert.InRange(_ml.MulticlassClassification.Evaluate(model.Transform(test)).MicroAccuracy, 0.85, 1);

        float[][] scores = [.. model.Transform(test).GetColumn<float[]>("Score")];
        using TextScoringTransformer again = new(TextClassifier.Load(folder), model.Columns);
        Assert.Equal(scores, [.. again.Transform(test).GetColumn<float[]>("Score")]);
        _ml.Model.Save(model, train.Schema, zip);
        float[][] loaded = [.. new MLContext().Model.Load(zip, out _).Transform(test).GetColumn<float[]>("Score")];
        Assert.All(scores.Zip(loaded), pair => Assert.Equal(pair.First[0], pair.Second[0], 1e-4f));
    }

    [Fact]
    public void ATaskOfThePaperIsFoundByName()
    {
        IDataView data = Toy.View(
            _ml,
            Toy.Examples(8).Select(row => new Toy.Row { Text = row.Text, Label = row.Label == "pos" ? "1" : "0" })
        );
        using TextScoringTransformer model = _ml.SkillLoc().PromptFineTune(Checkpoint, "sst-2", epochs: 1).Fit(data);
        ClassifierSettings settings = model.Classifier.Settings;
        Assert.Equal("\"{0}\" has a tone that is", settings.AutoregressiveTemplate);
        Assert.Null(settings.Template);
        Assert.Equal(["0", "1"], settings.Labels);
        Assert.Equal([" negative", " positive"], settings.Words);

        // The paper's 256, or what the model can take.
        Assert.Equal(128, settings.MaxLength);
        Assert.Equal(8, model.Transform(data).GetColumn<float[]>("Score").Count());
    }

    [Fact]
    public void PairsAreAskedAboutAndSaved()
    {
        string zip = Path.Join(_folder, "pairs.zip");
        IDataView rows = _ml.Data.LoadFromEnumerable(
            Toy.Examples(12)
                .Select(
                    (row, i) =>
                        new Pair
                        {
                            Text = row.Text,
                            TextPair = $"it was {i}",
                            Label = row.Label == "pos" ? "entailment" : "not_entailment",
                        }
                )
        );
        IDataView data = _ml.Transforms.Conversion.MapValueToKey("Label").Fit(rows).Transform(rows);
        using TextScoringTransformer model = _ml.SkillLoc().PromptFineTune(Checkpoint, "rte", epochs: 1).Fit(data);
        Assert.Equal([" false", " true"], model.Classifier.Settings.Words);
        model.SaveCheckpoint(Path.Join(_folder, "pairs"));
        _ml.Model.Save(model, data.Schema, zip);
        float[][] scores = [.. model.Transform(data).GetColumn<float[]>("Score")];
        float[][] loaded = [.. new MLContext().Model.Load(zip, out _).Transform(data).GetColumn<float[]>("Score")];
        Assert.All(scores.Zip(loaded), pair => Assert.Equal(pair.First[0], pair.Second[0], 1e-4f));
    }

    [Theory]
    [InlineData(OptionScoring.FirstToken)]
    [InlineData(OptionScoring.WholeOption)]
    public void BFloat16PassesGiveNearlyTheSameLosses(OptionScoring scoring)
    {
        double[] full = Losses(Precision.Float32),
            half = Losses(Precision.BFloat16);
        Assert.NotEqual(full, half);
        Assert.All(full.Zip(half), pair => Assert.Equal(pair.First, pair.Second, 0.15 * pair.First));

        double[] Losses(Precision precision)
        {
            var losses = new List<double>();
            Fit(
                    Toy.Examples(24),
                    options =>
                    {
                        options.Task = Task with { Autoregressive = Task.Autoregressive! with { Scoring = scoring } };
                        options.Precision = precision;
                        options.MaxSteps = 3;
                        options.Progress = new Immediate(report => losses.Add(report.Loss));
                    }
                )
                .Dispose();
            return [.. losses];
        }
    }

    [Fact]
    public void OptionsFollowTheOrderOfTheLabelsKeys()
    {
        using TextScoringTransformer model = Fit(Toy.Examples(8).Reverse());
        Assert.Equal(["pos", "neg"], model.Labels);
        Assert.Equal([" good", " bad"], model.Classifier.Settings.Words);
    }

    [Fact]
    public void ATaskWithoutAnAutoregressivePromptIsRefused()
    {
        IDataView data = Toy.View(_ml, Toy.Examples(8));
        ArgumentException error = Assert.Throws<ArgumentException>(() =>
            _ml.SkillLoc().PromptFineTune(Toy.Options(options => options.Checkpoint = Checkpoint)).Fit(data)
        );
        Assert.Contains("'toy'", error.Message, StringComparison.Ordinal);
        Assert.Contains(nameof(PromptTask.Autoregressive), error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void BothKindsOfModelTakeOneTask()
    {
        using TextScoringTransformer masked = _ml.SkillLoc()
            .PromptFineTune(
                Toy.Options(options =>
                {
                    options.Task = Task;
                    options.Epochs = 0;
                })
            )
            .Fit(Toy.View(_ml, Toy.Examples(8)));
        Assert.Equal(Task.Template.ToString(), masked.Classifier.Settings.Template);
        Assert.Null(masked.Classifier.Settings.AutoregressiveTemplate);
        Assert.Equal(["bad", "good"], masked.Classifier.Settings.Words);
    }

    [Fact]
    public void LayerNormsDoNotDecay()
    {
        const string Norm = "transformer.h.1.ln_2.weight",
            Weight = "transformer.h.1.mlp.c_fc.weight";
        using DisposeScope scope = torch.NewDisposeScope();
        using TextScoringTransformer decayed = Step(0.5),
            plain = Step(0);
        Assert.True(decayed.Classifier.Backbone.Parameters[Norm].Equals(plain.Classifier.Backbone.Parameters[Norm]));
        Assert.False(decayed.Classifier.Backbone.Parameters[Weight].Equals(plain.Classifier.Backbone.Parameters[Weight]));

        TextScoringTransformer Step(double decay) =>
            Fit(
                Toy.Examples(8),
                options =>
                {
                    options.WeightDecay = decay;
                    options.MaxSteps = 1;
                }
            );
    }

    [Fact]
    public void AGraftIsFoundAppliedAndSaved()
    {
        IDataView data = Toy.View(_ml, Toy.Examples(60));
        using TextScoringTransformer tuned = Fit(Toy.Examples(60));
        using GraftTransformer grafted = _ml.SkillLoc().GraftMask(tuned, sparsity: 0.1, epochs: 3).Fit(data);

        // 3 layers of ln_1, c_attn, c_proj, ln_2, c_fc, c_proj, as in the paper's setting: embeddings and head fixed.
        const int Considered = 3 * ((2 * 2 * 48) + (48 * 144) + 144 + (48 * 48) + 48 + (2 * 48 * 192) + 192 + 48);
        Assert.Equal(Considered, grafted.Graft.ConsideredCount);
        Assert.All(grafted.Graft.Parts, part => Assert.StartsWith("transformer.h.", part.Name, StringComparison.Ordinal));
        double kept = Accuracy(grafted),
            learnt = Accuracy(tuned);
        Assert.InRange(kept, 0.85 * learnt, 1);

        string file = Path.Join(_folder, "toy.graft.safetensors"),
            zip = Path.Join(_folder, "graft.zip");
        grafted.SaveGraft(file);
        float[][] scores = [.. grafted.Transform(data).GetColumn<float[]>("Score")];
        using var again = GraftTransformer.Create(Graft.Load(file), Checkpoint);
        Assert.Equal(scores, [.. again.Transform(data).GetColumn<float[]>("Score")]);
        _ml.Model.Save(grafted, data.Schema, zip);
        float[][] loaded = [.. new MLContext().Model.Load(zip, out _).Transform(data).GetColumn<float[]>("Score")];
        Assert.All(scores.Zip(loaded), pair => Assert.Equal(pair.First[0], pair.Second[0], 1e-4f));

        double Accuracy(TextScoringTransformer model) => _ml.MulticlassClassification.Evaluate(model.Transform(data)).MicroAccuracy;
    }

    private TextScoringTransformer Fit(IEnumerable<Toy.Row> rows, Action<PromptFineTuneTrainer.Options>? change = null) =>
        _ml.SkillLoc()
            .PromptFineTune(
                Toy.Options(options =>
                {
                    options.Checkpoint = Checkpoint;
                    options.Task = Task;
                    change?.Invoke(options);
                })
            )
            .Fit(Toy.View(_ml, rows));

    private sealed class Pair
    {
        public string Label { get; set; } = "";

        public string Text { get; set; } = "";

        public string TextPair { get; set; } = "";
    }

    private sealed class Immediate(Action<TrainingProgress> report) : IProgress<TrainingProgress>
    {
        public void Report(TrainingProgress value) => report(value);
    }
}
