using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Prompts;
using SkillLoc.Transforms;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Trainers.Tests;

/// <summary>Fine-tuning on scores instead of classes, as for STS-B: here how many of a pair's two texts speak of a film.</summary>
public sealed class RegressionTests : IDisposable
{
    private static readonly ScoreRange Range = new(1, 5);

    private static readonly PromptTask Task = new(
        "pairs",
        PromptTemplate.Parse("*cls**sent_0**mask*,*+sentl_1**sep+*"),
        new Verbalizer([new("0", "bad"), new("1", "good")])
    )
    {
        ScoreRange = Range,
        Metric = PromptMetric.Correlation,
    };

    private readonly MLContext _ml = new(seed: 1);
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void APipelineLearnsToPredictScores()
    {
        IDataView test = View(Examples(60, seed: 9));
        using TransformerChain<TextScoringTransformer> zeroShot = Chain(options => options.Epochs = 0).Fit(View(Examples(4)));
        using TransformerChain<TextScoringTransformer> tuned = Chain().Fit(View(Examples(160)));
        Assert.InRange(Pearson(zeroShot.Transform(test)), -0.5, 0.5);
        Assert.InRange(Pearson(tuned.Transform(test)), 0.8, 1);

        RegressionMetrics metrics = _ml.Regression.Evaluate(tuned.Transform(test));
        Assert.InRange(metrics.RSquared, 0.5, 1);
        float[] labels = [.. test.GetColumn<float>("Label")],
            scores = [.. tuned.Transform(test).GetColumn<float>("Score")];
        Assert.Equal(labels.Zip(scores).Average(pair => Math.Abs(pair.First - pair.Second)), metrics.MeanAbsoluteError, 1e-5);
        Assert.All(scores, score => Assert.True(Range.Contains(score)));

        using PredictionEngine<Row, Scored> engine = _ml.Model.CreatePredictionEngine<Row, Scored>(tuned);
        Assert.True(
            engine.Predict(new Row { Text = "the film", TextPair = "it was film" }).Score
                > engine.Predict(new Row { Text = "the man", TextPair = "it was man" }).Score
        );

        EstimatorChain<TextScoringTransformer> Chain(Action<PromptFineTuneTrainer.Options>? change = null) =>
            _ml.Transforms.CopyColumns("Body", "Text").Append(_ml.SkillLoc().PromptFineTune(Options(change)));
    }

    [Fact]
    public void OneSgdStepFollowsTheGradientOfTheDivergence()
    {
        const double rate = 0.1;
        using DisposeScope scope = NewDisposeScope();
        Row[] rows =
        [
            .. Examples(6),
            new()
            {
                Label = 2.5f,
                Text = "it was",
                TextPair = "and the man",
            },
        ];
        double reported = double.NaN;
        using TextScoringTransformer model = Fit(
            rows,
            options =>
            {
                options.Optimizer = OptimizerKind.Sgd;
                options.LearningRate = rate;
                options.WeightDecay = 0;
                options.MaxGradientNorm = 0;
                options.MaxSteps = 1;
                options.BatchSize = rows.Length;
                options.Progress = new Immediate(report => reported = report.Loss);
            }
        );

        using var plain = TextClassifier.Create(Toy.Checkpoint, model.Classifier.Settings);
        foreach (Parameter parameter in plain.Backbone.Parameters.Values)
        {
            parameter.requires_grad_(true);
        }

        using TokenBatch batch = plain.Batch([.. rows.Select(row => plain.Encode(row.Text, row.TextPair))]);
        Tensor logits = plain.Logits(batch);
        float[] values = logits.detach().data<float>().ToArray();
        float[] gradient = new float[values.Length];
        double loss = 0;
        for (int i = 0; i < rows.Length; i++)
        {
            // p of two words is a logistic function; the divergence's gradient with respect to the logits is p - t.
            double second = 1 / (1 + Math.Exp(values[2 * i] - values[(2 * i) + 1]));
            double[] p = [1 - second, second],
                t = [1 - ((rows[i].Label - 1) / 4), (rows[i].Label - 1) / 4];
            for (int word = 0; word < 2; word++)
            {
                loss += t[word] == 0 ? 0 : t[word] * Math.Log(t[word] / p[word]) / rows.Length;
                gradient[(2 * i) + word] = (float)((p[word] - t[word]) / rows.Length);
            }
        }

        Assert.Contains(rows, row => row.Label == 1);
        Assert.Equal(loss, reported, 1e-5);
        autograd.backward(logits, tensor(gradient).view(-1, 2));
        using IDisposable noGradients = no_grad();
        foreach (
            (string name, Parameter? before) in plain.Backbone.Parameters.Where(pair =>
                pair.Key.Contains("encoder.layer", StringComparison.Ordinal)
            )
        )
        {
            Assert.True(allclose(before - (rate * before.grad!), model.Classifier.Backbone.Parameters[name], 1e-4, 1e-6), name);
        }
    }

    [Fact]
    public void TheBestStateByPearsonsCorrelationIsKept()
    {
        var reports = new List<TrainingProgress>();
        IDataView validation = View(Examples(40, seed: 3));
        using TextScoringTransformer model = Fit(
            Examples(64),
            options =>
            {
                options.ValidationSet = validation;
                options.EvaluationInterval = 2;
                options.LearningRate = 5e-2;
                options.WarmupSteps = 40;
                options.MaxSteps = 40;
                options.Progress = new Immediate(reports.Add);
            }
        );
        double best = reports.Max(report => report.Metric ?? double.NegativeInfinity);
        Assert.True(reports[^1].Metric < best, "The test needs a run whose last state is not its best.");
        Assert.Equal(best, Pearson(model.Transform(validation)), 1e-5);
    }

    [Fact]
    public void RowsWithoutALabelAreLeftOut()
    {
        Row[] rows = Examples(12);
        Row[] more =
        [
            rows[0],
            new()
            {
                Label = float.NaN,
                Text = "x",
                TextPair = "y",
            },
            .. rows[1..],
        ];
        using TextScoringTransformer without = Fit(rows, Steps),
            with = Fit(more, Steps);
        Assert.Equal(without.Classifier.Fingerprint(), with.Classifier.Fingerprint());
        Says(Assert.Throws<InvalidOperationException>(() => Fit([more[1]])), "training data", "no rows");

        static void Steps(PromptFineTuneTrainer.Options options) => options.MaxSteps = 2;
    }

    [Fact]
    public void LabelsOutsideTheRangeAreNamed()
    {
        Row[] rows = Examples(5);
        rows[3].Label = 5.5f;
        Says(Assert.Throws<InvalidOperationException>(() => Fit(rows)), "Row 3", "training data", "5.5", "'Label'", "[1, 5]");
        Says(
            Assert.Throws<InvalidOperationException>(() => Fit(Examples(5), options => options.ValidationSet = View(rows))),
            "Row 3",
            "validation data"
        );
        rows[3].Label = float.NegativeInfinity;
        Says(Assert.Throws<InvalidOperationException>(() => Fit(rows)), "Row 3");
    }

    [Fact]
    public void LabelsAreSingle()
    {
        IDataView data = View(Examples(4));
        IDataView keys = _ml.Transforms.Conversion.MapValueToKey("Label").Fit(data).Transform(data);
        PromptFineTuneTrainer trainer = _ml.SkillLoc().PromptFineTune(Options());
        Says(Assert.Throws<ArgumentException>(() => trainer.Fit(keys)), "'Label'", "Single", "ConvertType");
        Says(
            Assert.Throws<ArgumentOutOfRangeException>(() => _ml.Transforms.CopyColumns("Other", "Text").Append(trainer).Fit(keys)),
            "'Label'",
            "Single",
            "ConvertType"
        );
        Says(
            Assert.Throws<ArgumentException>(() => _ml.SkillLoc().PromptFineTune(Options(options => options.Task = Toy.Task)).Fit(data)),
            "MapValueToKey"
        );
    }

    [Fact]
    public void TasksThatAreNoRegressionAreRefused()
    {
        Says(
            Assert.Throws<NotSupportedException>(() => Trainer(options => options.Head = HeadKind.MaskTokenLinear)),
            "'pairs'",
            "LabelWords"
        );
        Says(
            Assert.Throws<ArgumentException>(() =>
                Trainer(options =>
                    options.Task = Task with { Verbalizer = new Verbalizer([new("0", "bad"), new("1", "good"), new("2", "very")]) }
                )
            ),
            "two label words",
            "not 3"
        );
        Says(
            Assert.Throws<ArgumentException>(() => Trainer(options => options.Task = Task with { Metric = PromptMetric.Accuracy })),
            "Accuracy"
        );
        Says(Assert.Throws<ArgumentException>(() => Trainer(options => options.Task = Task with { ScoreRange = null })), "score range");

        void Trainer(Action<PromptFineTuneTrainer.Options> change) => _ml.SkillLoc().PromptFineTune(Options(change));
    }

    [Fact]
    public void TheShapeSaysWhatTransformGives()
    {
        IDataView data = View(Examples(4));
        PromptFineTuneTrainer trainer = _ml.SkillLoc().PromptFineTune(Options(options => options.Epochs = 0));
        SchemaShape shape = trainer.GetOutputSchema(_ml.Transforms.CopyColumns("Other", "Text").GetOutputSchema(Shape(data)));
        using TextScoringTransformer model = trainer.Fit(data);
        DataViewSchema schema = model.GetOutputSchema(data.Schema);
        Assert.Equal(["Label", "Text", "TextPair", "Score"], schema.Select(column => column.Name));
        Assert.Equal(NumberDataViewType.Single, schema["Score"].Type);
        Assert.Equal(["Label", "Other", "Score", "Text", "TextPair"], shape.Select(column => column.Name).Order(StringComparer.Ordinal));
        SchemaShape.Column score = shape.Single(column => column.Name == "Score");
        Assert.Equal((SchemaShape.Column.VectorKind.Scalar, NumberDataViewType.Single, false), (score.Kind, score.ItemType, score.IsKey));
        Assert.Equal(Range, model.ScoreRange);
        Assert.Empty(model.Labels);

        // The getters are as the schema says.
        using DataViewRowCursor cursor = model.Transform(data).GetRowCursor(model.Transform(data).Schema);
        Assert.Throws<InvalidOperationException>(() => cursor.GetGetter<VBuffer<float>>(cursor.Schema["Score"]));

        static SchemaShape Shape(IDataView view) => new Loader(view.Schema).Append(new Same()).GetOutputSchema();
    }

    [Fact]
    public void ASavedModelGivesTheSameScores()
    {
        IDataView data = View(Examples(20, seed: 4));
        using TextScoringTransformer model = Fit(
            Examples(20),
            options =>
            {
                options.MaxSteps = 5;
                options.OutputFolder = Path.Join(_folder, "tuned");
            }
        );
        using var folder = TextClassifier.Load(Path.Join(_folder, "tuned"));
        Assert.Equal(Range, folder.Settings.ScoreRange);
        CompareWithLoaded(model, data);
    }

    [Fact]
    public void AGraftCarriesARegression()
    {
        Row[] rows = Examples(60);
        IDataView data = View(rows);
        using TextScoringTransformer tuned = Fit(rows, options => options.Epochs = 15);
        using (GraftTransformer whole = _ml.SkillLoc().GraftMask(tuned, sparsity: 1, epochs: 0).Fit(data))
        {
            Assert.Equal(tuned.Classifier.Fingerprint(), whole.Classifier.Fingerprint());
        }

        using GraftTransformer grafted = _ml.SkillLoc().GraftMask(tuned, sparsity: 0.2, epochs: 2).Fit(data);
        double kept = Pearson(grafted.Transform(data));
        Assert.Equal(kept, grafted.Graft.Metrics["train"], 1e-4);
        Assert.InRange(kept, 0.5, 1);
        CompareWithLoaded(grafted, data);

        EstimatorChain<GraftTransformer> chain = _ml
            .Transforms.CopyColumns("Other", "Text")
            .Append(_ml.SkillLoc().GraftMask(tuned, epochs: 0));
        using TransformerChain<GraftTransformer> chained = chain.Fit(data);
        Assert.Equal(NumberDataViewType.Single, chained.GetOutputSchema(data.Schema)["Score"].Type);
    }

    [Fact]
    public void NoTensorIsLeft()
    {
        Action<PromptFineTuneTrainer.Options> change = options =>
        {
            options.MaxSteps = 2;
            options.EvaluationInterval = 1;
            options.ValidationSet = View(Examples(6));
        };
        Fit(Examples(8), change).Dispose();
        GC.Collect();
        GC.WaitForPendingFinalizers();
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        Fit(Examples(8), change).Dispose();
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    private void CompareWithLoaded(TextScoringTransformer model, IDataView data)
    {
        float[] scores = [.. model.Transform(data).GetColumn<float>("Score")];
        Assert.True(scores.Distinct().Count() > 1);
        string zip = Path.Join(_folder, "model.zip");
        _ml.Model.Save(model, data.Schema, zip);
        var fresh = new MLContext();
        ITransformer loaded = fresh.Model.Load(zip, out _);
        IDataView scored = loaded.Transform(data);
        Assert.All(scores.Zip(scored.GetColumn<float>("Score")), pair => Assert.Equal(pair.First, pair.Second, 1e-4f));
        Assert.Equal(["Label", "Text", "TextPair", "Score"], scored.Schema.Where(column => !column.IsHidden).Select(column => column.Name));
        Assert.Equal(_ml.Regression.Evaluate(model.Transform(data)).RSquared, fresh.Regression.Evaluate(scored).RSquared, 1e-3);

        using PredictionEngine<Row, Scored> engine = fresh.Model.CreatePredictionEngine<Row, Scored>(loaded);
        using PredictionEngine<Row, Scored> resident = _ml.Model.CreatePredictionEngine<Row, Scored>(model);
        foreach (
            (Row row, float score) in Examples(3, seed: 4)
                .Zip(_ml.Data.CreateEnumerable<Scored>(scored, reuseRowObject: false).Select(row => row.Score))
        )
        {
            Assert.Equal(resident.Predict(row).Score, engine.Predict(row).Score, 1e-4f);
        }
    }

    private static Row[] Examples(int count, int seed = 0)
    {
        var random = new Random(seed);
        string[] fillers = ["the", "was", "and", "it"];
        return
        [
            .. Enumerable
                .Range(0, count)
                .Select(i =>
                {
                    bool first = i % 4 >= 2,
                        second = i % 2 == 1;
                    return new Row
                    {
                        Label = 1 + (first ? 2 : 0) + (second ? 2 : 0),
                        Text = Text(first),
                        TextPair = Text(second),
                    };
                }),
        ];

        string Text(bool film)
        {
            List<string> words = [.. Enumerable.Range(0, random.Next(1, 4)).Select(_ => fillers[random.Next(fillers.Length)])];
            words.Insert(random.Next(words.Count + 1), film ? "film" : "man");
            return string.Join(' ', words);
        }
    }

    private static PromptFineTuneTrainer.Options Options(Action<PromptFineTuneTrainer.Options>? change = null) =>
        Toy.Options(options =>
        {
            options.Task = Task;
            change?.Invoke(options);
        });

    private static double Pearson(IDataView scored) =>
        Correlation.Pearson(
            [.. scored.GetColumn<float>("Label").Select(label => (double)label)],
            [.. scored.GetColumn<float>("Score").Select(score => (double)score)]
        );

    private static void Says(Exception error, params string[] parts) =>
        Assert.All(parts, part => Assert.Contains(part, error.Message, StringComparison.Ordinal));

    private IDataView View(IEnumerable<Row> rows) => _ml.Data.LoadFromEnumerable(rows);

    private TextScoringTransformer Fit(IEnumerable<Row> rows, Action<PromptFineTuneTrainer.Options>? change = null) =>
        _ml.SkillLoc().PromptFineTune(Options(change)).Fit(View(rows));

    private sealed class Row
    {
        public float Label { get; set; }

        public string Text { get; set; } = "";

        public string TextPair { get; set; } = "";
    }

    private sealed class Scored
    {
        public float Score { get; set; }
    }

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
