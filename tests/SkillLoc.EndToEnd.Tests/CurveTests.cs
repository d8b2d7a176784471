using Microsoft.ML;
using SkillLoc.Evaluators;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Connectivity;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tuning;
using SkillLoc.Trainers;
using SkillLoc.Transforms;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.EndToEnd.Tests;

/// <summary>Two models that compute the same from other weights: the line between them leads over a barrier, a trained curve round
/// it.</summary>
public sealed class CurveTests
{
    private readonly MLContext _ml = new(seed: 1);

    [Theory]
    [InlineData("model")]
    [InlineData("adapter")]
    [InlineData("lora")]
    [InlineData("prefix")]
    public void ACurveHasASmallerBarrierThanTheLine(string method)
    {
        TuningOptions? tuning = method switch
        {
            "adapter" => new AdapterOptions { BottleneckSize = 8, Activation = AdapterActivation.Relu },
            "lora" => new LoraOptions { Rank = 4 },
            "prefix" => new PrefixOptions { Length = 4, ProjectionSize = 16 },
            _ => null,
        };
        IDataView data = Data();
        using TextScoringTransformer first = _ml.SkillLoc()
            .PromptFineTune(
                new PromptFineTuneTrainer.Options
                {
                    Checkpoint = Oracles.PathOf("tiny-roberta"),
                    Task = new PromptTask(
                        "toy",
                        PromptTemplate.Parse("*cls**sent_0*_It_was*mask*.*sep+*"),
                        new Verbalizer([new("neg", "bad"), new("pos", "good")])
                    ),
                    Tuning = tuning,
                    LearningRate = tuning is null ? 2e-3 : 1e-2,
                    MaxSteps = 100,
                    Dropout = 0,
                    Seed = 0,
                }
            )
            .Fit(data);
        using var second = new TextScoringTransformer(Twin(first.Classifier), first.Columns);
        var options = new CheckpointInterpolationEvaluator.Options
        {
            First = first,
            Second = second,
            Training = data,
            NumberOfPoints = 11,
        };
        InterpolationSet line = _ml.SkillLoc().Connectivity.EvaluateInterpolation(options).Sets[0];
        Assert.Equal(line.Points[0].Loss, line.Points[10].Loss, 1e-5);
        using ParameterPath path = _ml.SkillLoc()
            .Connectivity.FindCurve(
                new CurveTrainer.Options
                {
                    First = first,
                    Second = second,
                    LearningRate = 1e-2,
                    MaxSteps = 150,
                    Dropout = 0,
                    Seed = 0,
                }
            )
            .Train(data);
        options.Path = path;
        InterpolationSet curve = _ml.SkillLoc().Connectivity.EvaluateInterpolation(options).Sets[0];
        Assert.True(line.LossBarrier > 0.1, $"{line.LossBarrier}");
        Assert.True(curve.LossBarrier < 0.5 * line.LossBarrier, $"{curve.LossBarrier} on the curve, {line.LossBarrier} on the line");
    }

    /// <summary>A model that computes the same: of two linear maps in a row with an odd function between both are negated; with a ReLU
    /// between, as in an adapter, the first is shrunk and the second grows.</summary>
    private static TextClassifier Twin(TextClassifier classifier)
    {
        TextClassifier twin = classifier.Clone();
        bool tuned = twin.Settings.Tuning is not null;
        using IDisposable noGradients = no_grad();
        foreach ((string name, Parameter parameter) in tuned ? twin.TunedParameters : twin.Backbone.Parameters)
        {
            double factor = name switch
            {
                _ when name.Contains(".adapter.down.", StringComparison.Ordinal) => 1.0 / 16,
                _ when name.EndsWith(".adapter.up.weight", StringComparison.Ordinal) => 16,
                "prefix.embedding.weight" => 1,
                _ when name.Contains(".lora_", StringComparison.Ordinal) || name.StartsWith("prefix.", StringComparison.Ordinal) => -1,
                _ when !tuned && name.Contains(".attention.self.", StringComparison.Ordinal) => -1,
                _ when !tuned && name.EndsWith(".attention.output.dense.weight", StringComparison.Ordinal) => -1,
                _ => 1,
            };
            parameter.mul_(factor);
        }

        return twin;
    }

    private IDataView Data()
    {
        var random = new Random(0);
        string[] fillers = ["the", "was", "and", "it"];
        IDataView data = _ml.Data.LoadFromEnumerable(
            Enumerable
                .Range(0, 32)
                .Select(i =>
                {
                    List<string> words = [.. Enumerable.Range(0, random.Next(1, 7)).Select(_ => fillers[random.Next(fillers.Length)])];
                    words.Insert(random.Next(words.Count + 1), i % 2 == 1 ? "film" : "man");
                    return new Row { Label = i % 2 == 1 ? "pos" : "neg", Text = string.Join(' ', words) };
                })
                .ToArray()
        );
        return _ml.Transforms.Conversion.MapValueToKey("Label").Fit(data).Transform(data);
    }

    private sealed class Row
    {
        public string Label { get; set; } = "";

        public string Text { get; set; } = "";
    }
}
