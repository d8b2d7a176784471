using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Evaluators;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Transforms;

namespace SkillLoc.Trainers.Tests;

/// <summary>Rows with any number of labels: which words a text has.</summary>
public sealed class MultiLabelTests : IDisposable
{
    private readonly MLContext _ml = new(seed: 1);
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void LearnsSavesLoadsAndGoesOn()
    {
        IDataView train = View(Examples(96)),
            test = View(Examples(40, seed: 7));
        using TextScoringTransformer model = Fit(train, View(Examples(40, seed: 3)));
        IDataView scored = model.Transform(test);
        MultiLabelMetrics metrics = _ml.SkillLoc().Evaluation.EvaluateMultiLabel(scored);
        Assert.InRange(metrics.MicroF1, 0.95, 1);
        Assert.InRange(metrics.SubsetAccuracy, 0.85, 1);
        Assert.Equal(["film", "man", "was"], metrics.Labels.Select(entry => entry.Label).Order());

        // A row without any label is a row like others, and probabilities do not sum to 1.
        Predicted[] rows = Read(scored);
        Assert.Contains(rows, row => row.PredictedLabel.Length == 0);
        Assert.Contains(rows, row => row.PredictedLabel.Length == 3 && row.Score.Sum() > 2);

        _ml.Model.Save(model, test.Schema, Path.Join(_folder, "model.zip"));
        ITransformer loaded = new MLContext().Model.Load(Path.Join(_folder, "model.zip"), out _);
        AssertSame(rows, Read(loaded.Transform(test)));
        using (
            PredictionEngine<Row, Predicted> engine = _ml.Model.CreatePredictionEngine<Row, Predicted>(
                loaded.Append(_ml.Transforms.Conversion.MapKeyToValue("PredictedLabel").Fit(loaded.Transform(test)))
            )
        )
        {
            Assert.Equal(["man"], engine.Predict(new Row { Text = "the man and it" }).PredictedLabel);
        }

        // Python is told; the folder goes on by the labels' names.
        Assert.Contains(
            "multi_label_classification",
            File.ReadAllText(Path.Join(model.CheckpointFolder!, "config.json")),
            StringComparison.Ordinal
        );
        using TextScoringTransformer next = Fit(
            View(Examples(96).OrderBy(row => row.Label.FirstOrDefault())),
            null,
            options => (options.Checkpoint, options.Epochs, options.OutputFolder) = (model.CheckpointFolder!, 0, null)
        );
        Assert.NotEqual(model.Labels, next.Labels);
        Assert.InRange(_ml.SkillLoc().Evaluation.EvaluateMultiLabel(next.Transform(test)).MeanAveragePrecision, 0.95, 1);
        File.Delete(Path.Join(model.CheckpointFolder!, ClassifierSettings.FileName));
        var plain = ClassifierSettings.Load(model.CheckpointFolder!);
        Assert.Equal([0.5f, 0.5f, 0.5f], plain.Thresholds);
    }

    [Fact]
    public void ThresholdsComeFromValidationRows()
    {
        IDataView train = View(Examples(48)),
            validation = View(Examples(48, seed: 3));
        using TextScoringTransformer one = Fit(train, null, options => (options.Epochs, options.OutputFolder) = (1, null));
        Assert.Equal([0.5f, 0.5f, 0.5f], one.Classifier.Settings.Thresholds);
        using TextScoringTransformer other = Fit(train, validation, options => (options.Epochs, options.OutputFolder) = (1, null));
        double before = _ml.SkillLoc().Evaluation.EvaluateMultiLabel(one.Transform(validation)).MacroF1;
        double after = _ml.SkillLoc().Evaluation.EvaluateMultiLabel(other.Transform(validation)).MacroF1;
        Assert.NotEqual(one.Classifier.Settings.Thresholds, other.Classifier.Settings.Thresholds);
        Assert.True(after > before || double.IsNaN(before), $"{before} {after}");
    }

    [Fact]
    public void IndicatorsAreTheSameRows()
    {
        using TextScoringTransformer keys = Fit(View(Examples(24)), null, options => (options.Epochs, options.OutputFolder) = (2, null));
        IDataView data = _ml.Data.LoadFromEnumerable(
            Examples(24)
                .Select(row => new Flags
                {
                    Text = row.Text,
                    Film = row.Label.Contains("film") ? 1 : 0,
                    Man = row.Label.Contains("man") ? 1 : 0,
                    Was = row.Label.Contains("was") ? 1 : 0,
                })
        );
        data = _ml.Transforms.Concatenate("Label", [.. keys.Labels]).Fit(data).Transform(data);
        using TextScoringTransformer flags = Fit(data, null, options => (options.Epochs, options.OutputFolder) = (2, null));
        Assert.Equal(keys.Labels, flags.Labels);
        EncodedTexts(keys, out float[][] left);
        EncodedTexts(flags, out float[][] right);
        Assert.Equal(left, right);
        Assert.Equal(
            Examples(24).Count(row => row.Label.Contains("film")),
            _ml.SkillLoc().Evaluation.EvaluateMultiLabel(flags.Transform(data)).Labels.Single(entry => entry.Label == "film").Count
        );

        static void EncodedTexts(TextScoringTransformer model, out float[][] scores) =>
            scores = model.Classifier.Score([.. Examples(10).Select(row => model.Classifier.Encode(row.Text))]);
    }

    [Fact]
    public void AGraftKeepsIt()
    {
        IDataView train = View(Examples(96)),
            validation = View(Examples(40, seed: 3));
        using TextScoringTransformer model = Fit(train, validation);
        using GraftTransformer graft = _ml.SkillLoc()
            .GraftMask(
                new GraftMaskEstimator.Options
                {
                    FineTuned = model,
                    ValidationSet = validation,
                    Sparsity = 0.2,
                    Epochs = 0,
                }
            )
            .Fit(train);
        Assert.InRange(_ml.SkillLoc().Evaluation.EvaluateMultiLabel(graft.Transform(validation)).MicroF1, 0.8, 1);
        Predicted[] rows = Read(graft.Transform(validation));
        _ml.Model.Save(graft, validation.Schema, Path.Join(_folder, "graft.zip"));
        AssertSame(rows, Read(_ml.Model.Load(Path.Join(_folder, "graft.zip"), out _).Transform(validation)));
        Assert.Equal(graft.Classifier.Settings.Thresholds, ClassifierSettings.FromJson(graft.Graft.Settings, "it").Thresholds);
    }

    [Fact]
    public void APathStartsAsItsEndMeasures()
    {
        IDataView data = View(Examples(24));
        using TextScoringTransformer first = Untrained(1),
            second = Untrained(2);
        InterpolationMetrics path = _ml.SkillLoc().Connectivity.EvaluateInterpolation(first, second, data, numberOfPoints: 3);
        MultiLabelMetrics end = _ml.SkillLoc().Evaluation.EvaluateMultiLabel(first.Transform(data));
        InterpolationPoint start = path.Sets[0].Points[0];
        Assert.Equal("Micro-F1", path.Metric);
        Assert.Equal(end.LogLoss, start.Loss, 5);
        Assert.Equal(end.SubsetAccuracy, start.Accuracy, 12);
        Assert.NotEqual(start.Loss, path.Sets[0].Points[2].Loss);

        TextScoringTransformer Untrained(int seed) =>
            Fit(data, null, options => (options.Epochs, options.OutputFolder, options.InitialisationSeed) = (0, null, seed));
    }

    [Fact]
    public void RareLabelsCanCountMore()
    {
        Row[] rows =
        [
            .. Examples(96)
                .Select(
                    (row, i) =>
                        i % 12 == 0
                            ? row
                            : new Row { Text = row.Text.Replace("film", "the"), Label = [.. row.Label.Where(label => label != "film")] }
                ),
        ];
        double[] recall = Array.ConvertAll(
            [null, ClassWeights.Balanced],
            weights =>
            {
                using TextScoringTransformer model = Fit(
                    View(rows),
                    null,
                    options => (options.Epochs, options.LearningRate, options.OutputFolder, options.ClassWeights) = (4, 1e-3, null, weights)
                );
                return _ml.SkillLoc()
                    .Evaluation.EvaluateMultiLabel(model.Transform(View(Examples(40, seed: 7))))
                    .Labels.Single(entry => entry.Label == "film")
                    .Recall;
            }
        );
        Assert.True(recall[1] > recall[0], $"{recall[0]} {recall[1]}");
    }

    [Fact]
    public void WhatDoesNotFitIsSaid()
    {
        IDataView one = Toy.View(_ml, Toy.Examples(4)),
            several = View(Examples(4));
        AssertThrows<ArgumentException>("vector of keys", () => Fit(one, null));
        AssertThrows<ArgumentException>("Options.MultiLabel", () => _ml.SkillLoc().PromptFineTune(Toy.Options()).Fit(several));
        AssertThrows<NotSupportedException>("classification head", () => Fit(several, null, options => options.Head = HeadKind.LabelWords));
        AssertThrows<ArgumentException>("Options.Sampling", () => Fit(several, null, options => options.Sampling = RowSampling.Balanced));
        using TextScoringTransformer model = Fit(several, null, options => (options.Epochs, options.OutputFolder) = (0, null));
        AssertThrows<ArgumentException>(
            "PredictedLabel",
            () => _ml.SkillLoc().Evaluation.EvaluateMultiLabel(several, scoreColumnName: "Score"),
            "Score"
        );
        AssertThrows<ArgumentException>("Label", () => _ml.SkillLoc().Evaluation.EvaluateMultiLabel(model.Transform(one)));

        void AssertThrows<T>(string text, Action act, string? or = null)
            where T : Exception
        {
            string message = Assert.ThrowsAny<T>(act).Message;
            Assert.True(
                message.Contains(text, StringComparison.Ordinal) || (or is not null && message.Contains(or, StringComparison.Ordinal)),
                message
            );
        }
    }

    private TextScoringTransformer Fit(IDataView train, IDataView? validation, Action<PromptFineTuneTrainer.Options>? change = null) =>
        _ml.SkillLoc()
            .PromptFineTune(
                Toy.Options(options =>
                {
                    options.Task = null;
                    options.MultiLabel = true;
                    options.Epochs = 30;
                    options.OutputFolder = Path.Join(_folder, "tuned");
                    options.ValidationSet = validation;
                    options.FixEmbeddings = false;
                    change?.Invoke(options);
                })
            )
            .Fit(train);

    private IDataView View(IEnumerable<Row> rows)
    {
        IDataView data = _ml.Data.LoadFromEnumerable(rows);
        return _ml.Transforms.Conversion.MapValueToKey("Label").Fit(data).Transform(data);
    }

    private Predicted[] Read(IDataView scored)
    {
        IDataView texts = _ml.Transforms.Conversion.MapKeyToValue("PredictedLabel").Fit(scored).Transform(scored);
        return [.. _ml.Data.CreateEnumerable<Predicted>(texts, reuseRowObject: false)];
    }

    private static void AssertSame(Predicted[] expected, Predicted[] actual)
    {
        Assert.Equal(
            expected.Select(row => string.Join(' ', row.PredictedLabel)),
            actual.Select(row => string.Join(' ', row.PredictedLabel))
        );
        Assert.Equal(
            expected.SelectMany(row => row.Score),
            actual.SelectMany(row => row.Score),
            (left, right) => Math.Abs(left - right) < 1e-5
        );
    }

    private static Row[] Examples(int count, int seed = 0)
    {
        var random = new Random(seed);
        string[] labels = ["man", "film", "was"];
        return
        [
            .. Enumerable
                .Range(0, count)
                .Select(i =>
                {
                    string[] has = [.. labels.Where(_ => random.Next(2) == 0)];
                    string[] words = [.. has, .. Enumerable.Range(0, random.Next(1, 4)).Select(_ => random.Next(2) == 0 ? "the" : "and")];
                    random.Shuffle(words);
                    return new Row { Label = has, Text = string.Join(' ', words) };
                }),
        ];
    }

    private sealed class Row
    {
        public string[] Label { get; set; } = [];

        public string Text { get; set; } = "";
    }

    private sealed class Flags
    {
        public string Text { get; set; } = "";

        [ColumnName("film")]
        public float Film { get; set; }

        [ColumnName("man")]
        public float Man { get; set; }

        [ColumnName("was")]
        public float Was { get; set; }
    }

    private sealed class Predicted
    {
        public string[] PredictedLabel { get; set; } = [];

        public float[] Score { get; set; } = [];
    }
}
