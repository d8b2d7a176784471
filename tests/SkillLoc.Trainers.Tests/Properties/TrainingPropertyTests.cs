using FsCheck;
using FsCheck.Fluent;
using Microsoft.ML;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Connectivity;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tasks;
using SkillLoc.Trainers.Tests.Curves;
using SkillLoc.Transforms;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Trainers.Tests.Properties;

/// <summary>What a training does with its rows, its coordinates and its learning rate, and that trainings do not disturb each
/// other.</summary>
public sealed class TrainingPropertyTests
{
    [Fact]
    public void EveryEpochUsesEveryRowOnce()
    {
        Toy.Row[] rows = Toy.Examples(11);
        double[] losses;
        using (TextScoringTransformer model = Trainings.Fit(rows, options => options.Epochs = 0))
        {
            losses = [.. rows.Select(row => Trainings.Gradients(model.Classifier, [row]).Loss)];
        }

        PropertyCheck.ForAll(
            from batch in Gen.Choose(1, 12)
            from epochs in Gen.Choose(1, 2)
            from seed in Gen.Choose(0, 10_000)
            select (batch, epochs, seed),
            given =>
            {
                var reported = new List<double>();
                Trainings
                    .Fit(
                        rows,
                        options =>
                        {
                            // Steps too small for any weight to change, so that a loss tells its rows.
                            (options.Optimizer, options.LearningRate, options.WeightDecay) = (OptimizerKind.Sgd, 1e-30, 0);
                            (options.BatchSize, options.Epochs, options.Seed) = (given.batch, given.epochs, given.seed);
                            options.Progress = new Trainings.Immediate(report => reported.Add(report.Loss));
                        }
                    )
                    .Dispose();
                int updates = (rows.Length + given.batch - 1) / given.batch;
                Assert.Equal(updates * given.epochs, reported.Count);
                foreach (double[] epoch in reported.Chunk(updates))
                {
                    Assert.Equal(
                        losses.Sum(),
                        epoch.Select((loss, i) => loss * Math.Min(given.batch, rows.Length - (i * given.batch))).Sum(),
                        1e-4
                    );
                    if (given.batch == 1)
                    {
                        Assert.All(losses.Order().Zip(epoch.Order()), pair => Assert.Equal(pair.First, pair.Second, 1e-5));
                    }
                }
            },
            12
        );
    }

    [Fact]
    public void WeightsOfAnUpdatesRowsAreAMean() =>
        PropertyCheck.ForAll(
            from sizes in Gen.Choose(1, 6).UpTo(4, 1)
            from weights in Gen.Choose(0, 9).Select(i => (float)i).ArrayOf(sizes.Sum())
            from order in Gen.Shuffle(Enumerable.Range(0, sizes.Sum()).ToArray())
            select (sizes, weights, order),
            given =>
            {
                int start = 0;
                int[][] microBatches = [.. given.sizes.Select(size => given.order[start..(start += size)])];
                RowTarget[] targets = [.. given.order.Select(_ => new RowTarget { Label = 0 })];
                var rows = new EncodedDataset(
                    new ClassificationTask(["a", "b"], PromptMetric.Accuracy),
                    [.. given.order.Select(_ => new EncodedText([1], null, 0))],
                    targets,
                    given.order
                );
                float[] even = BatchGradients.Weights(rows, microBatches, microBatches.Length, targets);
                Assert.Equal(1, even.Sum(), 1e-5f);
                Assert.Equal(
                    microBatches.SelectMany(part => part.Select(_ => 1f / (microBatches.Length * part.Length))),
                    even,
                    (a, b) => Math.Abs(a - b) < 1e-6
                );

                // A row's own weight multiplies its share.
                float[] weighted = BatchGradients.Weights(
                    rows with
                    {
                        Weights = given.weights,
                    },
                    microBatches,
                    microBatches.Length,
                    targets
                );
                Assert.Equal(even.Zip(given.order, (share, row) => share * given.weights[row]), weighted, (a, b) => Math.Abs(a - b) < 1e-6);
            }
        );

    [Theory]
    [InlineData(OptimizerKind.Sgd)]
    [InlineData(OptimizerKind.AdamW)]
    public void ARegionMovesAsInTheWholeAndTheRestNotAtAll(OptimizerKind kind) =>
        PropertyCheck.ForAll(
            from members in Gen.Choose(0, 2).ArrayOf(12).Where(members => members.Contains(0) && members.Contains(1))
            from values in Numbers
            from gradients in Numbers.UpTo(4, 1)
            from decay in Gen.Elements(0, 0.1)
            select (
                region: members.Index().Where(pair => pair.Item == 0).Select(pair => (long)pair.Index).ToArray(),
                values,
                gradients,
                decay
            ),
            given =>
            {
                long[] rest = [.. Enumerable.Range(0, 12).Select(i => (long)i).Except(given.region)];
                float[] whole = Train(null, null),
                    region = Train(given.region, null),
                    thawed = Train(null, rest);
                for (int i = 0; i < 12; i++)
                {
                    float expected = given.region.Contains(i) ? whole[i] : given.values[i];
                    Assert.Equal(expected, region[i], given.region.Contains(i) ? 1e-6f : 0f);
                    Assert.Equal(expected, thawed[i], given.region.Contains(i) ? 1e-6f : 0f);
                }

                float[] Train(long[]? within, long[]? frozen)
                {
                    using DisposeScope scope = NewDisposeScope();
                    var weight = new Parameter(tensor(given.values).view(3, 4), requires_grad: true);
                    using var trained = new TrainedParameter("w", weight, within, frozen);
                    trained.AddMoments(kind);
                    for (int step = 0; step < given.gradients.Length; step++)
                    {
                        weight.grad = tensor(given.gradients[step]).view(3, 4);
                        trained.TakeGradient();
                        ParameterUpdate.Apply(kind, [trained], 0.05, given.decay, step + 1);
                        trained.WriteBack();
                    }

                    return weight.detach().data<float>().ToArray();
                }
            }
        );

    [Fact]
    public void TheRateRisesToItsPeakAndFallsToNothing() =>
        PropertyCheck.ForAll(
            from steps in Gen.Choose(1, 60)
            from warmup in Gen.Choose(0, steps)
            from kind in Gen.Elements(Enum.GetValues<OptimizerKind>())
            select (steps, warmup, kind),
            given =>
            {
                var options = new PromptFineTuneTrainer.Options
                {
                    LearningRate = 0.25,
                    WarmupSteps = given.warmup,
                    Optimizer = given.kind,
                };
                double[] rates = [.. Enumerable.Range(0, given.steps + 1).Select(step => ParameterUpdate.Rate(options, step, given.steps))];
                Assert.All(rates, rate => Assert.InRange(rate, 0, 0.25));
                if (given.kind != OptimizerKind.AdamW)
                {
                    Assert.All(rates, rate => Assert.Equal(0.25, rate));
                    return;
                }

                Assert.Equal(rates[..(given.warmup + 1)].Order(), rates[..(given.warmup + 1)]);
                Assert.Equal(rates[given.warmup..].OrderDescending(), rates[given.warmup..]);
                Assert.Equal(0, rates[^1]);
                Assert.Equal(given.warmup == given.steps ? 0 : 0.25, rates[given.warmup]);

                // Straight lines: the area is that of a triangle.
                Assert.Equal(
                    given.warmup == given.steps ? 0.25 * (given.steps - 1) / 2 : 0.25 * given.steps / 2,
                    given.warmup == given.steps ? rates.Sum() : Area(rates),
                    1e-9
                );

                static double Area(double[] values) => values.Zip(values.Skip(1), (one, next) => (one + next) / 2).Sum();
            }
        );

    [Fact]
    public void TrainersOfSeveralKindsSideBySideGiveWhatTheyGiveInARow()
    {
        var ml = new MLContext(seed: 1);
        IDataView data = Toy.View(ml, Toy.Examples(16));
        using TextScoringTransformer first = Ends.Model("model", 1),
            second = Ends.Model("model", 2);
        using TextScoringTransformer tuned = Trainings.Fit(Toy.Examples(16), options => options.MaxSteps = 10);
        Func<string>[] trainings = [Tune, Graft, Curve, Mix, Tune, Graft];
        string[] alone = Array.ConvertAll(trainings, train => train());
        Assert.Equal(4, alone.Distinct().Count());
        string[] together = new string[trainings.Length];
        Thread[] threads = [.. trainings.Select((train, i) => new Thread(() => together[i] = train()))];
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());
        Assert.Equal(alone, together);

        string Tune()
        {
            using TextScoringTransformer model = Trainings.Fit(Toy.Examples(16), options => (options.MaxSteps, options.Dropout) = (8, 0.2));
            return model.Classifier.Fingerprint();
        }

        string Graft()
        {
            using GraftTransformer model = new MLContext(seed: 1)
                .SkillLoc()
                .GraftMask(
                    new GraftMaskEstimator.Options
                    {
                        FineTuned = tuned,
                        BasePatch = BasePatchKind.Random,
                        Sparsity = 0.02,
                        Epochs = 2,
                        Seed = 3,
                    }
                )
                .Fit(data);
            return model.Classifier.Fingerprint();
        }

        string Curve()
        {
            using ParameterPath path = new MLContext(seed: 1)
                .SkillLoc()
                .Connectivity.FindCurve(
                    new CurveTrainer.Options
                    {
                        First = first,
                        Second = second,
                        MaxSteps = 6,
                        Dropout = 0.1,
                        Seed = 4,
                    }
                )
                .Fit(data);
            using TextClassifier middle = path.CreateWalker();
            path.MoveTo(middle, 0.4);
            return middle.Fingerprint();
        }

        string Mix()
        {
            CheckpointMixture mixture = new MLContext(seed: 1)
                .SkillLoc()
                .Connectivity.FindMixture(
                    new MixtureTrainer.Options
                    {
                        First = first,
                        Second = second,
                        MaxSteps = 6,
                        Dropout = 0.1,
                        Seed = 4,
                    }
                )
                .Fit(data);
            return string.Join(' ', mixture.Groups.Select(group => BitConverter.SingleToInt32Bits(group.Weight)));
        }
    }

    private static Gen<float[]> Numbers => Gen.Choose(-400, 400).Select(i => i / 128f).ArrayOf(12);
}
