using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Cartography;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Generation;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Runtime;
using SkillLoc.Models.Tuning;
using SkillLoc.Transforms;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Trainers.Tests;

/// <summary>T5 learns to write its answers: of labels, and free ones (methods, C.1, C.2).</summary>
public sealed class TextToTextTests
{
    private static readonly string Checkpoint = Oracles.PathOf("tiny-t5");
    private static readonly TextToTextTask Task = new("toy", TextMetric.Accuracy) { MaxOutputLength = 12 };
    private readonly MLContext _ml = new(seed: 1);

    [Theory]
    [InlineData("tiny-t5")]
    [InlineData("tiny-t5-v11")]
    public void AClassificationIsLearnt(string checkpoint)
    {
        using TextScoringTransformer model = Trainer(options => options.Checkpoint = Oracles.PathOf(checkpoint))
            .Fit(Toy.View(_ml, Toy.Examples(64)));
        Toy.Row[] unseen = Toy.Examples(40, seed: 9);
        IDataView scored = model.Transform(Toy.View(_ml, unseen));
        Assert.InRange(_ml.MulticlassClassification.Evaluate(scored).MicroAccuracy, 0.95, 1);
        IDataView texts = _ml.Transforms.Conversion.MapKeyToValue("PredictedLabel").Fit(scored).Transform(scored);
        string[] labels = [.. texts.GetColumn<string>("PredictedLabel")],
            written = [.. texts.GetColumn<string>("PredictedText")];
        Assert.InRange(labels.Zip(unseen, (label, row) => label == row.Label ? 1.0 : 0).Average(), 0.95, 1);
        Assert.InRange(labels.Zip(written, (label, text) => label == text ? 1.0 : 0).Average(), 0.95, 1);
        Assert.Equal("toy", model.Classifier.Settings.Task);
        Assert.Equal(HeadKind.Generation, model.Classifier.Settings.Head);
        Assert.Equal("generation", model.Record!.Options["head"], ignoreCase: true);
    }

    [Fact]
    public void AnswersMayBeOtherThanTheLabels()
    {
        using TextScoringTransformer model = Trainer(options =>
            {
                options.Task = Task with
                {
                    Answers = new Dictionary<string, string>
                    {
                        ["neg"] = "a",
                        ["pos"] = "b",
                        ["other"] = "c",
                    },
                };
                options.PredictedTextColumnName = "Answer";
            })
            .Fit(Toy.View(_ml, Toy.Examples(64)));
        Toy.Row[] unseen = Toy.Examples(20, seed: 9);
        string[] written = [.. model.Transform(Toy.View(_ml, unseen)).GetColumn<string>("Answer")];
        Assert.InRange(written.Zip(unseen, (text, row) => text == (row.Label == "pos" ? "b" : "a") ? 1.0 : 0).Average(), 0.9, 1);
    }

    [Fact]
    public void FreeAnswersAreLearnt()
    {
        using TextScoringTransformer one = Trainer().Fit(_ml.Data.LoadFromEnumerable(Toy.Examples(64)));
        using TextScoringTransformer several = Trainer(options => options.LabelColumnName = "Answers").Fit(Several(64));
        Toy.Row[] unseen = Toy.Examples(20, seed: 9);
        IDataView rows = _ml.Data.LoadFromEnumerable(unseen);
        Assert.Empty(one.Labels);
        Assert.InRange(Share(one, row => [row.Label]), 0.9, 1);
        Assert.InRange(Share(several, Right), 0.9, 1);

        double Share(TextScoringTransformer model, Func<Toy.Row, string[]> right) =>
            model
                .Transform(rows)
                .GetColumn<string>("PredictedText")
                .Zip(unseen, (text, row) => right(row).Contains(text) ? 1.0 : 0)
                .Average();
    }

    [Fact]
    public void TheEverydayCallFindsTheTask()
    {
        using TextScoringTransformer t5 = _ml.SkillLoc()
            .PromptFineTune(Checkpoint, "glue-sst2", epochs: 0)
            .Fit(Toy.View(_ml, Toy.Examples(4)));
        Assert.Equal(TextToTextTasks.Find("glue-sst2"), t5.Classifier.Settings.TextToText);
        Assert.Equal(512, t5.Classifier.Settings.MaxLength);
        Assert.Equal(["neg", "pos"], t5.Labels);
        using TextScoringTransformer anli = _ml.SkillLoc()
            .PromptFineTune(Checkpoint, "anli", epochs: 0)
            .Fit(Toy.View(_ml, Toy.Examples(4)));
        Assert.Equal(TextMetric.ClassificationF1, anli.Classifier.Settings.TextToText!.Metric);
        Assert.Throws<ArgumentException>(() => _ml.SkillLoc().PromptFineTune(Checkpoint, "sst-2"));
        Assert.Equal("checkpoint", Assert.Throws<ArgumentNullException>(() => _ml.SkillLoc().PromptFineTune(null!, "sst-2")).ParamName);
    }

    [Theory]
    [InlineData(1, null)]
    [InlineData(2, null)]
    [InlineData(2, 40)]
    public void AnUpdateIsThatOfTheModelsMeanTokenLoss(int accumulation, int? maxTokens)
    {
        // Two answers of different lengths, each a micro-batch or together one: the means of their tokens differ.
        Row[] rows =
        [
            new() { Text = "a film", Label = "good" },
            new() { Text = "what a long text about a man", Label = "it was not so very good after all" },
        ];
        using TextScoringTransformer model = Trainer(options =>
            {
                options.Optimizer = OptimizerKind.Sgd;
                options.LearningRate = 0.05;
                options.WeightDecay = 0;
                options.MaxGradientNorm = 0;
                options.MaxSteps = 1;
                options.BatchSize = 2 / accumulation;
                options.GradientAccumulationSteps = accumulation;
                options.MaxTokensPerBatch = maxTokens;
                options.Task = Task with { MaxOutputLength = 64 };
            })
            .Fit(_ml.Data.LoadFromEnumerable(rows));
        using var start = TextClassifier.Create(Checkpoint, model.Classifier.Settings);
        using DisposeScope scope = NewDisposeScope();
        var plain = (T5ForConditionalGeneration)start.Backbone;
        foreach (Parameter parameter in plain.Parameters.Values)
        {
            parameter.requires_grad_(true);
        }

        double loss = 0;
        foreach (Row[] microBatch in rows.Chunk(2 / accumulation))
        {
            using TokenBatch batch = start.Batch([.. microBatch.Select(row => start.Encode(row.Text))]);
            Tensor part =
                plain.Loss(batch, T5ForConditionalGeneration.Targets([.. microBatch.Select(row => start.EncodeAnswer(row.Label))]))
                / accumulation;
            part.backward();
            loss += part.item<float>();
        }

        Assert.Equal(loss, model.Record!.Metrics["loss"], 1e-4);
        foreach ((string name, Parameter? before) in plain.Parameters)
        {
            Tensor wanted = before.detach() - (0.05 * before.grad!);
            Tensor difference = model.Classifier.Backbone.Parameters[name].detach() - wanted;
            double moved = (0.05 * before.grad!).norm().ToDouble();
            Assert.True(difference.norm().ToDouble() <= (1e-3 * moved) + 1e-5, $"{name}: {difference.norm().ToDouble()} of {moved}");
        }
    }

    [Fact]
    public void EachUseOfARowDrawsOneOfItsAnswers()
    {
        // The weights stand still, so that a loss tells which answer it was of.
        var losses = new List<double>();
        void Train(Action<PromptFineTuneTrainer.Options>? change = null) =>
            Trainer(options =>
                {
                    options.LabelColumnName = "Answers";
                    options.LearningRate = 1e-12;
                    options.Epochs = 30;
                    options.Progress = new Trainings.Immediate(progress => losses.Add(progress.Loss));
                    change?.Invoke(options);
                })
                .Fit(Several(1))
                .Dispose();
        Train();
        int[] counts = [.. losses.GroupBy(loss => Math.Round(loss, 3)).Select(group => group.Count())];
        Assert.Equal(2, counts.Length);
        Assert.All(counts, count => Assert.InRange(count, 6, 24));

        double[] first = [.. losses];
        losses.Clear();
        Train();
        Assert.Equal(first, losses);
        losses.Clear();
        Train(options => options.Seed++);
        Assert.NotEqual(first, losses);
    }

    [Fact]
    public void TheSameSeedGivesTheSameBits()
    {
        Dictionary<string, float[]>[] weights =
        [
            .. Enumerable
                .Range(0, 2)
                .Select(_ =>
                {
                    using TextScoringTransformer model = Trainer(options =>
                            (options.Epochs, options.Dropout, options.LabelColumnName) = (1, 0.1, "Answers")
                        )
                        .Fit(Several(16));
                    return Trainings.Weights(model.Classifier);
                }),
        ];
        Assert.All(weights[0], pair => Assert.True(Trainings.SameBits(pair.Value, weights[1][pair.Key]), pair.Key));
    }

    public static TheoryData<TuningOptions?, Precision> Tunings =>
        new()
        {
            { null, Precision.Float32 },
            { null, Precision.BFloat16 },
            {
                new AdapterOptions
                {
                    BottleneckSize = 4,
                    Bias = false,
                    Activation = AdapterActivation.Swish,
                    InitialUpDeviation = 0.02,
                },
                Precision.Float32
            },
            { new LoraOptions(), Precision.BFloat16 },
            {
                new PrefixOptions { Length = 3, ProjectionSize = 8 },
                Precision.Float32
            },
            {
                new SoftPromptOptions { Size = 3 },
                Precision.BFloat16
            },
        };

    [Theory]
    [MemberData(nameof(Tunings))]
    public void AKilledTrainingGoesOn(TuningOptions? tuning, Precision precision)
    {
        string file = Path.Join(Directory.CreateTempSubdirectory("skillloc-").FullName, "state.safetensors");
        using TextScoringTransformer whole = Fit();
        Assert.Throws<OperationCanceledException>(() =>
            Fit(options =>
            {
                options.StateFile = file;
                options.Progress = new Trainings.Immediate(progress =>
                    _ = progress.Step == 7 ? throw new OperationCanceledException() : progress
                );
            })
        );
        int first = 0;
        using TextScoringTransformer resumed = Fit(options =>
        {
            options.StateFile = file;
            options.Progress = new Trainings.Immediate(progress => first = first == 0 ? progress.Step : first);
        });
        Assert.Equal(7, first);
        Assert.Equal(whole.Classifier.Fingerprint(), resumed.Classifier.Fingerprint());
        Directory.Delete(Path.GetDirectoryName(file)!);

        TextScoringTransformer Fit(Action<PromptFineTuneTrainer.Options>? change = null) =>
            Trainer(options =>
                {
                    (options.LabelColumnName, options.Optimizer, options.Tuning, options.Precision) = (
                        "Answers",
                        OptimizerKind.Adafactor,
                        tuning,
                        precision
                    );
                    (options.MaxSteps, options.BatchSize, options.GradientAccumulationSteps, options.Dropout) = (10, 2, 2, 0.1);
                    (options.StateInterval, options.EvaluationInterval, options.ValidationSet) = (3, 4, Several(6));
                    change?.Invoke(options);
                })
                .Fit(Several(11));
    }

    [Fact]
    public void CartographyIsOfTheAnswers()
    {
        string file = Path.Join(Directory.CreateTempSubdirectory("skillloc-").FullName, "cartography.json");
        Toy.Row[] rows = Toy.Examples(10);
        using TextScoringTransformer model = Trainer(options =>
            {
                (options.CartographyPath, options.Epochs) = (file, 3);
                options.Task = Task with
                {
                    Answers = new Dictionary<string, string> { ["neg"] = "a", ["pos"] = "b" },
                };
            })
            .Fit(Toy.View(_ml, rows));
        IReadOnlyList<CartographyRow> map = TrainingDynamics.Load(file).Map();
        Assert.Equal(10, map.Count);
        using var json = System.Text.Json.JsonDocument.Parse(File.ReadAllText(file));
        var t5 = (T5ForConditionalGeneration)model.Classifier.Backbone;
        int[][] letters = [model.Classifier.EncodeAnswer("a"), model.Classifier.EncodeAnswer("b")];
        using IDisposable noGradients = no_grad();
        foreach ((int i, Toy.Row row) in rows.Index())
        {
            System.Text.Json.JsonElement entry = json.RootElement.GetProperty($"{i}");
            // The letters are the third tokens, or the second where no piece for the border of words comes before them.
            int step = letters[0].Zip(letters[1]).TakeWhile(pair => pair.First == pair.Second).Count();
            using TokenBatch batch = model.Classifier.Batch([model.Classifier.Encode(row.Text)]);
            using Tensor begun = tensor(letters[0][..step].Prepend(0).Select(id => (long)id).ToArray()).unsqueeze(0);
            using Tensor logits = t5.Logits(batch, begun);
            double[] both = [.. letters.Select(letter => Math.Exp(logits[0, step, letter[step]].item<float>()))];
            string written = model.Classifier.Generate([model.Classifier.Encode(row.Text)])[0];
            int label = row.Label == "neg" ? 0 : 1;
            Assert.Equal(3, entry.GetProperty("acc").GetArrayLength());
            Assert.Equal(both[label] / both.Sum(), entry.GetProperty("confidence")[2].GetDouble(), 1e-4);
            Assert.Equal(written == (label == 0 ? "a" : "b") ? 1 : 0, entry.GetProperty("acc")[2].GetDouble());
        }

        Directory.Delete(Path.GetDirectoryName(file)!, recursive: true);
    }

    [Fact]
    public void ValidationHasTheModelWrite()
    {
        var metrics = new List<double?>();
        IDataView train = Toy.View(_ml, Toy.Examples(64)),
            validation = Toy.View(_ml, Toy.Examples(20, seed: 3));
        using TextScoringTransformer model = Trainer(options =>
            {
                options.ValidationSet = validation;
                options.EvaluationInterval = 32;
                options.Progress = new Trainings.Immediate(progress => metrics.Add(progress.Metric));
            })
            .Fit(train);
        string[] written = [.. model.Transform(validation).GetColumn<string>("PredictedText")];
        double right = written.Zip(Toy.Examples(20, seed: 3), (text, row) => text == row.Label ? 1.0 : 0).Average();
        Assert.Equal(metrics.Max()!.Value, right, 1e-9);
        Assert.Equal(right, model.Record!.Metrics["validation"], 1e-9);

        // The untrained model's scores are right for half of the rows, but it writes none of the answers.
        using TextScoringTransformer untrained = Trainer(options =>
                (options.LearningRate, options.MaxSteps, options.ValidationSet) = (1e-12, 1, validation)
            )
            .Fit(train);
        Assert.Equal(0, untrained.Record!.Metrics["validation"]);
    }

    [Fact]
    public void OptionsSayWhatTrains()
    {
        using var start = LanguageModel.Load(Checkpoint);
        string[] all = [.. start.Parameters.Keys],
            layers = [.. all.Where(name => name.Contains(".block.", StringComparison.Ordinal))];
        string[] norms = ["encoder.final_layer_norm.weight", "decoder.final_layer_norm.weight"];
        Assert.Equal(all, Changed(options => (options.FixEmbeddings, options.FixHead) = (false, false)));
        Assert.Equal(layers, Changed(_ => { }));
        Assert.Equal([.. all.Where(name => !norms.Contains(name))], Changed(options => options.FixEmbeddings = false));
        Assert.Equal(
            [.. layers.Where(name => name.Contains(".block.1.", StringComparison.Ordinal))],
            Changed(options => options.FixLayers = 1)
        );
        Assert.Equal(
            [.. layers.Where(name => name.Contains("relative_attention_bias", StringComparison.Ordinal))],
            Changed(options => options.BiasOnly = true)
        );
    }

    [Fact]
    public void NormsAndRelativePositionsDoNotDecay()
    {
        // Gradients are clipped to nothing, so that decay alone moves weights.
        string[] moved = Changed(options =>
            (options.FixEmbeddings, options.FixHead, options.MaxGradientNorm, options.WeightDecay) = (false, false, 1e-15, 0.5)
        );
        using var start = LanguageModel.Load(Checkpoint);
        Assert.Equal(
            [
                .. start.Parameters.Keys.Where(name =>
                    !name.Contains("layer_norm.weight", StringComparison.Ordinal) && !name.Contains("bias", StringComparison.Ordinal)
                ),
            ],
            moved
        );
    }

    [Fact]
    public void RowsWithoutAnAnswerAreLeftOut()
    {
        Row[] rows =
        [
            .. Several(3)
                .GetColumn<string[]>("Answers")
                .Select((answers, i) => new Row { Text = "a film", Answers = i == 1 ? [] : [.. answers, " "] }),
        ];
        using TextScoringTransformer model = Trainer(options => (options.LabelColumnName, options.Epochs) = ("Answers", 1))
            .Fit(_ml.Data.LoadFromEnumerable(rows));
        Assert.Equal(2, model.Record!.Rows);
        Says(
            Assert.Throws<InvalidOperationException>(() =>
                Trainer(options => options.LabelColumnName = "Answers")
                    .Fit(_ml.Data.LoadFromEnumerable(new Row[] { new() { Text = "a film" } }))
            ),
            "no rows",
            "'Answers'"
        );
    }

    [Fact]
    public void AShapeTellsTheColumns()
    {
        SchemaShape closed = Shape(Toy.View(_ml, Toy.Examples(2))),
            open = Shape(Several(2), "Answers");
        Assert.True(ScoringSchema.Find(closed, "PredictedLabel").IsKey);
        Assert.Equal(SchemaShape.Column.VectorKind.Vector, ScoringSchema.Find(closed, "Score").Kind);
        Assert.Equal(TextDataViewType.Instance, ScoringSchema.Find(closed, "PredictedText").ItemType);
        Assert.Equal(TextDataViewType.Instance, ScoringSchema.Find(open, "PredictedText").ItemType);
        Assert.DoesNotContain(open, column => column.Name is "Score" or "PredictedLabel");

        // EstimatorChain.Fit asks for the shape before the trainer runs.
        using TransformerChain<TextScoringTransformer> chain = _ml
            .Transforms.Conversion.MapValueToKey("Label")
            .Append(Trainer(options => options.Epochs = 0))
            .Fit(_ml.Data.LoadFromEnumerable(Toy.Examples(4)));
        Assert.Equal(["neg", "pos"], chain.LastTransformer.Labels);

        SchemaShape Shape(IDataView view, string label = "Label") =>
            Trainer(options => options.LabelColumnName = label).GetOutputSchema(ToShape(view));
    }

    [Fact]
    public void GraftsCarryTheSkill()
    {
        IDataView train = Toy.View(_ml, Toy.Examples(64)),
            unseen = Toy.View(_ml, Toy.Examples(40, seed: 9));
        using TextScoringTransformer model = Trainer().Fit(train);
        using GraftTransformer graft = _ml.SkillLoc().GraftMask(model, sparsity: 0.3, epochs: 2).Fit(train);
        Assert.InRange(_ml.MulticlassClassification.Evaluate(graft.Transform(unseen)).MicroAccuracy, 0.9, 1);
        using var set = GraftedModelSet.Create(Checkpoint, new Dictionary<string, Graft> { ["toy"] = graft.Graft });
        Assert.All(
            graft
                .Transform(unseen)
                .GetColumn<float[]>("Score")
                .Zip(
                    set.Use(
                        "toy",
                        classifier => classifier.Score([.. Toy.Examples(40, seed: 9).Select(row => classifier.Encode(row.Text))])
                    )
                ),
            pair => Assert.Equal(pair.First[0], pair.Second[0], 1e-4f)
        );
    }

    [Fact]
    public void AnAdapterIsLearntAndSaved()
    {
        using var start = LanguageModel.Load(Checkpoint);
        using TextScoringTransformer model = Trainer(options =>
            {
                (options.Tuning, options.Optimizer, options.LearningRate) = (
                    new AdapterOptions { BottleneckSize = 12 },
                    OptimizerKind.Adafactor,
                    0.02
                );
                options.MaxGradientNorm = 0;
            })
            .Fit(Toy.View(_ml, Toy.Examples(64)));
        Toy.Row[] unseen = Toy.Examples(20, seed: 9);
        Assert.InRange(_ml.MulticlassClassification.Evaluate(model.Transform(Toy.View(_ml, unseen))).MicroAccuracy, 0.9, 1);
        Assert.Equal(start.Fingerprint(), model.Classifier.Backbone.Fingerprint());

        string folder = Path.Join(Directory.CreateTempSubdirectory("skillloc-").FullName, "adapter");
        model.SaveCheckpoint(folder);
        using var loaded = TextClassifier.Load(folder);
        EncodedText[] rows = [.. unseen.Select(row => loaded.Encode(row.Text))];
        Assert.Equal(model.Classifier.Score(rows), loaded.Score(rows));
        Assert.Equal(model.Classifier.Generate(rows), loaded.Generate(rows));
        Directory.Delete(Path.GetDirectoryName(folder)!, recursive: true);
    }

    [Fact]
    public void NoTensorIsLeftBehind()
    {
        IDataView train = Several(8);
        Trainer(Change).Fit(train).Dispose();
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        Trainer(Change).Fit(train).Dispose();
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);

        void Change(PromptFineTuneTrainer.Options options) =>
            (options.LabelColumnName, options.Epochs, options.ValidationSet, options.Precision) = ("Answers", 1, train, Precision.BFloat16);
    }

    [Fact]
    public void WhatDoesNotFitIsRefused()
    {
        IDataView rows = Toy.View(_ml, Toy.Examples(4));
        Says(
            Assert.Throws<ArgumentException>(() =>
                Trainer(options => options.CartographyPath = "cartography.json").Fit(_ml.Data.LoadFromEnumerable(Toy.Examples(4)))
            ),
            "CartographyPath",
            "MapValueToKey"
        );
        Says(Refused(options => options.Head = HeadKind.LabelWords), "Generation", "LabelWords", "TextToTextTask 'toy'");
        Says(Refused(options => (options.Task, options.Head) = (Toy.Task, HeadKind.Generation)), "Options.Task", "PromptTask 'toy'");
        Says(Refused(options => (options.Task, options.Head) = (null, HeadKind.Generation)), "Options.Task null");
        Says(
            Assert.Throws<ArgumentException>(() => Trainer(options => options.Checkpoint = Toy.Checkpoint).Fit(rows)),
            "Generation",
            "roberta"
        );
        Says(
            Assert.Throws<ArgumentException>(() => Trainer(options => options.Task = Toy.Task).Fit(rows)),
            "LabelWords",
            "T5",
            "Generation"
        );
        Says(
            Assert.Throws<ArgumentException>(() =>
                Trainer(options => options.Task = Task with { Answers = new Dictionary<string, string> { ["neg"] = "a" } }).Fit(rows)
            ),
            "'pos'",
            "'neg'"
        );
        Says(
            Assert.Throws<ArgumentException>(() =>
                Trainer(options => options.Task = Task with { Answers = new Dictionary<string, string>() })
                    .Fit(_ml.Data.LoadFromEnumerable(Toy.Examples(4)))
            ),
            "Options.Task",
            "text"
        );
        IDataView numbers = _ml.Data.LoadFromEnumerable(new[] { new { Text = "a", Label = 1f } });
        Says(Assert.Throws<ArgumentException>(() => Trainer().Fit(numbers)), "'Label'", "Single", "key", "text");
        Says(
            Assert.Throws<ArgumentOutOfRangeException>(() => Trainer().GetOutputSchema(ToShape(numbers))),
            "'Label'",
            "Single",
            "key",
            "text"
        );
        Says(
            Assert.Throws<InvalidOperationException>(() =>
                Trainer(options => options.Task = Task with { Metric = TextMetric.PearsonCorrelation }).Fit(rows)
            ),
            "training data",
            "PearsonCorrelation"
        );
        Row[] scores = [new() { Text = "a film", Label = "3" }, new() { Text = "a man" }, new() { Text = "a plot", Label = "four" }];
        Says(
            Assert.Throws<InvalidOperationException>(() =>
                Trainer(options => options.Task = Task with { Metric = TextMetric.PearsonCorrelation })
                    .Fit(_ml.Data.LoadFromEnumerable(scores))
            ),
            "Row 2 of the training data",
            "'four'",
            "PearsonCorrelation"
        );
        Says(
            Assert.Throws<ArgumentException>(() =>
                _ml.SkillLoc()
                    .Grafts.MultiTaskFineTune(new PromptFineTuneTrainer.Options { Checkpoint = Checkpoint, Task = Task }, ToyTasks.Film)
            ),
            "Options.Task",
            "one task"
        );
        Says(
            Assert.Throws<ArgumentException>(() =>
                _ml.SkillLoc()
                    .Grafts.GraftContinually(
                        new ContinualGraft.Options
                        {
                            FineTune = new() { Checkpoint = Checkpoint, Task = Task },
                        }
                    )
            ),
            "leave out",
            "Task"
        );
        Says(
            Assert.ThrowsAny<ArgumentException>(() =>
                Trainer(options => options.ValidationSet = rows).Fit(_ml.Data.LoadFromEnumerable(Toy.Examples(4)))
            ),
            "validation data",
            "key",
            "text"
        );

        ArgumentException Refused(Action<PromptFineTuneTrainer.Options> change) => Assert.Throws<ArgumentException>(() => Trainer(change));
    }

    /// <summary>The parameters that two updates change.</summary>
    private string[] Changed(Action<PromptFineTuneTrainer.Options> change)
    {
        using var start = LanguageModel.Load(Checkpoint);
        using TextScoringTransformer model = Trainer(options =>
            {
                (options.MaxSteps, options.Optimizer, options.FixEmbeddings, options.FixHead) = (2, OptimizerKind.Sgd, true, true);
                change(options);
            })
            .Fit(Toy.View(_ml, Toy.Examples(8)));
        return
        [
            .. start.Parameters.Where(pair => !pair.Value.Equals(model.Classifier.Backbone.Parameters[pair.Key])).Select(pair => pair.Key),
        ];
    }

    private PromptFineTuneTrainer Trainer(Action<PromptFineTuneTrainer.Options>? change = null)
    {
        var options = new PromptFineTuneTrainer.Options
        {
            Checkpoint = Checkpoint,
            Task = Task,
            FixEmbeddings = false,
            FixHead = false,
            LearningRate = 5e-3,
            Epochs = 12,
            BatchSize = 8,
            Dropout = 0,
            Seed = 5,
        };
        change?.Invoke(options);
        return _ml.SkillLoc().PromptFineTune(options);
    }

    private static string[] Right(Toy.Row row) => row.Label == "pos" ? ["good", "very nice"] : ["bad", "not at all so good"];

    private IDataView Several(int count) =>
        _ml.Data.LoadFromEnumerable(
            Toy.Examples(count)
                .Select(row => new Row
                {
                    Text = row.Text,
                    Label = row.Label,
                    Answers = Right(row),
                })
        );

    private static SchemaShape ToShape(IDataView view) => new ShapeOf(view.Schema).Append(new Nothing()).GetOutputSchema();

    private static void Says(Exception error, params string[] parts) =>
        Assert.All(parts, part => Assert.Contains(part, error.Message, StringComparison.Ordinal));

    private sealed class Row
    {
        public string Text { get; set; } = "";

        public string Label { get; set; } = "";

        public string[] Answers { get; set; } = [];
    }

    private sealed class ShapeOf(DataViewSchema schema) : IDataLoader<object>
    {
        public DataViewSchema GetOutputSchema() => schema;

        public IDataView Load(object input) => throw new NotSupportedException();

        public void Save(ModelSaveContext ctx) => throw new NotSupportedException();
    }

    private sealed class Nothing : IEstimator<ITransformer>
    {
        public ITransformer Fit(IDataView input) => throw new NotSupportedException();

        public SchemaShape GetOutputSchema(SchemaShape inputSchema) => inputSchema;
    }
}
