using Microsoft.ML;
using Microsoft.ML.Calibrators;
using Microsoft.ML.Data;
using Microsoft.ML.Trainers;

namespace SkillLoc.Evaluators.Tests;

/// <summary>ML.NET's binary trainers, whose scores are a margin and the probability of true, are measured too.</summary>
public sealed class BinaryTrainerTests
{
    private static readonly MLContext Ml = new(seed: 1);

    [Theory]
    [InlineData("Label", "Score")]
    [InlineData("Label", "Probability")]
    [InlineData("Number", "Score")]
    [InlineData("Key", "Score")]
    [InlineData("KeyOfTrue", "Score")]
    [InlineData("KeyOfTexts", "Score")]
    public void ARealTrainersCalibrationIsWhatIsComputedByHand(string label, string score)
    {
        IDataView scored = Ml.Data.Cache(Logistic().Transform(Data()));
        CalibrationMetrics metrics = Ml.SkillLoc().EvaluateCalibration(scored, label, score, numberOfBins: 5);

        bool[] labels = [.. scored.GetColumn<bool>("Label")];
        double[] chances = [.. scored.GetColumn<float>("Probability").Select(chance => (double)chance)];
        double[] confidences = [.. chances.Select(chance => Math.Max(chance, 1 - chance))];
        bool[] right = [.. chances.Select((chance, i) => chance > 0.5 == labels[i])];
        Assert.InRange(right.Count(each => each), 30, 55);
        double error = Enumerable
            .Range(0, 5)
            .Sum(bin =>
            {
                int[] rows = [.. Enumerable.Range(0, 60).Where(i => confidences[i] > bin / 5.0 && confidences[i] <= (bin + 1) / 5.0)];
                return rows.Length == 0
                    ? 0
                    : Math.Abs(rows.Average(i => right[i] ? 1.0 : 0.0) - rows.Average(i => confidences[i])) * rows.Length / 60;
            });
        Assert.Equal(60, metrics.Count);
        Assert.Equal(right.Average(each => each ? 1.0 : 0.0), metrics.Accuracy, 1e-12);
        Assert.Equal(error, metrics.ExpectedCalibrationError, 1e-6);
        Assert.Equal(2 * chances.Select((chance, i) => Math.Pow(chance - (labels[i] ? 1 : 0), 2)).Average(), metrics.BrierScore, 1e-6);
        Assert.Equal(-chances.Select((chance, i) => Math.Log(labels[i] ? chance : 1 - chance)).Average(), metrics.LogLoss, 1e-6);

        // ML.NET's own evaluator agrees; its log-loss is in bits.
        CalibratedBinaryClassificationMetrics theirs = Ml.BinaryClassification.Evaluate(scored);
        Assert.Equal(theirs.Accuracy, metrics.Accuracy, 1e-12);
        Assert.Equal(theirs.LogLoss * Math.Log(2), metrics.LogLoss, 1e-5);
    }

    [Fact]
    public void APlainScoreIsNoProbability()
    {
        // The margin of another trainer is in front of the first one's probability.
        IDataView logistic = Logistic().Transform(Data());
        IDataView both = Ml.BinaryClassification.Trainers.LinearSvm(numberOfIterations: 3).Fit(Data()).Transform(logistic);
        Assert.NotNull(both.Schema.GetColumnOrNull("Probability"));
        string message = Assert.Throws<ArgumentOutOfRangeException>(() => Ml.SkillLoc().EvaluateCalibration(both)).Message;
        Assert.Contains("Calibrators", message, StringComparison.Ordinal);
        Assert.Equal(60, Ml.SkillLoc().EvaluateCalibration(both, scoreColumnName: "Probability").Count);

        // Calibrated, it has one.
        IDataView margins = Ml.BinaryClassification.Trainers.LinearSvm(numberOfIterations: 3).Fit(Data()).Transform(Data());
        IDataView calibrated = Ml.BinaryClassification.Calibrators.Platt().Fit(margins).Transform(margins);
        float[] chances = [.. calibrated.GetColumn<float>("Probability")];
        Assert.Equal(
            chances.Average(chance => Math.Max(chance, 1 - chance)),
            Confidence(Ml.SkillLoc().EvaluateCalibration(calibrated)),
            1e-5
        );
        IDataView regression = Ml.Regression.Trainers.Sdca("Number", maximumNumberOfIterations: 2).Fit(Data()).Transform(Data());
        Assert.Throws<ArgumentOutOfRangeException>(() => Ml.SkillLoc().EvaluateCalibration(regression));

        static double Confidence(CalibrationMetrics metrics) =>
            metrics.Bins.Where(bin => bin.Count > 0).Sum(bin => bin.Count * bin.MeanConfidence) / metrics.Count;
    }

    [Fact]
    public void ColumnsThatNoTrainerMarkedAreTakenByTheirNames()
    {
        IDataView file = Ml.Data.LoadFromEnumerable(
            new[]
            {
                new Plain
                {
                    Label = true,
                    Score = 3,
                    Probability = 0.9f,
                    Chance = 0.2f,
                },
                new Plain
                {
                    Label = false,
                    Score = -1,
                    Probability = 0.4f,
                    Chance = 2,
                },
            }
        );
        Assert.Equal(-(Math.Log(0.9) + Math.Log(0.6)) / 2, Ml.SkillLoc().EvaluateCalibration(file).LogLoss, 1e-6);
        string message = Assert
            .Throws<InvalidOperationException>(() => Ml.SkillLoc().EvaluateCalibration(file, scoreColumnName: "Chance"))
            .Message;
        Assert.Contains("Row 1 of column 'Chance' is 2", message, StringComparison.Ordinal);
        Assert.Contains(
            "a boolean",
            Assert.Throws<ArgumentOutOfRangeException>(() => Ml.SkillLoc().EvaluateCalibration(file, "Text")).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void MissingLabelsAreLeftOut()
    {
        IDataView data = Ml.Data.LoadFromEnumerable(
            new[]
            {
                new Missing { Number = float.NaN, Key = uint.MaxValue },
                new Missing { Number = 0, Key = 0 },
                new Missing { Number = 2, Key = 1 },
            }
        );
        Assert.Equal((2, 0.5), Measured("Number"));
        Assert.Equal((2, 0.5), Measured("Key"));

        (long, double) Measured(string label)
        {
            CalibrationMetrics metrics = Ml.SkillLoc().EvaluateCalibration(data, label, "Probability");
            return (metrics.Count, metrics.Accuracy);
        }
    }

    [Fact]
    public void AgreementReadsBooleans()
    {
        IDataView one = Logistic().Transform(Data());
        IDataView other = Ml.BinaryClassification.Trainers.LinearSvm(numberOfIterations: 3).Fit(Data()).Transform(Data());
        bool[] ones = [.. one.GetColumn<bool>("PredictedLabel")],
            others = [.. other.GetColumn<bool>("PredictedLabel")];
        AgreementMetrics metrics = Ml.SkillLoc().Evaluation.EvaluateAgreement(one, other);
        Assert.Equal(["False", "True"], metrics.Labels);
        Assert.Equal(ones.Zip(others, (first, second) => first == second ? 1.0 : 0.0).Average(), metrics.Agreement, 1e-12);

        // A multiclass model of the same labels is compared by their names.
        IDataView classes = Ml.MulticlassClassification.Trainers.SdcaMaximumEntropy("KeyOfTrue").Fit(Data()).Transform(Data());
        Assert.Equal(["False", "True"], Ml.SkillLoc().Evaluation.EvaluateAgreement(one, classes).Labels);
    }

    [Fact]
    public void OtherDistributionsAreMeasured()
    {
        var models = new Dictionary<string, ITransformer> { ["logistic"] = Logistic() };
        var sets = new Dictionary<string, IDataView> { ["usual"] = Data(), ["other"] = Data(seed: 9, shift: 0.5f) };
        OutOfDistributionMetrics metrics = Ml.SkillLoc().Evaluation.EvaluateOutOfDistribution(models, sets, "usual");
        foreach (OutOfDistributionEntry entry in metrics.Entries)
        {
            CalibrationMetrics alone = Ml.SkillLoc().EvaluateCalibration(models["logistic"].Transform(sets[entry.Set]));
            Assert.Equal(
                (60, alone.Accuracy, alone.ExpectedCalibrationError),
                (entry.Count, entry.Accuracy, entry.ExpectedCalibrationError)
            );
        }

        Assert.Equal(metrics.Entries[0].Accuracy - metrics.Entries[1].Accuracy, metrics.Entries[1].AccuracyDrop, 1e-12);
        var maps = new Dictionary<string, IReadOnlyDictionary<string, string>>
        {
            ["usual"] = new Dictionary<string, string> { ["no"] = "False", ["yes"] = "True" },
        };
        OutOfDistributionEntry mapped = Ml.SkillLoc()
            .Evaluation.EvaluateOutOfDistribution(
                models,
                new Dictionary<string, IDataView> { ["usual"] = Data() },
                "usual",
                labelColumnName: "Text",
                labelMaps: maps
            )
            .Entries[0];
        Assert.Equal(metrics.Entries[0].Accuracy, mapped.Accuracy);
    }

    private static BinaryPredictionTransformer<CalibratedModelParametersBase<LinearBinaryModelParameters, PlattCalibrator>> Logistic() =>
        Ml.BinaryClassification.Trainers.SdcaLogisticRegression(maximumNumberOfIterations: 20).Fit(Data());

    /// <summary>Rows whose label follows the features, but not all of it; each label is there in several types.</summary>
    private static IDataView Data(int seed = 3, float shift = 0)
    {
        var random = new Random(seed);
        Row[] rows =
        [
            .. Enumerable
                .Range(0, 60)
                .Select(_ =>
                {
                    float[] features = [random.NextSingle() + shift, random.NextSingle()];
                    bool label = features[0] + (0.8f * random.NextSingle()) > 0.9f + shift;
                    return new Row
                    {
                        Features = features,
                        Label = label,
                        Number = label ? 1 : 0,
                        Key = label ? 1u : 0u,
                        Text = label ? "yes" : "no",
                        Words = $"{label}",
                    };
                }),
        ];

        // Keys in the order of first occurrence, true first.
        rows = [.. rows.OrderBy(row => !row.Label)];
        IDataView data = Ml.Data.LoadFromEnumerable(rows);
        return Ml
            .Transforms.Conversion.MapValueToKey("KeyOfTrue", "Label")
            .Append(Ml.Transforms.Conversion.MapValueToKey("KeyOfTexts", "Words"))
            .Fit(data)
            .Transform(data);
    }

    private sealed class Row
    {
        public bool Label { get; set; }

        public float Number { get; set; }

        [KeyType(2)]
        public uint Key { get; set; }

        public string Text { get; set; } = "";

        public string Words { get; set; } = "";

        [VectorType(2)]
        public float[] Features { get; set; } = [];
    }

    private sealed class Plain
    {
        public bool Label { get; set; }

        public string Text { get; set; } = "";

        public float Score { get; set; }

        public float Probability { get; set; }

        public float Chance { get; set; }
    }

    private sealed class Missing
    {
        public float Number { get; set; }

        [KeyType(2)]
        public uint Key { get; set; }

        public float Probability { get; set; } = 0.75f;
    }
}
