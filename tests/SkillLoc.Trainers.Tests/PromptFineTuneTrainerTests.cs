using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Runtime;
using SkillLoc.Transforms;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Trainers.Tests;

public sealed class PromptFineTuneTrainerTests
{
    private readonly MLContext _ml = new(seed: 1);

    [Theory]
    [InlineData(HeadKind.LabelWords, OptimizerKind.AdamW)]
    [InlineData(HeadKind.LabelWords, OptimizerKind.Sgd)]
    [InlineData(HeadKind.LabelWords, OptimizerKind.Adafactor)]
    [InlineData(HeadKind.SequenceClassification, OptimizerKind.AdamW)]
    [InlineData(HeadKind.FirstTokenLinear, OptimizerKind.AdamW)]
    [InlineData(HeadKind.MaskTokenLinear, OptimizerKind.AdamW)]
    public void APipelineLearnsAndPredicts(HeadKind head, OptimizerKind optimizer)
    {
        IDataView train = _ml.Data.LoadFromEnumerable(Toy.Examples(160)),
            test = _ml.Data.LoadFromEnumerable(Toy.Examples(40, seed: 9));
        EstimatorChain<KeyToValueMappingTransformer> pipeline = _ml
            .Transforms.Conversion.MapValueToKey("Label")
            .Append(
                _ml.SkillLoc()
                    .PromptFineTune(
                        Toy.Options(options =>
                        {
                            options.Head = head;
                            options.Optimizer = optimizer;
                            options.LearningRate = optimizer == OptimizerKind.Sgd ? 5e-2 : 2e-3;
                            options.Task = head is HeadKind.LabelWords or HeadKind.MaskTokenLinear ? Toy.Task : null;
                        })
                    )
            )
            .Append(_ml.Transforms.Conversion.MapKeyToValue("PredictedLabel"));
        using TransformerChain<KeyToValueMappingTransformer> model = pipeline.Fit(train);
        MulticlassClassificationMetrics metrics = _ml.MulticlassClassification.Evaluate(
            _ml.Transforms.Conversion.MapValueToKey("PredictedLabel").Fit(model.Transform(test)).Transform(model.Transform(test))
        );
        Assert.InRange(metrics.MicroAccuracy, 0.85, 1);

        using PredictionEngine<Toy.Row, Toy.Prediction> engine = _ml.Model.CreatePredictionEngine<Toy.Row, Toy.Prediction>(model);
        Assert.Equal("pos", engine.Predict(new Toy.Row { Text = "and it was the film" }).PredictedLabel);
        Assert.Equal("neg", engine.Predict(new Toy.Row { Text = "and it was the man" }).PredictedLabel);
    }

    [Fact]
    public void ScoresStandInTheOrderOfTheLabelsKeys()
    {
        // "pos" occurs first here, so it is key 1, whatever the verbalizer's order is.
        using TextScoringTransformer model = Fit(Toy.Examples(32).Reverse());
        Assert.Equal(["pos", "neg"], model.Labels);
        IDataView scored = model.Transform(Toy.View(_ml, Toy.Examples(32).Reverse()));
        Assert.InRange(_ml.MulticlassClassification.Evaluate(scored).MicroAccuracy, 0.9, 1);
    }

    [Fact]
    public void CrossValidationWorks()
    {
        IDataView data = Toy.View(_ml, Toy.Examples(60));
        IReadOnlyList<TrainCatalogBase.CrossValidationResult<MulticlassClassificationMetrics>> results =
            _ml.MulticlassClassification.CrossValidate(data, _ml.SkillLoc().PromptFineTune(Toy.Options()), numberOfFolds: 3);
        Assert.Equal(3, results.Count);
        Assert.All(results, result => Assert.InRange(result.Metrics.MicroAccuracy, 0.7, 1));
    }

    [Fact]
    public void OneSgdStepIsTheGradientDescentItSays()
    {
        const double rate = 0.1,
            decay = 0.01;
        using DisposeScope scope = NewDisposeScope();
        Toy.Row[] rows = Toy.Examples(6);
        using TextScoringTransformer model = Fit(
            rows,
            options =>
            {
                options.Optimizer = OptimizerKind.Sgd;
                options.LearningRate = rate;
                options.WeightDecay = decay;
                options.MaxGradientNorm = 0;
                options.MaxSteps = 1;
                options.BatchSize = 3;
                options.GradientAccumulationSteps = 2;
            }
        );

        // The same gradient, computed plainly: the mean over all six rows.
        using var plain = TextClassifier.Create(Toy.Checkpoint, model.Classifier.Settings);
        foreach (Parameter parameter in plain.Backbone.Parameters.Values)
        {
            parameter.requires_grad_(true);
        }

        using TokenBatch batch = plain.Batch([.. rows.Select(row => plain.Encode(row.Text))]);
        long[] labels = [.. rows.Select(row => row.Label == model.Labels[0] ? 0L : 1L)];
        nn.functional.cross_entropy(plain.Logits(batch), tensor(labels)).backward();
        using IDisposable noGradients = no_grad();
        foreach ((string name, Parameter? before) in plain.Backbone.Parameters)
        {
            Tensor after = model.Classifier.Backbone.Parameters[name];
            if (!name.Contains("encoder.layer", StringComparison.Ordinal))
            {
                Assert.True(before.Equals(after), name);
                continue;
            }

            bool decays = !name.EndsWith("bias", StringComparison.Ordinal) && !name.EndsWith("LayerNorm.weight", StringComparison.Ordinal);
            Tensor expected = before - (rate * (before.grad! + ((decays ? decay : 0) * before)));
            Assert.True(allclose(expected, after, 1e-4, 1e-6), name);
        }
    }

    [Fact]
    public void RegroupingByLengthDoesNotChangeTheUpdate()
    {
        using TextScoringTransformer small = Fit(Toy.Examples(24), Options(20)),
            large = Fit(Toy.Examples(24), Options(4096));
        using DisposeScope scope = NewDisposeScope();
        foreach ((string name, Parameter? value) in small.Classifier.Backbone.Parameters)
        {
            Assert.True(allclose(value, large.Classifier.Backbone.Parameters[name], 1e-3, 1e-5), name);
        }

        static Action<PromptFineTuneTrainer.Options> Options(int tokens) =>
            options =>
            {
                options.MaxTokensPerBatch = tokens;
                options.Optimizer = OptimizerKind.Sgd;
                options.LearningRate = 1e-2;
                options.MaxSteps = 4;
            };
    }

    [Fact]
    public void BFloat16PassesTrainFloat32Masters()
    {
        Action<PromptFineTuneTrainer.Options> steps = options => options.MaxSteps = 3;
        using TextScoringTransformer full = Fit(Toy.Examples(24), steps);
        using TextScoringTransformer half = Fit(Toy.Examples(24), steps + (options => options.Precision = Precision.BFloat16));
        using var before = LanguageModel.Load(Toy.Checkpoint);
        const string Name = "roberta.encoder.layer.1.intermediate.dense.weight";
        using DisposeScope scope = NewDisposeScope();
        Tensor start = before.Parameters[Name].detach(),
            moved = half.Classifier.Backbone.Parameters[Name].detach();
        Assert.Equal(ScalarType.Float32, moved.dtype);

        // AdamW's first steps move each weight by about the learning rate: less than bfloat16 could hold, in much the same direction.
        Tensor one = (full.Classifier.Backbone.Parameters[Name] - start).view(-1),
            other = (moved - start).view(-1);
        double cosine = one.dot(other).ToDouble() / (one.norm().ToDouble() * other.norm().ToDouble());
        Assert.InRange(cosine, 0.8, 0.99999);
    }

    [Fact]
    public void TheSameSeedGivesTheSameBits()
    {
        Action<PromptFineTuneTrainer.Options> change = options =>
        {
            options.Dropout = 0.1;
            options.MaxSteps = 5;
        };
        using TextScoringTransformer first = Fit(Toy.Examples(24), change),
            second = Fit(Toy.Examples(24), change);
        using TextScoringTransformer other = Fit(Toy.Examples(24), change + (options => options.Seed = 6));
        Assert.Equal(first.Classifier.Fingerprint(), second.Classifier.Fingerprint());
        Assert.NotEqual(first.Classifier.Fingerprint(), other.Classifier.Fingerprint());
    }

    [Theory]
    [InlineData(true, true, 0, false)]
    [InlineData(false, true, 1, false)]
    [InlineData(true, false, 2, false)]
    [InlineData(true, false, 0, true)]
    public void OnlyWhatIsSelectedMoves(bool fixEmbeddings, bool fixHead, int fixLayers, bool biasOnly)
    {
        using TextScoringTransformer model = Fit(
            Toy.Examples(16),
            options =>
            {
                options.FixEmbeddings = fixEmbeddings;
                options.FixHead = fixHead;
                options.FixLayers = fixLayers;
                options.BiasOnly = biasOnly;
                options.MaxSteps = 3;
            }
        );
        using var before = LanguageModel.Load(Toy.Checkpoint);
        foreach ((string name, Parameter? value) in before.Parameters)
        {
            bool moves =
                name.Contains("encoder.layer.", StringComparison.Ordinal)
                    ? name[name.IndexOf("layer.", StringComparison.Ordinal) + 6] - '0' >= fixLayers
                        && (!biasOnly || name.Contains("bias", StringComparison.Ordinal))
                : name.Contains("embeddings", StringComparison.Ordinal) ? !fixEmbeddings
                : !fixHead && (!biasOnly || name.Contains("bias", StringComparison.Ordinal));
            Assert.True(moves != value.Equals(model.Classifier.Backbone.Parameters[name]), $"{name} {(moves ? "did not move" : "moved")}");
        }
    }

    [Fact]
    public void StepsAreExactAndReported()
    {
        var reports = new List<TrainingProgress>();
        using TextScoringTransformer model = Fit(
            Toy.Examples(20),
            options =>
            {
                options.MaxSteps = 7;
                options.Progress = new Immediate(reports.Add);
            }
        );
        Assert.Equal(Enumerable.Range(1, 7), reports.Select(report => report.Step));
        Assert.All(reports, report => Assert.Equal(7, report.Steps));
        Assert.All(reports, report => Assert.True(double.IsFinite(report.Loss)));
    }

    [Fact]
    public void TheBestStateOnTheValidationSetIsKept()
    {
        // A learning rate that wrecks the model at the end: the last state is worse than one before.
        var reports = new List<TrainingProgress>();
        IDataView validation = Toy.View(_ml, Toy.Examples(40, seed: 3));
        using TextScoringTransformer model = Fit(
            Toy.Examples(64),
            options =>
            {
                options.ValidationSet = validation;
                options.EvaluationInterval = 2;
                options.LearningRate = 5e-2;
                options.WarmupSteps = 60;
                options.MaxSteps = 60;
                options.Progress = new Immediate(reports.Add);
            }
        );
        double best = reports.Max(report => report.Metric ?? 0);
        Assert.True(reports[^1].Metric < best, "The test needs a run whose last state is not its best.");
        Assert.Equal(best, _ml.MulticlassClassification.Evaluate(model.Transform(validation)).MicroAccuracy, 1e-9);
    }

    [Fact]
    public void CancellationEndsWithAUsableModel()
    {
        using var cancel = new CancellationTokenSource();
        int steps = 0;
        using TextScoringTransformer model = Fit(
            Toy.Examples(20),
            options =>
            {
                options.MaxSteps = 10_000;
                options.CancellationToken = cancel.Token;
                options.Progress = new Immediate(report =>
                {
                    steps = report.Step;
                    if (steps == 3)
                    {
                        cancel.Cancel();
                    }
                });
            }
        );
        Assert.Equal(3, steps);
        Assert.Equal(20, model.Transform(Toy.View(_ml, Toy.Examples(20))).GetColumn<float[]>("Score").Count());
    }

    [Fact]
    public void ASavedCheckpointIsAHuggingFaceFolderAndLoads()
    {
        string folder = Path.Join(Directory.CreateTempSubdirectory().FullName, "tuned");
        using TextScoringTransformer model = Fit(Toy.Examples(20), options => options.OutputFolder = folder);
        using var files = CheckpointFolder.Open(folder);
        Assert.Equal(["RobertaForMaskedLM"], files.Config.Architectures);
        Assert.True(File.Exists(Path.Join(folder, "vocab.json")));
        using var loaded = TextClassifier.Load(folder);
        Assert.Equal(model.Classifier.Fingerprint(), loaded.Fingerprint());
        Directory.Delete(Path.GetDirectoryName(folder)!, recursive: true);
    }

    [Fact]
    public void NoTensorIsLeft()
    {
        Fit(Toy.Examples(12), options => options.MaxSteps = 1).Dispose();
        GC.Collect();
        GC.WaitForPendingFinalizers();
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        IDataView validation = Toy.View(_ml, Toy.Examples(8));
        Fit(
                Toy.Examples(12),
                options =>
                {
                    options.MaxSteps = 4;
                    options.EvaluationInterval = 2;
                    options.ValidationSet = validation;
                }
            )
            .Dispose();
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    [Fact]
    public void TheShapeSaysWhatTransformGives()
    {
        SchemaShape shape = _ml.SkillLoc()
            .PromptFineTune(Toy.Options())
            .GetOutputSchema(
                new SchemaShape(
                    _ml.Transforms.Conversion.MapValueToKey("Label").GetOutputSchema(Shape(_ml.Data.LoadFromEnumerable(Toy.Examples(4))))
                )
            );
        SchemaShape.Column predicted = shape.Single(column => column.Name == "PredictedLabel"),
            score = shape.Single(column => column.Name == "Score");
        Assert.True(predicted.IsKey);
        Assert.Contains(predicted.Annotations, annotation => annotation.Name == "KeyValues");
        Assert.Equal(SchemaShape.Column.VectorKind.Vector, score.Kind);
        Assert.Contains(score.Annotations, annotation => annotation.Name == "SlotNames");
        Assert.Equal(NumberDataViewType.Single, score.ItemType);

        SchemaShape Shape(IDataView view) => new Loader(view.Schema).Append(new Same()).GetOutputSchema();
    }

    private TextScoringTransformer Fit(IEnumerable<Toy.Row> rows, Action<PromptFineTuneTrainer.Options>? change = null) =>
        _ml.SkillLoc().PromptFineTune(Toy.Options(change)).Fit(Toy.View(_ml, rows));

    private sealed class Immediate(Action<TrainingProgress> report) : IProgress<TrainingProgress>
    {
        public void Report(TrainingProgress value) => report(value);
    }

    private sealed class Loader(DataViewSchema schema) : IDataLoader<object>
    {
        public DataViewSchema GetOutputSchema() => schema;

        public IDataView Load(object input) => throw new NotSupportedException();

        public void Save(ModelSaveContext ctx) => throw new NotSupportedException();
    }

    private sealed class Same : IEstimator<ITransformer>
    {
        public ITransformer Fit(IDataView input) => throw new NotSupportedException();

        public SchemaShape GetOutputSchema(SchemaShape inputSchema) => inputSchema;
    }
}
