using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Grafts;
using SkillLoc.Transforms;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Trainers.Tests;

public sealed class GraftMaskEstimatorTests : IClassFixture<GraftMaskEstimatorTests.FineTuned>, IDisposable
{
    private readonly MLContext _ml = new(seed: 1);
    private readonly FineTuned _fixture;
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;

    public GraftMaskEstimatorTests(FineTuned fixture) => _fixture = fixture;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void AGraftIsTheBaseWithFineTunedValuesUnderTheMaskAndNothingElse()
    {
        using GraftTransformer grafted = Graft(options => options.Epochs = 3);
        using var before = LanguageModel.Load(Toy.Checkpoint);
        var parts = grafted.Graft.Parts.ToDictionary(part => part.Name);
        long changed = 0;
        using DisposeScope scope = NewDisposeScope();
        foreach ((string name, Parameter? value) in before.Parameters)
        {
            float[] pre = Values(value),
                now = Values(grafted.Classifier.Backbone.Parameters[name]);
            float[] tuned = Values(_fixture.Transformer.Classifier.Backbone.Parameters[name]);
            HashSet<int> mask = [.. parts.TryGetValue(name, out GraftPart? part) ? part.Indices : []];
            for (int i = 0; i < pre.Length; i++)
            {
                Assert.Equal(mask.Contains(i) ? tuned[i] : pre[i], now[i]);
            }

            changed += mask.Count;
        }

        Assert.Equal(grafted.Graft.Count, changed);
        Assert.Equal(56880, grafted.Graft.ConsideredCount);
        Assert.Equal(grafted.Graft.Count, grafted.Graft.Spread(before, grafted.Graft.Changed).Sum(entry => entry.Count));

        static float[] Values(Tensor tensor) => tensor.data<float>().ToArray();
    }

    [Theory]
    [InlineData(0.0, 0)]
    [InlineData(1e-3, 56)]
    [InlineData(0.01, 568)]
    public void WithoutTrainingTheGraftIsTheBasePatch(double sparsity, int count)
    {
        using GraftTransformer grafted = Graft(options =>
        {
            options.Epochs = 0;
            options.Sparsity = sparsity;
        });
        Assert.Equal(count, grafted.Graft.Count);
    }

    [Fact]
    public void TheWholeMaskIsTheFineTunedModel()
    {
        using GraftTransformer grafted = Graft(options =>
        {
            options.Epochs = 0;
            options.Sparsity = 1;
        });
        Assert.Equal(_fixture.Transformer.Classifier.Fingerprint(), grafted.Classifier.Fingerprint());
    }

    [Fact]
    public void AGraftKeepsMuchOfTheSkillAndIsReported()
    {
        var reports = new List<TrainingProgress>();
        using GraftTransformer grafted = Graft(options =>
        {
            options.Sparsity = 0.1;
            options.Epochs = 4;
            options.Progress = new Immediate(reports.Add);
        });
        double tuned = Accuracy(_fixture.Transformer),
            kept = Accuracy(grafted);
        Assert.InRange(kept, 0.85 * tuned, 1);
        Assert.Equal([1, 2, 3, 4], reports.Select(report => report.Step));
        Assert.InRange(grafted.Graft.Metrics["epoch"], 1, 4);
        Assert.Contains("train", grafted.Graft.Metrics.Keys);
    }

    [Fact]
    public void TheSameSeedGivesTheSameGraft()
    {
        using GraftTransformer first = Graft(options => options.Epochs = 2),
            second = Graft(options => options.Epochs = 2);
        Assert.Equal(first.Graft.Parts.Select(part => part.Indices), second.Graft.Parts.Select(part => part.Indices));
    }

    [Fact]
    public void AGraftSavesLoadsAppliesAndExports()
    {
        using GraftTransformer grafted = Graft(options => options.Epochs = 1);
        string file = Path.Join(_folder, "toy.graft.safetensors");
        grafted.SaveGraft(file);
        var loaded = Models.Grafts.Graft.Load(file);
        Assert.Equal(grafted.Graft.BaseFingerprint, loaded.BaseFingerprint);
        Assert.Equal(grafted.Graft.Sparsity, loaded.Sparsity);
        Assert.Equal(grafted.Graft.Metrics, loaded.Metrics);
        using var again = GraftTransformer.Create(loaded, Toy.Checkpoint);
        Assert.Equal(grafted.Classifier.Fingerprint(), again.Classifier.Fingerprint());

        string export = Path.Join(_folder, "export");
        grafted.SaveCheckpoint(export);
        using var plain = TextClassifier.Load(export);
        Assert.Equal(grafted.Classifier.Fingerprint(), plain.Fingerprint());
    }

    [Fact]
    public void TrainedHeadsTravelWithTheGraft()
    {
        IDataView data = Toy.View(_ml, Toy.Examples(64));
        using TextScoringTransformer tuned = _ml.SkillLoc()
            .PromptFineTune(
                Toy.Options(options =>
                {
                    options.Head = HeadKind.FirstTokenLinear;
                    options.Task = null;
                })
            )
            .Fit(data);
        using GraftTransformer grafted = _ml.SkillLoc().GraftMask(tuned, sparsity: 1, epochs: 0).Fit(data);
        string zip = Path.Join(_folder, "head.zip");
        _ml.Model.Save(grafted, data.Schema, zip);
        float[][] scores = [.. tuned.Transform(data).GetColumn<float[]>("Score")];
        float[][] loaded = [.. new MLContext().Model.Load(zip, out _).Transform(data).GetColumn<float[]>("Score")];
        Assert.All(scores.Zip(loaded), pair => Assert.Equal(pair.First[0], pair.Second[0], 1e-4f));
    }

    [Fact]
    public void AChainWithAGraftIsASmallZipThatLoads()
    {
        IDataView data = _ml.Data.LoadFromEnumerable(Toy.Examples(20));
        EstimatorChain<KeyToValueMappingTransformer> chain = _ml
            .Transforms.Conversion.MapValueToKey("Label")
            .Append(_ml.SkillLoc().GraftMask(_fixture.Transformer, sparsity: 1e-2, epochs: 1))
            .Append(_ml.Transforms.Conversion.MapKeyToValue("PredictedLabel"));
        TransformerChain<KeyToValueMappingTransformer> model = chain.Fit(data);
        string zip = Path.Join(_folder, "chain.zip");
        _ml.Model.Save(model, data.Schema, zip);
        Assert.InRange(new FileInfo(zip).Length, 1, 40_000);

        var fresh = new MLContext();
        using PredictionEngine<Toy.Row, Toy.Prediction> engine = fresh.Model.CreatePredictionEngine<Toy.Row, Toy.Prediction>(
            fresh.Model.Load(zip, out _)
        );
        using PredictionEngine<Toy.Row, Toy.Prediction> resident = _ml.Model.CreatePredictionEngine<Toy.Row, Toy.Prediction>(model);
        foreach (Toy.Row row in Toy.Examples(10, seed: 2))
        {
            Assert.Equal(resident.Predict(row).PredictedLabel, engine.Predict(row).PredictedLabel);
        }

        model.Dispose();
    }

    [Fact]
    public void FrozenWeightsAreSharedAndDisposedInAnyOrder()
    {
        IDataView data = Toy.View(_ml, Toy.Examples(8));
        TextScoringTransformer tuned = _ml.SkillLoc().PromptFineTune(Toy.Options(options => options.MaxSteps = 2)).Fit(data);
        GraftTransformer grafted = _ml.SkillLoc().GraftMask(tuned, epochs: 1).Fit(data);
        float[][] before = [.. grafted.Transform(data).GetColumn<float[]>("Score")];
        tuned.Dispose();
        Assert.Equal(before, [.. grafted.Transform(data).GetColumn<float[]>("Score")]);
        grafted.Dispose();
    }

    [Fact]
    public void NoTensorIsLeft()
    {
        Graft(options => options.Epochs = 1).Dispose();
        GC.Collect();
        GC.WaitForPendingFinalizers();
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        Graft(options => options.Epochs = 2).Dispose();
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    [Fact]
    public void BadOptionsAndBasesAreRefused()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => Graft(options => options.Sparsity = 1.5));
        Assert.Throws<ArgumentException>(() => _ml.SkillLoc().GraftMask(new GraftMaskEstimator.Options()));
        Assert.Throws<DirectoryNotFoundException>(() => Graft(options => options.BaseCheckpoint = Path.Join(_folder, "none")));

        string other = Path.Join(_folder, "other");
        using (var model = LanguageModel.Create(ModelConfig.Roberta(32, 2, 2, 64, 900, 130, 0), seed: 1))
        {
            CheckpointFolder.Save(
                other,
                model.Config,
                model.Parameters.Select(pair => (pair.Key, (Tensor)pair.Value)),
                [Path.Join(Toy.Checkpoint, "vocab.json"), Path.Join(Toy.Checkpoint, "merges.txt")]
            );
        }

        Exception error = Assert.Throws<ArgumentException>(() => Graft(options => options.BaseCheckpoint = other));
        Assert.Contains("shape", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ADamagedGraftFileIsRefused()
    {
        using GraftTransformer grafted = Graft(options => options.Epochs = 0);
        string file = Path.Join(_folder, "g.safetensors");
        grafted.SaveGraft(file);
        byte[] bytes = File.ReadAllBytes(file);
        File.WriteAllBytes(file, bytes[..^10]);
        Assert.Contains(
            "g.safetensors",
            Assert.Throws<InvalidDataException>(() => Models.Grafts.Graft.Load(file)).Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "not a SkillLoc graft",
            Assert.Throws<InvalidDataException>(() => Models.Grafts.Graft.Load(Path.Join(Toy.Checkpoint, "model.safetensors"))).Message,
            StringComparison.Ordinal
        );
        Assert.Throws<FileNotFoundException>(() => Models.Grafts.Graft.Load(Path.Join(_folder, "none")));
    }

    private GraftTransformer Graft(Action<GraftMaskEstimator.Options> change)
    {
        var options = new GraftMaskEstimator.Options
        {
            FineTuned = _fixture.Transformer,
            Sparsity = 1e-2,
            Seed = 3,
        };
        change(options);
        return _ml.SkillLoc().GraftMask(options).Fit(Toy.View(_ml, Toy.Examples(40)));
    }

    private double Accuracy(TextScoringTransformer model) =>
        _ml.MulticlassClassification.Evaluate(model.Transform(Toy.View(_ml, Toy.Examples(100)))).MicroAccuracy;

    private sealed class Immediate(Action<TrainingProgress> report) : IProgress<TrainingProgress>
    {
        public void Report(TrainingProgress value) => report(value);
    }

    /// <summary>One fine-tuned model for all tests.</summary>
    public sealed class FineTuned : IDisposable
    {
        public TextScoringTransformer Transformer { get; } = Train();

        public void Dispose() => Transformer.Dispose();

        private static TextScoringTransformer Train()
        {
            var ml = new MLContext(seed: 1);
            return ml.SkillLoc().PromptFineTune(Toy.Options()).Fit(Toy.View(ml, Toy.Examples(100)));
        }
    }
}
