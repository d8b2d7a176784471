using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Classification;
using SkillLoc.Transforms;

namespace SkillLoc.Trainers.Tests;

/// <summary>Rows and labels that count more than others.</summary>
public sealed class RowWeightTests
{
    /// <summary>30 rows of one label and 3 of another, which a few updates do not find without help.</summary>
    private static Weighted[] Uneven(float rareWeight = 1) =>
        [
            .. Toy.Examples(60)
                .Where((row, i) => row.Label == "neg" || i < 6)
                .Select(row => new Weighted
                {
                    Label = row.Label,
                    Text = row.Text,
                    Weight = row.Label == "pos" ? rareWeight : 1,
                }),
        ];

    [Fact]
    public void TheRareLabelIsFoundByAnyOfThem()
    {
        Assert.Equal((30, 3), (Uneven().Count(row => row.Label == "neg"), Uneven().Count(row => row.Label == "pos")));
        Assert.Equal(0, Recall(_ => { }));
        Assert.Equal(1, Recall(options => options.ClassWeights = ClassWeights.Balanced));
        Assert.Equal(1, Recall(options => options.ClassWeights = ClassWeights.ByLabel(new Dictionary<string, double> { ["pos"] = 10 })));
        Assert.Equal(1, Recall(options => options.Sampling = RowSampling.Balanced));
        Assert.Equal(1, Recall(options => options.ExampleWeightColumnName = "Weight", rareWeight: 10));
    }

    [Fact]
    public void EqualWeightsChangeNothingAndTheirScaleNeither()
    {
        float[][] plain = Scores(_ => { }),
            twos = Scores(options => options.ExampleWeightColumnName = "Weight", (_, _) => 2);
        float[][] some = Scores(options => options.ExampleWeightColumnName = "Weight", (_, i) => i % 3);
        float[][] tenfold = Scores(options => options.ExampleWeightColumnName = "Weight", (_, i) => i % 3 * 10);
        Assert.Equal(plain, twos);
        Assert.NotEqual(plain, some);
        Assert.Equal(some.SelectMany(row => row), tenfold.SelectMany(row => row), (left, right) => Math.Abs(left - right) < 1e-4);
    }

    [Fact]
    public void AWeightOfTwoIsARowTwice()
    {
        // One update over all rows: a row that counts twice is two rows.
        Toy.Row[] rows = Toy.Examples(8);
        float[][] twice = Train([.. rows, rows[0]], [1, 1, 1, 1, 1, 1, 1, 1, 1], "Weight");
        float[][] weighted = Train(rows, [2, 1, 1, 1, 1, 1, 1, 1], "Weight");
        Assert.Equal(twice.SelectMany(row => row), weighted.SelectMany(row => row), (left, right) => Math.Abs(left - right) < 1e-4);

        float[][] Train(Toy.Row[] given, float[] weights, string column)
        {
            var ml = new MLContext(seed: 1);
            using TextScoringTransformer model = ml.SkillLoc()
                .PromptFineTune(
                    Toy.Options(options =>
                    {
                        options.Epochs = 1;
                        options.BatchSize = 16;
                        options.Optimizer = OptimizerKind.Sgd;
                        options.LearningRate = 0.1;
                        options.ExampleWeightColumnName = column;
                    })
                )
                .Fit(
                    View(
                        ml,
                        given.Zip(
                            weights,
                            (row, weight) =>
                                new Weighted
                                {
                                    Label = row.Label,
                                    Text = row.Text,
                                    Weight = weight,
                                }
                        )
                    )
                );
            return [.. model.Classifier.Score([.. Toy.Examples(8).Select(row => model.Classifier.Encode(row.Text))])];
        }
    }

    [Fact]
    public void BadWeightsAreNamed()
    {
        Assert.Contains(
            "'Missing'",
            Assert.Throws<ArgumentOutOfRangeException>(() => Scores(options => options.ExampleWeightColumnName = "Missing")).Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "must be Single",
            Assert.Throws<ArgumentException>(() => Scores(options => options.ExampleWeightColumnName = "Text")).Message,
            StringComparison.Ordinal
        );
        foreach (float bad in new[] { -1, float.NaN, float.PositiveInfinity })
        {
            InvalidOperationException error = Assert.Throws<InvalidOperationException>(() =>
                Scores(options => options.ExampleWeightColumnName = "Weight", (_, i) => i == 2 ? bad : 1)
            );
            Assert.Contains("Row 2 of the training data", error.Message, StringComparison.Ordinal);
        }

        Assert.Contains(
            "weight 0",
            Assert
                .Throws<InvalidOperationException>(() => Scores(options => options.ExampleWeightColumnName = "Weight", (_, _) => 0))
                .Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "'other'",
            Assert
                .Throws<ArgumentException>(() =>
                    Scores(options => options.ClassWeights = ClassWeights.ByLabel(new Dictionary<string, double> { ["other"] = 2 }))
                )
                .Message,
            StringComparison.Ordinal
        );
        Assert.Throws<ArgumentException>(() => ClassWeights.ByLabel(new Dictionary<string, double> { ["pos"] = 0 }));
        Assert.Throws<ArgumentException>(() => ClassWeights.ByLabel(new Dictionary<string, double>()));
    }

    [Fact]
    public void BalancedEpochsHaveAsManyOfEachAndResumeToTheSameBits()
    {
        string folder = Directory.CreateTempSubdirectory().FullName;
        try
        {
            Action<PromptFineTuneTrainer.Options> balanced = options => options.Sampling = RowSampling.Balanced;
            float[][] whole = Scores(balanced);
            using (var stop = new CancellationTokenSource())
            {
                Scores(
                    balanced
                        + (
                            options =>
                            {
                                options.StateFile = Path.Join(folder, "state");
                                options.CancellationToken = stop.Token;
                                options.Progress = new Trainings.Immediate(progress =>
                                {
                                    if (progress.Step == 4)
                                    {
                                        stop.Cancel();
                                    }
                                });
                            }
                        )
                );
            }

            Assert.True(File.Exists(Path.Join(folder, "state")));
            Assert.Equal(whole, Scores(balanced + (options => options.StateFile = Path.Join(folder, "state"))));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void AResumeWithOtherWeightsIsRefused()
    {
        string state = Path.GetTempFileName();
        File.Delete(state);
        try
        {
            using var stop = new CancellationTokenSource();
            stop.Cancel();
            Scores(options =>
                (options.StateFile, options.CancellationToken, options.ClassWeights) = (state, stop.Token, ClassWeights.Balanced)
            );
            InvalidOperationException error = Assert.Throws<InvalidOperationException>(() => Scores(options => options.StateFile = state));
            Assert.Contains("class_weights", error.Message, StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(state);
        }
    }

    [Fact]
    public void AGraftIsFoundByTheSameWeights()
    {
        var ml = new MLContext(seed: 1);
        IDataView view = View(ml, Uneven());
        using TextScoringTransformer tuned = ml.SkillLoc()
            .PromptFineTune(Toy.Options(options => options.ClassWeights = ClassWeights.Balanced))
            .Fit(view);
        var parts = new List<float[]>();
        foreach (ClassWeights? weights in new[] { null, ClassWeights.Balanced })
        {
            using GraftTransformer graft = ml.SkillLoc()
                .GraftMask(
                    new GraftMaskEstimator.Options
                    {
                        FineTuned = tuned,
                        Sparsity = 0.02,
                        Epochs = 5,
                        LearningRate = 1e9,
                        Seed = 3,
                        ClassWeights = weights,
                    }
                )
                .Fit(view);
            parts.Add([.. graft.Graft.Parts.SelectMany(part => part.Values)]);
        }

        Assert.NotEqual(parts[0], parts[1]);
    }

    private static double Recall(Action<PromptFineTuneTrainer.Options> change, float rareWeight = 1)
    {
        var ml = new MLContext(seed: 1);
        using TextScoringTransformer model = ml.SkillLoc()
            .PromptFineTune(Toy.Options(change + (options => (options.Epochs, options.LearningRate) = (3, 4e-3))))
            .Fit(View(ml, Uneven(rareWeight)));
        Weighted[] rare = [.. Uneven().Where(row => row.Label == "pos")];
        float[][] scores = model.Classifier.Score([.. rare.Select(row => model.Classifier.Encode(row.Text))]);
        return scores.Average(row => model.Labels[TextClassifier.MostProbable(row)] == "pos" ? 1.0 : 0);
    }

    private static float[][] Scores(Action<PromptFineTuneTrainer.Options> change, Func<Toy.Row, int, float>? weight = null)
    {
        var ml = new MLContext(seed: 1);
        using TextScoringTransformer model = ml.SkillLoc()
            .PromptFineTune(
                Toy.Options(options =>
                {
                    options.Epochs = 2;
                    change(options);
                })
            )
            .Fit(
                View(
                    ml,
                    Toy.Examples(24)
                        .Select(
                            (row, i) =>
                                new Weighted
                                {
                                    Label = row.Label,
                                    Text = row.Text,
                                    Weight = weight?.Invoke(row, i) ?? 1,
                                }
                        )
                )
            );
        return model.Classifier.Score([.. Toy.Examples(8).Select(row => model.Classifier.Encode(row.Text))]);
    }

    private static IDataView View(MLContext ml, IEnumerable<Weighted> rows)
    {
        IDataView data = ml.Data.LoadFromEnumerable(rows);
        return ml.Transforms.Conversion.MapValueToKey("Label").Fit(data).Transform(data);
    }

    private sealed class Weighted
    {
        public string Label { get; set; } = "";

        public string Text { get; set; } = "";

        public float Weight { get; set; } = 1;
    }
}
