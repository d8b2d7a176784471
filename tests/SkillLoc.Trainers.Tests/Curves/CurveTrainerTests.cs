using Microsoft.ML;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Connectivity;
using SkillLoc.Transforms;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Trainers.Tests.Curves;

public sealed class CurveTrainerTests : IDisposable
{
    private readonly MLContext _ml = new();
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;

    public static TheoryData<string> Methods => ["model", "adapter", "lora", "prefix", "soft prompt"];

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [MemberData(nameof(Methods))]
    public void ACurveLosesLessThanTheLine(string method)
    {
        using TextScoringTransformer first = Ends.Model(method, 1),
            second = Ends.Model(method, 2);
        string[] ends = [first.Classifier.Fingerprint(), second.Classifier.Fingerprint()];
        IDataView data = Toy.View(_ml, Toy.Examples(32));
        long live = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        using (
            ParameterPath curve = Trainer(
                    first,
                    second,
                    options =>
                    {
                        options.ControlPoints = 2;
                        options.MaxSteps = 60;
                        options.ValidationSet = data;
                        options.EvaluationInterval = 20;
                    }
                )
                .Fit(data)
        )
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
        using TextScoringTransformer first = Ends.Model("model", 1),
            second = Ends.Model("model", 2);
        IDataView data = Toy.View(_ml, Toy.Examples(32));
        CurveProgress? seen = null;
        using ParameterPath curve = Trainer(
                first,
                second,
                options =>
                {
                    options.MaxSteps = 1;
                    options.Optimizer = OptimizerKind.AdamW;
                    options.LearningRate = 1e-4;
                    options.BatchSize = 32;
                    options.Progress = new Ends.Sink<CurveProgress>(progress => seen = progress);
                }
            )
            .Fit(data);

        // Control points start at the midpoint, and one batch holds all rows.
        using var before = new ParameterPath(first.Classifier, second.Classifier, bends: 1);
        Assert.Equal(Loss(before, seen!.Place), seen.Loss, 1e-4);
        Assert.True(Loss(curve, seen.Place) < seen.Loss);

        // AdamW's first step is the learning rate against the gradient's sign, which is the interpolated's gradient's, as the weight is positive.
        using DisposeScope scope = NewDisposeScope();
        string name = curve.Names[0];
        using IDisposable noGradients = no_grad();
        Assert.Equal(1e-4, (curve.Controls(name)[0] - before.Controls(name)[0]).abs().max().item<float>(), 1e-6);
    }

    [Fact]
    public void TheSameSeedGivesTheSameCurve()
    {
        using TextScoringTransformer first = Ends.Model("adapter", 1),
            second = Ends.Model("adapter", 2);
        IDataView data = Toy.View(_ml, Toy.Examples(20));
        using ParameterPath one = Fit(1),
            same = Fit(1),
            other = Fit(2);
        foreach (string name in one.Names)
        {
            Assert.True(one.Controls(name)[0].Equals(same.Controls(name)[0]), name);
        }

        Assert.Contains(one.Names, name => !one.Controls(name)[0].Equals(other.Controls(name)[0]));

        ParameterPath Fit(int seed) =>
            Trainer(
                    first,
                    second,
                    options =>
                    {
                        options.MaxSteps = 3;
                        options.Seed = seed;
                        options.Dropout = 0.1;
                        options.GradientAccumulationSteps = 2;
                    }
                )
                .Fit(data);
    }

    [Fact]
    public void WhatDoesNotFitIsNamed()
    {
        using TextScoringTransformer first = Ends.Model("model", 1),
            lora = Ends.Model("lora", 1);
        IDataView data = Toy.View(_ml, Toy.Examples(8));
        Assert.Throws<ArgumentException>(() => Trainer(first, first, _ => { }).Fit(data));
        Assert.Throws<ArgumentException>(() => Trainer(first, lora, _ => { }).Fit(data));
        Assert.Throws<ArgumentException>(() => new CurveTrainer(new MLContext(), new()));
        Assert.Throws<ArgumentOutOfRangeException>(() => Trainer(first, first, options => options.ControlPoints = 0));
        Assert.Throws<ArgumentException>(() => Trainer(first, first, options => options.ValidationPlaces = [1.5]));
    }

    [Theory]
    [InlineData("lora", OptimizerKind.Adafactor, 2, 3)]
    [InlineData("lora", OptimizerKind.AdamW, 1, 8)]
    [InlineData("model", OptimizerKind.Adafactor, 1, 5)]
    public void AKilledTrainingGoesOn(string method, OptimizerKind optimizer, int accumulation, int kill)
    {
        using TextScoringTransformer first = Ends.Model(method, 1),
            second = Ends.Model(method, 2);
        IDataView data = Toy.View(_ml, Toy.Examples(21));
        string file = Path.Join(_folder, "states", "curve.safetensors");
        using ParameterPath whole = Fit(options => { });
        long live = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        Assert.Throws<Ends.KilledException>(() =>
            Fit(options =>
            {
                options.StateFile = file;
                options.Progress = new Ends.Sink<CurveProgress>(progress =>
                {
                    if (progress.Step == kill)
                    {
                        throw new Ends.KilledException();
                    }
                });
            })
        );
        Assert.Equal(live, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
        InvalidOperationException other = Assert.Throws<InvalidOperationException>(() =>
            Fit(options =>
            {
                options.StateFile = file;
                options.Start = ControlStart.Midpoint;
                options.ValidationPlaces = [0.5];
            })
        );
        Assert.Contains("start is Drawn there and Midpoint here", other.Message, StringComparison.Ordinal);
        Assert.Contains("validation_places is 0.25 0.5 0.75 there and 0.5 here", other.Message, StringComparison.Ordinal);

        var steps = new List<int>();
        using ParameterPath resumed = Fit(options =>
        {
            options.StateFile = file;
            options.Progress = new Ends.Sink<CurveProgress>(progress => steps.Add(progress.Step));
        });
        int from = kill / 2 * 2;
        Assert.Equal(Enumerable.Range(from + 1, 9 - from), steps);
        Same(whole, resumed);
        Assert.False(File.Exists(file));

        ParameterPath Fit(Action<CurveTrainer.Options> change) =>
            Trainer(
                    first,
                    second,
                    options =>
                    {
                        options.Optimizer = optimizer;
                        options.ControlPoints = 2;
                        options.MaxSteps = 9;
                        options.BatchSize = 4;
                        options.GradientAccumulationSteps = accumulation;
                        options.Dropout = 0.1;
                        options.ValidationSet = data;
                        options.EvaluationInterval = 3;
                        options.StateInterval = 2;
                        change(options);
                    }
                )
                .Fit(data);
    }

    [Fact]
    public void CancellationSavesTheStateAndOtherEndsAreRefused()
    {
        using TextScoringTransformer first = Ends.Model("lora", 1),
            second = Ends.Model("lora", 2),
            third = Ends.Model("lora", 3);
        IDataView data = Toy.View(_ml, Toy.Examples(16));
        string file = Path.Join(_folder, "curve.safetensors");
        using ParameterPath whole = Fit(second, options => { });
        using (var cancel = new CancellationTokenSource())
        {
            using ParameterPath half = Fit(
                second,
                options =>
                {
                    options.StateFile = file;
                    options.CancellationToken = cancel.Token;
                    options.Progress = new Ends.Sink<CurveProgress>(progress =>
                    {
                        if (progress.Step == 3)
                        {
                            cancel.Cancel();
                        }
                    });
                }
            );
        }

        InvalidOperationException error = Assert.Throws<InvalidOperationException>(() => Fit(third, options => options.StateFile = file));
        Assert.Contains(
            $"second is {second.Classifier.Fingerprint()} there and {third.Classifier.Fingerprint()} here",
            error.Message,
            StringComparison.Ordinal
        );
        using ParameterPath resumed = Fit(second, options => options.StateFile = file);
        Same(whole, resumed);

        ParameterPath Fit(TextScoringTransformer end, Action<CurveTrainer.Options> change) =>
            Trainer(
                    first,
                    end,
                    options =>
                    {
                        options.MaxSteps = 5;
                        change(options);
                    }
                )
                .Fit(data);
    }

    [Fact]
    public void ControlsOfLoraStartAsLoraDoes()
    {
        using ParameterPath curve = Started("lora", ControlStart.Drawn);
        using DisposeScope scope = NewDisposeScope();
        var all = new List<Tensor>();
        foreach (string name in curve.Names)
        {
            Assert.Equal(2, curve.Controls(name).Count);
            bool b = name.EndsWith("lora_B.weight", StringComparison.Ordinal);
            foreach (Tensor control in curve.Controls(name))
            {
                // Kaiming with a = sqrt 5 is uniform up to 1 / sqrt(fan in), and the fan in of an A-block is the hidden size, 48.
                double largest = control.abs().max().item<float>();
                Assert.InRange(largest, b ? 0 : 0.9 / Math.Sqrt(48), b ? 1e-20 : 1 / Math.Sqrt(48));
            }

            Assert.True(b || !curve.Controls(name)[0].Equals(curve.Controls(name)[1]));
            all.AddRange(b ? [] : curve.Controls(name).Select(control => control.flatten()));
        }

        Tensor drawn = cat(all);
        Assert.Equal(1 / Math.Sqrt(3 * 48), drawn.std().item<float>(), 0.003);
        Assert.Equal(0, drawn.mean().item<float>(), 0.005);
    }

    [Fact]
    public void ControlsOfAPrefixStartAsAPrefixDoes()
    {
        using ParameterPath curve = Started("prefix", ControlStart.Drawn);
        using DisposeScope scope = NewDisposeScope();
        Assert.Equal(0.02, curve.Controls("prefix.embedding.weight")[0].std().item<float>(), 0.004);
        Assert.Equal(1 / Math.Sqrt(3 * 48), curve.Controls("prefix.transform.0.weight")[0].std().item<float>(), 0.006);
        Assert.Equal(1 / Math.Sqrt(3 * 16), curve.Controls("prefix.transform.2.weight")[0].std().item<float>(), 0.006);
    }

    [Theory]
    [InlineData("lora", ControlStart.Midpoint)]
    [InlineData("model", ControlStart.Drawn)]
    public void OthersStartAtTheMidpoint(string method, ControlStart start)
    {
        using ParameterPath curve = Started(method, start);
        using var midpoint = new ParameterPath(curve.First, curve.Second, bends: 2);
        Same(midpoint, curve);
        curve.First.Dispose();
        curve.Second.Dispose();
    }

    [Fact]
    public void TheMetricIsTheMeanAtThePlacesOfTheSpecification()
    {
        using TextScoringTransformer first = Ends.Model("adapter", 1, 0.6),
            second = Ends.Model("adapter", 2, 0.6);
        Toy.Row[] rows = Toy.Examples(30);
        double[] places = [0.7725638477843416, 0.3729565378240084, 0.5129354059597470];
        double? metric = null;
        using ParameterPath curve = Trainer(
                first,
                second,
                options =>
                {
                    options.MaxSteps = 4;
                    options.ValidationSet = Toy.View(_ml, rows);
                    options.ValidationPlaces = places;
                    options.Progress = new Ends.Sink<CurveProgress>(progress => metric = progress.Metric);
                }
            )
            .Fit(Toy.View(_ml, rows));
        double[] accuracies =
        [
            .. places.Select(place =>
            {
                using TextClassifier interpolated = curve.CreateWalker();
                curve.MoveTo(interpolated, place);
                return Ends.Accuracy(interpolated, rows);
            }),
        ];
        Assert.Equal(accuracies.Average(), metric!.Value, 1e-12);
    }

    private static void Same(ParameterPath expected, ParameterPath actual)
    {
        Assert.Equal(expected.Names, actual.Names);
        Assert.All(
            expected.Names,
            name => Assert.True(expected.Controls(name).Zip(actual.Controls(name)).All(pair => pair.First.Equals(pair.Second)), name)
        );
    }

    /// <summary>A curve at its start: one update too small to matter.</summary>
    private ParameterPath Started(string method, ControlStart start)
    {
        TextScoringTransformer first = Ends.Model(method, 1),
            second = Ends.Model(method, 2);
        return Trainer(
                first,
                second,
                options =>
                {
                    options.MaxSteps = 1;
                    options.LearningRate = 1e-30;
                    options.ControlPoints = 2;
                    options.Start = start;
                }
            )
            .Fit(Toy.View(_ml, Toy.Examples(4)));
    }

    private CurveTrainer Trainer(TextScoringTransformer first, TextScoringTransformer second, Action<CurveTrainer.Options> change)
    {
        var options = new CurveTrainer.Options
        {
            First = first,
            Second = second,
            LearningRate = 3e-3,
            Dropout = 0,
            BatchSize = 16,
            Seed = 0,
        };
        change(options);
        return _ml.SkillLoc().Connectivity.FindCurve(options);
    }

    private static double Loss(ParameterPath path, double place)
    {
        using TextClassifier interpolated = path.CreateWalker();
        path.MoveTo(interpolated, place);
        return Ends.Loss(interpolated, Toy.Examples(32));
    }
}
