using SkillLoc.Models.Backbones;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Runtime;
using SkillLoc.Transforms;

namespace SkillLoc.Trainers.Tests;

/// <summary>Training from grafts, around grafts and within grafts.</summary>
public sealed class RegionTests
{
    private const string Up = "roberta.encoder.layer.1.intermediate.dense.weight";
    private const string Bias = "roberta.encoder.layer.0.attention.output.dense.bias";
    private const string Norm = "roberta.encoder.layer.2.output.LayerNorm.weight";
    private static readonly Toy.Row[] Rows = Toy.Examples(16);

    private static GraftPart[] Parts => [Part(Bias, [0, 7, 41]), Part(Up, [3, 5, 8, 1000]), Part(Norm, [1, 47])];

    [Theory]
    [InlineData(OptimizerKind.AdamW, Precision.Float32)]
    [InlineData(OptimizerKind.AdamW, Precision.BFloat16)]
    [InlineData(OptimizerKind.Sgd, Precision.Float32)]
    [InlineData(OptimizerKind.Adafactor, Precision.Float32)]
    public void OnlyTheRegionTrains(OptimizerKind kind, Precision precision)
    {
        using TextScoringTransformer model = Trainings.Fit(
            Rows,
            options =>
            {
                Hard(options, kind);
                options.Precision = precision;
                options.Region = Parts;
            }
        );
        Moved(model, (name, index) => Parts.Any(part => part.Name == name && part.Indices.Contains(index)));
    }

    [Theory]
    [InlineData(OptimizerKind.AdamW)]
    [InlineData(OptimizerKind.Sgd)]
    [InlineData(OptimizerKind.Adafactor)]
    public void FrozenCoordinatesKeepTheirBits(OptimizerKind kind)
    {
        using TextScoringTransformer model = Trainings.Fit(
            Rows,
            options =>
            {
                Hard(options, kind);
                options.Frozen = [Graft(Part(Up, [3, 5])), Graft(Part(Up, [5, 8, 1000]), Part(Bias, [0, 7]))];
            }
        );
        Dictionary<string, float[]> start = Trainings.Start(),
            end = Trainings.Weights(model.Classifier);
        foreach ((string name, int[] indices) in new[] { (Up, new[] { 3, 5, 8, 1000 }), (Bias, [0, 7]) })
        {
            for (int i = 0; i < start[name].Length; i++)
            {
                bool frozen = indices.Contains(i);
                Assert.True(frozen == Trainings.SameBits([start[name][i]], [end[name][i]]), $"{name}[{i}]");
            }
        }
    }

    [Fact]
    public void FrozenCoordinatesOfTheRegionStay()
    {
        using TextScoringTransformer model = Trainings.Fit(
            Rows,
            options =>
            {
                Hard(options, OptimizerKind.AdamW);
                options.Region = Parts;
                options.Frozen = [Graft(Part(Up, [5, 6]), Part(Norm, [1, 47]))];
            }
        );
        Moved(model, (name, index) => (name == Up && index is 3 or 8 or 1000) || (name == Bias && index is 0 or 7 or 41));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void WhatDoesNotTrainIsNotInTheNorm(bool region)
    {
        const double rate = 0.5,
            clip = 1e-4;
        using TextScoringTransformer model = Trainings.Fit(
            Rows,
            options =>
            {
                options.Optimizer = OptimizerKind.Sgd;
                options.LearningRate = rate;
                options.WeightDecay = 0;
                options.MaxGradientNorm = clip;
                options.MaxSteps = 1;
                if (region)
                {
                    options.Region = Parts;
                }
                else
                {
                    // All but one bias: the gradients of the frozen ones are far longer than its own.
                    options.Frozen = [Graft([.. Everything().Where(part => part.Name != Bias)])];
                }
            }
        );

        // A clipped step of plain gradient descent is exactly rate * clip long.
        Dictionary<string, float[]> start = Trainings.Start(),
            end = Trainings.Weights(model.Classifier);
        double length = Math.Sqrt(start.Sum(pair => pair.Value.Zip(end[pair.Key], (a, b) => Math.Pow(a - (double)b, 2)).Sum()));
        Assert.Equal(rate * clip, length, 0.02 * rate * clip);
    }

    [Fact]
    public void ARegionOfEverythingIsNoRegion()
    {
        Action<PromptFineTuneTrainer.Options> change = options =>
        {
            options.Optimizer = OptimizerKind.Sgd;
            options.LearningRate = 0.05;
            options.MaxSteps = 4;
            options.L1 = 1e-3;
        };
        using TextScoringTransformer plain = Trainings.Fit(Rows, change);
        using TextScoringTransformer within = Trainings.Fit(Rows, change + (options => options.Region = Everything()));
        Dictionary<string, float[]> left = Trainings.Weights(plain.Classifier),
            right = Trainings.Weights(within.Classifier);
        Assert.All(left.Keys, name => Assert.All(left[name].Zip(right[name]), pair => Assert.Equal(pair.First, pair.Second, 1e-5f)));
    }

    [Fact]
    public void TrainingStartsFromGrafts()
    {
        Graft first = Graft(new GraftPart(Up, [3, 9], [0.5f, -0.25f])),
            second = Graft(new GraftPart(Up, [9], [0.125f]));
        using TextScoringTransformer model = Trainings.Fit(
            Rows,
            options =>
            {
                options.Epochs = 0;
                options.StartFrom = [first, second];
            }
        );
        Dictionary<string, float[]> expected = Trainings.Start(),
            actual = Trainings.Weights(model.Classifier);
        expected[Up][3] = 0.5f;
        expected[Up][9] = 0.125f;
        Assert.All(expected, pair => Assert.True(Trainings.SameBits(pair.Value, actual[pair.Key]), pair.Key));
    }

    [Fact]
    public void AGraftOfAnotherModelIsRefused()
    {
        var other = new Graft { BaseFingerprint = "abc", Parts = Parts };
        InvalidDataException error = Assert.Throws<InvalidDataException>(() => Trainings.Fit(Rows, options => options.StartFrom = [other]));
        Assert.Contains("abc", error.Message, StringComparison.Ordinal);
        Assert.Contains(Fingerprint(), error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("roberta.embeddings.word_embeddings.weight", 0, "does not train")]
    [InlineData("roberta.encoder.layer.9.output.dense.bias", 0, "does not have")]
    [InlineData(Bias, 48, "48")]
    [InlineData(Bias, -1, "-1")]
    public void CoordinatesOutsideAreRefused(string name, int index, string says)
    {
        ArgumentException error = Assert.Throws<ArgumentException>(() =>
            Trainings.Fit(Rows, options => options.Region = [Part(name, [index])])
        );
        Assert.Contains(name, error.Message, StringComparison.Ordinal);
        Assert.Contains(says, error.Message, StringComparison.Ordinal);
        if (says != "does not train")
        {
            Assert.Throws<ArgumentException>(() => Trainings.Fit(Rows, options => options.Frozen = [Graft(Part(name, [index]))]));
        }
    }

    [Fact]
    public void AnEmptyRegionIsRefused() =>
        Assert.Throws<ArgumentException>(() => Trainings.Fit(Rows, options => options.Region = [Part(Up, [])]));

    private static void Hard(PromptFineTuneTrainer.Options options, OptimizerKind kind)
    {
        options.Optimizer = kind;
        options.LearningRate = 0.05;
        options.WeightDecay = 0.5;
        options.MaxSteps = 3;
    }

    private static void Moved(TextScoringTransformer model, Func<string, int, bool> moves)
    {
        Dictionary<string, float[]> start = Trainings.Start(),
            end = Trainings.Weights(model.Classifier);
        foreach ((string name, float[] values) in start)
        {
            for (int i = 0; i < values.Length; i++)
            {
                Assert.True(moves(name, i) != Trainings.SameBits([values[i]], [end[name][i]]), $"{name}[{i}]");
            }
        }
    }

    /// <summary>Every coordinate of the layers.</summary>
    private static GraftPart[] Everything() =>
        [
            .. Trainings
                .Start()
                .Where(pair => pair.Key.Contains("encoder.layer", StringComparison.Ordinal))
                .Select(pair => Part(pair.Key, [.. Enumerable.Range(0, pair.Value.Length)])),
        ];

    private static GraftPart Part(string name, int[] indices) => new(name, indices, new float[indices.Length]);

    private static Graft Graft(params GraftPart[] parts) => new() { BaseFingerprint = Fingerprint(), Parts = parts };

    private static string Fingerprint()
    {
        using var model = LanguageModel.Load(Toy.Checkpoint);
        return model.Fingerprint();
    }
}
