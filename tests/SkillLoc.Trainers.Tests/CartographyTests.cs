using Microsoft.ML;
using SkillLoc.Models.Cartography;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Prompts;
using SkillLoc.Transforms;

namespace SkillLoc.Trainers.Tests;

/// <summary>What a model makes of the training rows is recorded after each epoch (methods, C.6).</summary>
public sealed class CartographyTests : IDisposable
{
    /// <summary>Updates of an epoch: 21 labelled rows are 11 micro-batches, of which the last is left over.</summary>
    private const int Updates = 5;

    private readonly MLContext _ml = new(seed: 1);
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;

    private string Map => Path.Join(_folder, "maps", "cartography.json");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void TheTrainingRowsAreScoredAfterEachCompleteEpoch()
    {
        List<Toy.Row> rows = [.. Toy.Examples(21)];
        rows.Insert(0, new() { Text = "the man", Label = "" });
        rows.Insert(7, new() { Text = "the film", Label = "" });
        using TextScoringTransformer recorded = Fit(17, options => options.CartographyPath = Map);
        using TextScoringTransformer silent = Fit(17);
        Assert.Equal(silent.Classifier.Fingerprint(), recorded.Classifier.Fingerprint());

        var expected = new TrainingDynamics();
        int right = 0;
        for (int epoch = 1; epoch <= 3; epoch++)
        {
            using TextScoringTransformer model = Fit(epoch * Updates);
            foreach ((int number, Toy.Row row) in rows.Index().Where(pair => pair.Item.Label.Length > 0))
            {
                float[] probabilities = model.Classifier.Score([model.Classifier.Encode(row.Text)])[0];
                int label = model.Labels.ToList().IndexOf(row.Label);
                bool isRight = probabilities[label] > probabilities[1 - label];
                right += isRight ? 1 : 0;
                expected.Add(number, isRight, probabilities[label]);
            }
        }

        Assert.InRange(right, 1, (3 * 21) - 1);
        IReadOnlyList<CartographyRow> map = TrainingDynamics.Load(Map).Map();
        Assert.Equal(Enumerable.Range(0, 23).Except([0, 7]), map.Select(row => row.Row));
        Assert.All(
            map.Zip(expected.Map()),
            pair =>
            {
                Assert.Equal(
                    (pair.Second.Row, pair.Second.Correctness, pair.Second.Turns),
                    (pair.First.Row, pair.First.Correctness, pair.First.Turns)
                );
                Assert.Equal(pair.Second.Confidence, pair.First.Confidence, 1e-5);
                Assert.Equal(pair.Second.Variability, pair.First.Variability, 1e-5);
            }
        );

        TextScoringTransformer Fit(int steps, Action<PromptFineTuneTrainer.Options>? change = null) =>
            _ml.SkillLoc()
                .PromptFineTune(
                    Toy.Options(
                        (
                            options =>
                            {
                                // A constant rate, so that how long a training will be does not bear on how it starts.
                                options.Optimizer = OptimizerKind.Adafactor;
                                options.LearningRate = 5e-4;
                                options.Dropout = 0.1;
                                options.BatchSize = 2;
                                options.GradientAccumulationSteps = 2;
                                options.MaxSteps = steps;
                            }
                        ) + change
                    )
                )
                .Fit(Toy.View(_ml, rows));
    }

    [Fact]
    public void WhatCannotBeRecordedIsRefused()
    {
        Says<InvalidOperationException>(
            options =>
            {
                options.BatchSize = 2;
                options.MaxSteps = 3;
            },
            "3 of the 4 updates"
        );
        Says<InvalidOperationException>(options => options.Epochs = 0, "0 of the 1 updates");
        Says<ArgumentException>(
            options => options.Task = Toy.Task with { ScoreRange = new(0, 1), Metric = PromptMetric.Correlation },
            "CartographyPath",
            "regression"
        );
        Assert.Contains(
            "CartographyPath",
            Assert
                .Throws<ArgumentException>(() =>
                    _ml.SkillLoc()
                        .Grafts.MultiTaskFineTune(
                            Toy.Options(options =>
                            {
                                options.Task = null;
                                options.CartographyPath = Map;
                            }),
                            ToyTasks.All
                        )
                )
                .Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "CartographyPath",
            Assert
                .Throws<ArgumentException>(() =>
                    _ml.SkillLoc()
                        .Grafts.GraftContinually(
                            new ContinualGraft.Options
                            {
                                FineTune = Toy.Options(options =>
                                {
                                    options.Task = null;
                                    options.CartographyPath = Map;
                                }),
                            }
                        )
                )
                .Message,
            StringComparison.Ordinal
        );
        Assert.False(File.Exists(Map));

        void Says<T>(Action<PromptFineTuneTrainer.Options> change, params string[] parts)
            where T : Exception
        {
            T error = Assert.Throws<T>(() => Trainings.Fit(Toy.Examples(8), change + (options => options.CartographyPath = Map)));
            Assert.All(parts, part => Assert.Contains(part, error.Message, StringComparison.Ordinal));
        }
    }
}
