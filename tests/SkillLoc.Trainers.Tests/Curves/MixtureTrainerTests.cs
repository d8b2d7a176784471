using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Connectivity;
using SkillLoc.Transforms;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Trainers.Tests.Curves;

public sealed class MixtureTrainerTests : IDisposable
{
    private readonly MLContext _ml = new(seed: 1);
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;

    public static TheoryData<OptimizerKind> Optimizers => [OptimizerKind.Adafactor, OptimizerKind.AdamW];

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [MemberData(nameof(Optimizers))]
    public void SpoiledBlocksAreTakenFromTheOtherEnd(OptimizerKind optimizer)
    {
        // One good model twice, but that layer 0 of the first and layer 2 of the second are spoiled.
        Toy.Row[] rows = Toy.Examples(32);
        using TextScoringTransformer good = Trainings.Fit(rows, _ => { });
        using TextScoringTransformer first = Spoil(good, "roberta.encoder.layer.0."),
            second = Spoil(good, "roberta.encoder.layer.2.");
        IDataView data = Toy.View(_ml, rows);
        double spoiled = Math.Min(Ends.Loss(first.Classifier, rows), Ends.Loss(second.Classifier, rows));
        Assert.True(spoiled > Ends.Loss(good.Classifier, rows) + 0.2, $"{spoiled}");
        string[] ends = [first.Classifier.Fingerprint(), second.Classifier.Fingerprint()];
        long live = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        CheckpointMixture mixture = Trainer(
                first,
                second,
                options =>
                {
                    options.Optimizer = optimizer;
                    options.InitialDeviation = 0.5;
                    options.MaxSteps = 80;
                }
            )
            .Train(data);
        Assert.Equal(["roberta.encoder.layer.0", "roberta.encoder.layer.2"], mixture.Groups.Select(group => group.Name));
        Assert.InRange(mixture.Groups[0].FirstShare, 0, 0.25);
        Assert.InRange(mixture.Groups[1].FirstShare, 0.75, 1);
        using (TextScoringTransformer model = mixture.ToTransformer(good.Columns))
        {
            double loss = Ends.Loss(model.Classifier, rows);
            Assert.True(loss < spoiled / 4, $"{loss}, {spoiled}");
            Assert.Equal(rows.Length, model.Transform(data).GetColumn<float[]>("Score").Count());
        }

        Assert.Equal(live, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
        Assert.Equal(ends, new[] { first.Classifier.Fingerprint(), second.Classifier.Fingerprint() });
    }

    [Fact]
    public void TheBestStateIsKept()
    {
        using TextScoringTransformer first = Ends.Model("model", 1),
            second = Ends.Model("model", 2);
        Toy.Row[] rows = Toy.Examples(40);
        IDataView data = Toy.View(_ml, rows);
        double best = 0;
        CheckpointMixture mixture = Trainer(
                first,
                second,
                options =>
                {
                    options.Granularity = MixtureGranularity.Weight;
                    options.LearningRate = 2;
                    options.InitialDeviation = 1;
                    options.MaxSteps = 12;
                    options.ValidationSet = data;
                    options.EvaluationInterval = 1;
                    options.Progress = new Ends.Sink<TrainingProgress>(progress => best = Math.Max(best, progress.Metric!.Value));
                }
            )
            .Train(data);
        using TextClassifier model = mixture.CreateModel();
        Assert.Equal(best, Ends.Accuracy(model, rows), 1e-12);
    }

    [Fact]
    public void TheStartIsDrawnWithTheDeviation()
    {
        using TextScoringTransformer first = Ends.Model("model", 1),
            second = Ends.Model("model", 2);
        float[] Weights(double deviation, int seed) =>
            [
                .. Trainer(
                        first,
                        second,
                        options =>
                        {
                            options.Granularity = MixtureGranularity.Weight;
                            options.InitialDeviation = deviation;
                            options.LearningRate = 1e-30;
                            options.MaxSteps = 1;
                            options.Seed = seed;
                        }
                    )
                    .Train(Toy.View(_ml, Toy.Examples(4)))
                    .Groups.Select(group => group.Weight),
            ];

        // 58 weights of each of two seeds; the one update is too small to matter.
        float[] drawn = [.. Weights(10, 1), .. Weights(10, 2)];
        Assert.Equal(116, drawn.Distinct().Count());
        Assert.InRange(drawn.Average(), -3, 3);
        Assert.InRange(Math.Sqrt(drawn.Average(weight => weight * weight)), 8, 12);
        Assert.All(Weights(0, 1), weight => Assert.Equal(0, weight, 1e-20f));
    }

    [Theory]
    [InlineData(OptimizerKind.Adafactor, 3)]
    [InlineData(OptimizerKind.AdamW, 6)]
    public void AKilledTrainingGoesOn(OptimizerKind optimizer, int kill)
    {
        using TextScoringTransformer first = Ends.Model("adapter", 1),
            second = Ends.Model("adapter", 2);
        IDataView data = Toy.View(_ml, Toy.Examples(21));
        string file = Path.Join(_folder, "mixture.safetensors");
        float[] whole = Fit(options => { }),
            same = Fit(options => { }),
            other = Fit(options => options.Seed = 4);
        Assert.Equal(whole, same);
        Assert.NotEqual(whole, other);
        Assert.Throws<Ends.KilledException>(() =>
            Fit(options =>
            {
                options.StateFile = file;
                options.Progress = new Ends.Sink<TrainingProgress>(progress =>
                {
                    if (progress.Step == kill)
                    {
                        throw new Ends.KilledException();
                    }
                });
            })
        );
        Assert.Contains(
            "granularity is Block there and Layer here",
            Assert
                .Throws<InvalidOperationException>(() =>
                    Fit(options =>
                    {
                        options.StateFile = file;
                        options.Granularity = MixtureGranularity.Layer;
                    })
                )
                .Message,
            StringComparison.Ordinal
        );
        var steps = new List<int>();
        Assert.Equal(
            whole,
            Fit(options =>
            {
                options.StateFile = file;
                options.Progress = new Ends.Sink<TrainingProgress>(progress => steps.Add(progress.Step));
            })
        );
        Assert.Equal((kill / 2 * 2) + 1, steps[0]);
        Assert.False(File.Exists(file));

        float[] Fit(Action<MixtureTrainer.Options> change) =>
            [
                .. Trainer(
                        first,
                        second,
                        options =>
                        {
                            options.Optimizer = optimizer;
                            options.InitialDeviation = 1;
                            options.MaxSteps = 8;
                            options.BatchSize = 4;
                            options.GradientAccumulationSteps = 2;
                            options.Dropout = 0.1;
                            options.ValidationSet = data;
                            options.EvaluationInterval = 3;
                            options.StateInterval = 2;
                            change(options);
                        }
                    )
                    .Train(data)
                    .Groups.Select(group => group.Weight),
            ];
    }

    [Fact]
    public void WhatDoesNotFitIsNamed()
    {
        using TextScoringTransformer first = Ends.Model("model", 1),
            lora = Ends.Model("lora", 1);
        IDataView data = Toy.View(_ml, Toy.Examples(8));
        Assert.Throws<ArgumentException>(() => Trainer(first, first, _ => { }).Train(data));
        Assert.Throws<ArgumentException>(() => Trainer(first, lora, _ => { }).Train(data));
        Assert.Throws<ArgumentException>(() => new MixtureTrainer(new MLContext(), new()));
        Assert.Throws<ArgumentOutOfRangeException>(() => Trainer(first, lora, options => options.InitialDeviation = -1));
        Assert.Throws<ArgumentOutOfRangeException>(() => Trainer(first, lora, options => options.StateInterval = 0));
    }

    [Fact]
    public void ADivergedTrainingIsNamed()
    {
        using TextScoringTransformer first = Ends.Model("model", 1, deviation: 1e25),
            second = Ends.Model("model", 2);
        string file = Path.Join(_folder, "mixture.safetensors");
        InvalidOperationException error = Assert.Throws<InvalidOperationException>(() =>
            Trainer(
                    first,
                    second,
                    options =>
                    {
                        options.InitialDeviation = 0;
                        options.StateFile = file;
                        options.StateInterval = 1;
                    }
                )
                .Train(Toy.View(_ml, Toy.Examples(8)))
        );
        Assert.Contains("Training diverged: the loss of update 1 is NaN", error.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(file));
    }

    private MixtureTrainer Trainer(TextScoringTransformer first, TextScoringTransformer second, Action<MixtureTrainer.Options> change)
    {
        var options = new MixtureTrainer.Options
        {
            First = first,
            Second = second,
            Dropout = 0,
            Seed = 0,
        };
        change(options);
        return _ml.SkillLoc().Connectivity.FindMixture(options);
    }

    /// <summary>A model whose layer went the wrong way from the pre-trained weights.</summary>
    private static TextScoringTransformer Spoil(TextScoringTransformer good, string layer)
    {
        TextClassifier classifier = good.Classifier.Clone();
        Dictionary<string, float[]> start = Trainings.Start();
        using DisposeScope scope = NewDisposeScope();
        using IDisposable noGradients = no_grad();
        foreach (
            (string name, Parameter parameter) in classifier.Parameters.Where(pair => pair.Key.StartsWith(layer, StringComparison.Ordinal))
        )
        {
            parameter.add_(tensor(start[name]).view(parameter.shape) - parameter, alpha: 4);
        }

        return new(classifier, good.Columns);
    }
}
