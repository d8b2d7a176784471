using Microsoft.ML;
using Microsoft.ML.Calibrators;
using Microsoft.ML.Data;
using Microsoft.ML.Trainers;
using Microsoft.ML.Transforms;
using SkillLoc.Models.Classification;
using SkillLoc.Transforms;

namespace SkillLoc.Evaluators.Tests;

public sealed class TemperatureTests : IDisposable
{
    private static readonly string[] Names = ["a", "b", "c"];

    private readonly MLContext _ml = new(seed: 1);
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void ThreeRightOfFourWithNineTenthsGiveTwo()
    {
        // sigmoid(ln 9 / T) = 3/4 where T = ln 9 / ln 3 = 2.
        IDataView data = Vectors(([0.9f, 0.1f], 1), ([0.9f, 0.1f], 1), ([0.1f, 0.9f], 2), ([0.9f, 0.1f], 2));
        TemperatureTransformer calibrated = _ml.SkillLoc().CalibrateTemperature().Fit(data);
        Assert.Equal(2, calibrated.Temperature, 1e-6);
        Assert.Equal((ScoreForm.Probabilities, "Score", 4L), (calibrated.Form, calibrated.ScoreColumnName, calibrated.Count));
        Assert.Equal(-((3 * Math.Log(0.9)) + Math.Log(0.1)) / 4, calibrated.LogLossBefore, 1e-6);
        Assert.Equal(-((3 * Math.Log(0.75)) + Math.Log(0.25)) / 4, calibrated.LogLoss, 1e-6);
        float[][] scores = [.. calibrated.Transform(data).GetColumn<float[]>("Score")];
        Assert.Equal([0.75f, 0.25f], scores[0].Select(score => MathF.Round(score, 6)));

        // The same as logits, and one number a row.
        Assert.Equal(
            2,
            Temperature(Vectors(([4, 4 - MathF.Log(9)], 1), ([0, -MathF.Log(9)], 1), ([1, 1 + MathF.Log(9)], 2), ([MathF.Log(9), 0], 2))),
            1e-6
        );
        Assert.Equal(
            2,
            Temperature(
                _ml.Data.LoadFromEnumerable(
                    new[]
                    {
                        new Single { Label = true, Probability = 0.9f },
                        new Single { Label = true, Probability = 0.9f },
                        new Single { Label = false, Probability = 0.1f },
                        new Single { Label = false, Probability = 0.9f },
                    }
                ),
                "Probability"
            ),
            1e-6
        );
    }

    [Fact]
    public void ItIsTheLeastLogLossThatASearchFinds()
    {
        var random = new Random(4);
        (float[] Logits, uint Label)[] rows =
        [
            .. Enumerable
                .Range(0, 200)
                .Select(_ =>
                {
                    float[] logits = [.. Enumerable.Range(0, 5).Select(_ => (float)(random.NextDouble() * 12) - 400)];
                    uint best = (uint)Array.IndexOf(logits, logits.Max()) + 1;
                    return (logits, random.NextDouble() < 0.6 ? best : (uint)random.Next(1, 6));
                }),
        ];
        TemperatureTransformer calibrated = _ml.SkillLoc().CalibrateTemperature().Fit(Vectors(rows));
        Assert.Equal(ScoreForm.Logits, calibrated.Form);
        Assert.Equal(LogLoss(calibrated.Temperature), calibrated.LogLoss, 1e-9);
        Assert.InRange(calibrated.Temperature, 1.2, 10);
        for (double step = 1e-4; step < 2; step *= 3)
        {
            Assert.True(LogLoss(calibrated.Temperature * (1 + step)) > calibrated.LogLoss);
            Assert.True(LogLoss(calibrated.Temperature / (1 + step)) > calibrated.LogLoss);
        }

        double LogLoss(double temperature) =>
            rows.Average(row => Math.Log(row.Logits.Sum(logit => Math.Exp((logit - row.Logits[row.Label - 1]) / temperature))));
    }

    [Theory]
    [InlineData("Lbfgs")]
    [InlineData("NaiveBayes")]
    [InlineData("Ova")]
    [InlineData("Sdca")]
    public void MulticlassTrainersScoresKeepTheirNamesAndAreSaved(string trainer)
    {
        ITransformer model = Multiclass(trainer).Fit(Train());
        IDataView scored = model.Transform(Validation());
        TemperatureTransformer calibrated = _ml.SkillLoc().CalibrateTemperature().Fit(scored);
        Assert.Equal(trainer == "NaiveBayes" ? ScoreForm.Logits : ScoreForm.Probabilities, calibrated.Form);
        Assert.True(calibrated.LogLoss <= calibrated.LogLossBefore);
        TransformerChain<TemperatureTransformer> whole = model.Append(calibrated);
        IDataView changed = whole.Transform(Validation());
        Same(scored.Schema, changed.Schema, "Score");
        Same(scored.Schema, whole.GetOutputSchema(Validation().Schema), "Score");
        Assert.Equal(scored.GetColumn<uint>("PredictedLabel"), changed.GetColumn<uint>("PredictedLabel"));
        float[][] scores = [.. changed.GetColumn<float[]>("Score")];
        Assert.Equal(
            changed.GetColumn<uint>("PredictedLabel").Select(key => (int)key - 1),
            scores.Select(row => Array.IndexOf(row, row.Max()))
        );
        Assert.All(scores, row => Assert.Equal(1, row.Sum(), 1e-5));
        Assert.Equal(calibrated.LogLoss, _ml.SkillLoc().EvaluateCalibration(changed).LogLoss, 1e-4);
        Assert.Equal(calibrated.LogLoss, _ml.MulticlassClassification.Evaluate(changed).LogLoss, 1e-4);

        // Another language's decimal comma is no difference.
        string path = Path.Join(_folder, "model.zip");
        Cultures.In("fr-FR", () => _ml.Model.Save(whole, Train().Schema, path));
        ITransformer loaded = Cultures.In("de-DE", () => new MLContext().Model.Load(path, out _));
        Assert.Equal(scores, Cultures.In("fa-IR", () => loaded.Transform(Validation()).GetColumn<float[]>("Score").ToArray()));
        VBuffer<ReadOnlyMemory<char>> slots = default;
        loaded.GetOutputSchema(Validation().Schema)["Score"].GetSlotNames(ref slots);
        Assert.Equal(Names, slots.DenseValues().Select(name => name.ToString()));
        foreach (ITransformer each in new[] { whole, loaded })
        {
            using PredictionEngine<Row, Prediction> engine = _ml.Model.CreatePredictionEngine<Row, Prediction>(each);
            Assert.Equal(scores[7], engine.Predict(Rows(2)[7]).Score);
        }
    }

    [Fact]
    public void LabelsGoWithScoresByName()
    {
        ITransformer model = Multiclass("Lbfgs").Fit(Train());
        IDataView reversed = _ml.Data.LoadFromEnumerable(Rows(2).Reverse());
        double expected = Temperature(model.Transform(Validation()));
        IDataView keyed = _ml.Transforms.Conversion.MapValueToKey("Name").Fit(reversed).Transform(reversed);
        Assert.NotEqual("a", keyed.GetColumn<uint>("Name").Zip(reversed.GetColumn<string>("Name")).First(row => row.First == 1).Second);
        Assert.Equal(expected, _ml.SkillLoc().CalibrateTemperature("Name").Fit(model.Transform(keyed)).Temperature, 1e-9);
    }

    [Fact]
    public void ABinaryTrainersProbabilityIsReplaced()
    {
        BinaryPredictionTransformer<CalibratedModelParametersBase<LinearBinaryModelParameters, PlattCalibrator>> model = _ml
            .BinaryClassification.Trainers.SdcaLogisticRegression("IsA", maximumNumberOfIterations: 20)
            .Fit(Train());
        IDataView scored = model.Transform(Validation());
        TemperatureTransformer calibrated = _ml.SkillLoc().CalibrateTemperature("IsA").Fit(scored);
        IDataView changed = model.Append(calibrated).Transform(Validation());
        Assert.Equal(("Probability", ScoreForm.Probabilities), (calibrated.ScoreColumnName, calibrated.Form));
        Same(scored.Schema, changed.Schema, "Probability", "Score");
        Assert.Equal(scored.GetColumn<float>("Score"), changed.GetColumn<float>("Score"));
        Assert.Equal(scored.GetColumn<bool>("PredictedLabel"), changed.GetColumn<float>("Probability").Select(chance => chance > 0.5f));
        Assert.Equal(calibrated.LogLoss / Math.Log(2), _ml.BinaryClassification.Evaluate(changed, "IsA").LogLoss, 1e-4);
        Assert.NotEqual(1, calibrated.Temperature, 1e-2);
        Assert.Equal(1, _ml.SkillLoc().CalibrateTemperature("IsA").Fit(changed).Temperature, 1e-3);
        SavedIsTheSame(model.Append(calibrated), "Probability");
    }

    [Fact]
    public void ABinaryTrainersMarginGetsAProbability()
    {
        BinaryPredictionTransformer<LinearBinaryModelParameters> model = _ml
            .BinaryClassification.Trainers.LinearSvm("IsA", numberOfIterations: 3)
            .Fit(Train());
        IDataView scored = model.Transform(Validation());
        TemperatureCalibrationEstimator estimator = _ml.SkillLoc().CalibrateTemperature("IsA");
        TemperatureTransformer calibrated = estimator.Fit(scored);
        IDataView changed = model.Append(calibrated).Transform(Validation());
        Assert.Equal(("Probability", ScoreForm.Logits), (calibrated.ScoreColumnName, calibrated.Form));
        Assert.All(
            scored.GetColumn<float>("Score").Zip(changed.GetColumn<float>("Probability")),
            row => Assert.Equal(1 / (1 + Math.Exp(-row.First / calibrated.Temperature)), row.Second, 1e-6)
        );
        Assert.Equal(calibrated.LogLoss, _ml.SkillLoc().EvaluateCalibration(changed, "IsA").LogLoss, 1e-5);
        SavedIsTheSame(model.Append(calibrated), "Probability");

        // A pipeline knows of the column before anything is fitted.
        EstimatorChain<ColumnCopyingTransformer> pipeline = _ml
            .BinaryClassification.Trainers.LinearSvm("IsA", numberOfIterations: 3)
            .Append(estimator)
            .Append(_ml.Transforms.CopyColumns("Chance", "Probability"));
        Assert.Equal(
            changed.GetColumn<float>("Probability").Count(),
            pipeline.Fit(Train()).Transform(Validation()).GetColumn<float>("Chance").Count()
        );
        Assert.Throws<ArgumentOutOfRangeException>(() =>
            estimator.Fit(_ml.Regression.Trainers.Sdca("Number", maximumNumberOfIterations: 2).Fit(Train()).Transform(Validation()))
        );
    }

    [Fact]
    public void ALanguageModelIsCalibratedAndSaved()
    {
        string checkpoint = Oracles.PathOf("tiny-roberta"),
            folder = Path.Join(_folder, "checkpoint");
        var settings = new ClassifierSettings
        {
            Task = "toy",
            Template = "*cls**sent_0*_It_was*mask*.*sep+*",
            Labels = ["good", "bad"],
            Words = ["good", "bad"],
            MaxLength = 32,
        };
        using TextScoringTransformer model = _ml.SkillLoc().Connectivity.LoadTextScorer(checkpoint, settings: settings);
        model.SaveCheckpoint(folder);
        IDataView texts = _ml.Data.LoadFromEnumerable(
            Enumerable
                .Range(0, 12)
                .Select(i => new TextRow
                {
                    Text = string.Join(' ', Enumerable.Range(0, (i % 5) + 1).Select(j => $"film {i * j}")),
                    Label = i % 3 == 0 ? "bad" : "good",
                })
        );
        IDataView rows = _ml.Transforms.Conversion.MapValueToKey("Label").Fit(texts).Transform(texts);
        IDataView scored = model.Transform(rows);
        TemperatureTransformer calibrated = _ml.SkillLoc().CalibrateTemperature().Fit(scored);
        TransformerChain<TemperatureTransformer> whole = model.Append(calibrated);
        IDataView changed = whole.Transform(rows);
        Same(scored.Schema, changed.Schema, "Score");
        Assert.Equal(calibrated.LogLoss, _ml.SkillLoc().EvaluateCalibration(changed).LogLoss, 1e-4);
        string path = Path.Join(_folder, "model.zip");
        _ml.Model.Save(whole, rows.Schema, path);
        ITransformer loaded = _ml.Model.Load(path, out _);
        float[][] scores = [.. changed.GetColumn<float[]>("Score")],
            again = [.. loaded.Transform(rows).GetColumn<float[]>("Score")];
        Assert.All(
            scores.Zip(again),
            row => Assert.All(row.First.Zip(row.Second), score => Assert.Equal(score.First, score.Second, 1e-5f))
        );
        Assert.Equal(calibrated.LogLoss, _ml.SkillLoc().EvaluateCalibration(loaded.Transform(rows)).LogLoss, 1e-4);
    }

    [Fact]
    public void RowsThatDetermineNoTemperatureGiveABound()
    {
        Assert.Equal(0.01, Temperature(Vectors(([0.9f, 0.1f], 1), ([0.2f, 0.8f], 2))));
        Assert.Equal(0.01, Temperature(Vectors(([0.9f, 0.1f], 1), ([0.8f, 0.2f], 1))));
        Assert.Equal(100, Temperature(Vectors(([0.9f, 0.1f], 2), ([0.2f, 0.8f], 1))));
        Assert.Equal(1, Temperature(Vectors(([0.5f, 0.5f], 2), ([0.5f, 0.5f], 1))));
        var log = new List<string>();
        _ml.Log += (_, message) => log.Add(message.Message);
        Temperature(Vectors(([0.9f, 0.1f], 1)));
        Assert.Contains(log, line => line.Contains("the bound of its range", StringComparison.Ordinal));

        // One sure and wrong row among many does not cost infinitely much, and scores stay probabilities.
        IDataView zeros = Vectors([([1, 0], 2), .. Enumerable.Repeat((new float[] { 0.9f, 0.1f }, 1u), 300)]);
        TemperatureTransformer calibrated = _ml.SkillLoc().CalibrateTemperature().Fit(zeros);
        Assert.InRange(calibrated.Temperature, 1, 99);
        Assert.All(calibrated.Transform(zeros).GetColumn<float[]>("Score"), row => Assert.Equal(1, row.Sum(), 1e-5));
        Assert.All(
            new TemperatureTransformer[] { _ml.SkillLoc().CalibrateTemperature().Fit(Vectors(([0.9f, 0.1f], 1))) }.SelectMany(bound =>
                bound.Transform(zeros).GetColumn<float[]>("Score")
            ),
            row => Assert.Equal([1f, 0f], row)
        );
    }

    [Fact]
    public void WhatCannotBeFittedIsSaid()
    {
        Assert.Contains("no rows with a label", Refused<InvalidOperationException>(Vectors()), StringComparison.Ordinal);
        Assert.Contains("no rows with a label", Refused<InvalidOperationException>(Vectors(([0.5f, 0.5f], 0))), StringComparison.Ordinal);
        Assert.Contains(
            "Row 1 of column 'Score'",
            Refused<InvalidOperationException>(Vectors(([0.5f, 0.5f], 1), ([float.NaN, 1], 1))),
            StringComparison.Ordinal
        );
        Assert.Contains("finite", Refused<InvalidOperationException>(Vectors(([0, float.NegativeInfinity], 1))), StringComparison.Ordinal);
        Assert.Contains(
            "above the number of scores",
            Refused<InvalidOperationException>(Vectors(([0.3f, 0.7f], 3))),
            StringComparison.Ordinal
        );
        Assert.Contains(
            "sum to 1",
            Refused<InvalidOperationException>(Vectors(([3, 1], 1)), form: ScoreForm.Probabilities),
            StringComparison.Ordinal
        );
        Assert.Contains("'Nothing'", Refused<ArgumentOutOfRangeException>(Vectors(), score: "Nothing"), StringComparison.Ordinal);
        Assert.Contains("a key", Refused<ArgumentOutOfRangeException>(Vectors(), label: "Score"), StringComparison.Ordinal);
        Assert.Throws<ArgumentOutOfRangeException>(() => _ml.SkillLoc().CalibrateTemperature(form: (ScoreForm)7));

        // Rows without a label change nothing, and scores that are none stay so.
        IDataView data = Vectors(([0.9f, 0.1f], 1), ([0.9f, 0.1f], 2), ([0.9f, 0.1f], 1));
        TemperatureTransformer calibrated = _ml.SkillLoc().CalibrateTemperature().Fit(data);
        Assert.Equal(
            calibrated.Temperature,
            Temperature(Vectors(([0.9f, 0.1f], 1), ([0.9f, 0.1f], 2), ([0.9f, 0.1f], 1), ([0.8f, 0.2f], 0)))
        );
        Assert.All(
            calibrated.Transform(Vectors(([float.NaN, 0.5f], 1))).GetColumn<float[]>("Score").Single(),
            score => Assert.True(float.IsNaN(score))
        );

        string Refused<T>(IDataView data, string label = "Label", string score = "Score", ScoreForm form = ScoreForm.Detected)
            where T : Exception => Assert.Throws<T>(() => _ml.SkillLoc().CalibrateTemperature(label, score, form).Fit(data)).Message;
    }

    private static void Same(DataViewSchema expected, DataViewSchema actual, params string[] columns)
    {
        Assert.Equal(Visible(expected), Visible(actual));
        Assert.All(
            columns,
            column =>
            {
                DataViewSchema.Annotations one = expected[column].Annotations,
                    other = actual[column].Annotations;
                Assert.Equal(one.Schema.Select(kind => kind.Name).Order(), other.Schema.Select(kind => kind.Name).Order());
                Assert.True(one.Schema.Count >= 3);
            }
        );

        static IEnumerable<string> Visible(DataViewSchema schema) =>
            schema.Where(column => !column.IsHidden).Select(column => $"{column.Name} {column.Type}").Order();
    }

    private double Temperature(IDataView data, string score = "Score") =>
        _ml.SkillLoc().CalibrateTemperature(scoreColumnName: score).Fit(data).Temperature;

    private void SavedIsTheSame(TransformerChain<TemperatureTransformer> model, string column)
    {
        string path = Path.Join(_folder, "saved.zip");
        _ml.Model.Save(model, Train().Schema, path);
        Assert.Equal(
            model.Transform(Validation()).GetColumn<float>(column),
            _ml.Model.Load(path, out _).Transform(Validation()).GetColumn<float>(column)
        );
    }

    private IEstimator<ITransformer> Multiclass(string trainer) =>
        trainer switch
        {
            "Lbfgs" => _ml.MulticlassClassification.Trainers.LbfgsMaximumEntropy(),
            "NaiveBayes" => _ml.MulticlassClassification.Trainers.NaiveBayes(),
            "Ova" => _ml.MulticlassClassification.Trainers.OneVersusAll(_ml.BinaryClassification.Trainers.LbfgsLogisticRegression()),
            _ => _ml.MulticlassClassification.Trainers.SdcaMaximumEntropy(maximumNumberOfIterations: 5),
        };

    private IDataView Train() => Keyed(Rows(1));

    private IDataView Validation() => Keyed(Rows(2));

    private IDataView Keyed(Row[] rows)
    {
        IDataView data = _ml.Data.LoadFromEnumerable(rows);
        IDataView names = _ml.Data.LoadFromEnumerable(Names.Select(name => new Row { Name = name }));
        return _ml
            .Transforms.Conversion.MapValueToKey("Label", "Name", keyData: _ml.Transforms.SelectColumns("Name").Fit(names).Transform(names))
            .Fit(data)
            .Transform(data);
    }

    /// <summary>Rows whose label follows the features, but not all of it.</summary>
    private static Row[] Rows(int seed)
    {
        var random = new Random(seed);
        return
        [
            .. Enumerable
                .Range(0, 90)
                .Select(i =>
                {
                    int label = random.NextDouble() < 0.3 ? random.Next(3) : i % 3;
                    return new Row
                    {
                        Features = [(i % 3 == 0 ? 1 : 0) + (random.NextSingle() / 2), (i % 3 == 1 ? 1 : 0) + (random.NextSingle() / 2)],
                        Name = Names[label],
                        IsA = label == 0,
                        Number = label,
                    };
                }),
        ];
    }

    private IDataView Vectors(params (float[] Score, uint Label)[] rows)
    {
        var schema = SchemaDefinition.Create(typeof(Vector));
        schema["Score"].ColumnType = new VectorDataViewType(NumberDataViewType.Single, rows.Length == 0 ? 2 : rows[0].Score.Length);
        schema["Label"].ColumnType = new KeyDataViewType(typeof(uint), 5);
        return _ml.Data.LoadFromEnumerable(rows.Select(row => new Vector { Score = row.Score, Label = unchecked(row.Label - 1) }), schema);
    }

    private sealed class Vector
    {
        [KeyType(5)]
        public uint Label { get; set; }

        public float[] Score { get; set; } = [];
    }

    private sealed class Single
    {
        public bool Label { get; set; }

        public float Probability { get; set; }
    }

    private sealed class Row
    {
        [VectorType(2)]
        public float[] Features { get; set; } = [];

        public string Name { get; set; } = "";

        public bool IsA { get; set; }

        public float Number { get; set; }
    }

    private sealed class TextRow
    {
        public string Text { get; set; } = "";

        public string Label { get; set; } = "";
    }

    private sealed class Prediction
    {
        public float[] Score { get; set; } = [];
    }
}
