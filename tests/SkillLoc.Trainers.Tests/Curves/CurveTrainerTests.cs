using Microsoft.ML;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Interpolation;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tuning;
using SkillLoc.Trainers;
using SkillLoc.Transforms;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Trainers.Tests.Curves;

public sealed class CurveTrainerTests
{
    private readonly MLContext _ml = new();

    public static TheoryData<string> Methods => ["model", "adapter", "lora", "prefix"];

    [Theory]
    [MemberData(nameof(Methods))]
    public void ACurveLosesLessThanTheLine(string method)
    {
        using TextScoringTransformer first = Model(method, 1), second = Model(method, 2);
        string[] ends = [first.Classifier.Fingerprint(), second.Classifier.Fingerprint()];
        IDataView data = Toy.View(_ml, Toy.Examples(32));
        long live = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        using (ParameterPath curve = Trainer(first, second, options =>
        {
            options.Bends = 2;
            options.MaxSteps = 60;
            options.ValidationSet = data;
            options.EvaluationInterval = 20;
        }).Fit(data))
        using (var line = new ParameterPath(first.Classifier, second.Classifier))
        {
            Assert.True(Loss(curve, 0.5) < Loss(line, 0.5) - 0.05, $"{Loss(curve, 0.5)} on the curve, {Loss(line, 0.5)} on the line");
            Assert.Equal(Loss(line, 0), Loss(curve, 0));
            Assert.Equal(Loss(line, 1), Loss(curve, 1));
        }

        Assert.Equal(live, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
        Assert.Equal(ends, new[] { first.Classifier.Fingerprint(), second.Classifier.Fingerprint() });
    }

    [Fact]
    public void AStepGoesDownFromTheReportedLossAtTheReportedPlace()
    {
        using TextScoringTransformer first = Model("model", 1), second = Model("model", 2);
        IDataView data = Toy.View(_ml, Toy.Examples(32));
        CurveProgress? seen = null;
        using ParameterPath curve = Trainer(first, second, options =>
        {
            options.MaxSteps = 1;
            options.LearningRate = 1e-4;
            options.BatchSize = 32;
            options.Progress = new Sink(progress => seen = progress);
        }).Fit(data);

        // Control points start at the midpoint, and one batch holds all rows.
        using var before = new ParameterPath(first.Classifier, second.Classifier, bends: 1);
        Assert.Equal(Loss(before, seen!.Place), seen.Loss, 1e-4);
        Assert.True(Loss(curve, seen.Place) < seen.Loss);

        // AdamW's first step is the learning rate against the gradient's sign, which is the walker's gradient's, as the weight is positive.
        using var scope = NewDisposeScope();
        string name = curve.Names[0];
        using IDisposable noGradients = no_grad();
        Assert.Equal(1e-4, (curve.Controls(name)[0] - before.Controls(name)[0]).abs().max().item<float>(), 1e-6);
    }

    [Fact]
    public void TheSameSeedGivesTheSameCurve()
    {
        using TextScoringTransformer first = Model("adapter", 1), second = Model("adapter", 2);
        IDataView data = Toy.View(_ml, Toy.Examples(20));
        using ParameterPath one = Fit(1), same = Fit(1), other = Fit(2);
        foreach (string name in one.Names)
        {
            Assert.True(one.Controls(name)[0].Equals(same.Controls(name)[0]), name);
        }

        Assert.Contains(one.Names, name => !one.Controls(name)[0].Equals(other.Controls(name)[0]));

        ParameterPath Fit(int seed) => Trainer(first, second, options =>
        {
            options.MaxSteps = 3;
            options.Seed = seed;
            options.Dropout = 0.1;
            options.GradientAccumulationSteps = 2;
        }).Fit(data);
    }

    [Fact]
    public void WhatDoesNotFitIsNamed()
    {
        using TextScoringTransformer first = Model("model", 1), lora = Model("lora", 1);
        IDataView data = Toy.View(_ml, Toy.Examples(8));
        Assert.Throws<ArgumentException>(() => Trainer(first, first, _ => { }).Fit(data));
        Assert.Throws<ArgumentException>(() => Trainer(first, lora, _ => { }).Fit(data));
        Assert.Throws<ArgumentException>(() => new CurveTrainer(new()));
        Assert.Throws<ArgumentOutOfRangeException>(() => Trainer(first, first, options => options.Bends = 0));
        Assert.Throws<ArgumentException>(() => Trainer(first, first, options => options.ValidationPlaces = [1.5]));
    }

    private CurveTrainer Trainer(TextScoringTransformer first, TextScoringTransformer second, Action<CurveTrainer.Options> change)
    {
        var options = new CurveTrainer.Options { First = first, Second = second, LearningRate = 3e-3, Dropout = 0, BatchSize = 16 };
        change(options);
        return _ml.SkillLoc().FindCurve(options);
    }

    /// <summary>A model whose weights, or whose tuned parameters, are far from those of another seed.</summary>
    private static TextScoringTransformer Model(string method, int seed)
    {
        TuningOptions? tuning = method switch
        {
            "adapter" => new AdapterOptions { BottleneckSize = 8 },
            "lora" => new LoraOptions(),
            "prefix" => new PrefixOptions { Length = 4, ProjectionSize = 16 },
            _ => null,
        };
        var classifier = TextClassifier.Create(
            Toy.Checkpoint,
            new ClassifierSettings { Labels = ["neg", "pos"], Words = ["bad", "good"], Template = "*cls**sent_0*_It_was*mask*.*sep+*", Tuning = tuning },
            seed: seed);
        using var scope = NewDisposeScope();
        using IDisposable noGradients = no_grad();
        using var generator = new Generator((ulong)seed);
        foreach (Parameter parameter in tuning is null ? classifier.Backbone.Parameters.Values : classifier.TunedParameters.Values)
        {
            parameter.add_(randn(parameter.shape, generator: generator) * 0.1);
        }

        return new(classifier, new ScoringColumns());
    }

    private static double Loss(ParameterPath path, double place)
    {
        using TextClassifier walker = path.CreateWalker();
        path.MoveTo(walker, place);
        Toy.Row[] rows = Toy.Examples(32);
        float[][] scores = walker.Score([.. rows.Select(row => walker.Encode(row.Text))]);
        return -rows.Select((row, i) => Math.Log(scores[i][row.Label == "pos" ? 1 : 0])).Average();
    }

    private sealed class Sink(Action<CurveProgress> report) : IProgress<CurveProgress>
    {
        public void Report(CurveProgress value) => report(value);
    }
}
