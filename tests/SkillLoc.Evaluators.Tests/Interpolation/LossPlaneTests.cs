using System.Text.Json;
using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Runtime;
using SkillLoc.Transforms;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Evaluators.Tests.Interpolation;

/// <summary>Planes through three small models, and around one.</summary>
public sealed class LossPlaneTests : IDisposable
{
    private static readonly ClassifierSettings Settings = new() { Head = HeadKind.SequenceClassification, Labels = ["neg", "pos"] };

    private readonly MLContext _ml = new(seed: 1);
    private readonly string _folder = Path.Join(Path.GetTempPath(), Path.GetRandomFileName());

    public void Dispose()
    {
        if (Directory.Exists(_folder))
        {
            Directory.Delete(_folder, recursive: true);
        }
    }

    [Fact]
    public void PointsAreWhatModelsMadeByHandScore()
    {
        using TextScoringTransformer first = Model(1),
            second = Model(2),
            third = Model(3),
            byHand = Model(4);
        IDataView data = Data();
        var done = new List<double>();
        long live = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        LossPlaneMetrics plane = _ml.SkillLoc()
            .Connectivity.EvaluateLossPlane(
                new LossPlaneEvaluator.Options
                {
                    First = first,
                    Second = second,
                    Third = third,
                    Data = data,
                    NumberOfPoints = 3,
                    Margin = 0.5,
                    Names = ["a", "b", "c"],
                    Progress = new Heard(done),
                }
            );
        Assert.Equal(live, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
        Assert.Equal((29, "ACC", LossPlaneAxes.Models, null), (plane.Count, plane.Metric, plane.Axes, plane.Seed));
        Assert.Equal(9, plane.Points.Count);
        Assert.Equal(Enumerable.Range(1, 12).Select(i => i / 12.0), done);

        // As one vector each.
        using DisposeScope scope = NewDisposeScope();
        Tensor[] models = [.. new[] { first, second, third }.Select(Vector)];
        Tensor u = models[1] - models[0],
            side = models[2] - models[0];
        double length = u.norm().item<double>(),
            along = (side * u).sum().item<double>() / length;
        Tensor v = side - (u * (along / length));
        double height = v.norm().item<double>();
        Assert.Equal(["a", "b", "c"], plane.Marks.Select(mark => mark.Name));
        Assert.Equal([0, length, along], plane.Marks.Select(mark => mark.X), Close(1e-4));
        Assert.Equal([0, 0, height], plane.Marks.Select(mark => mark.Y), Close(1e-4));
        Assert.Equal([-0.5 * length, 0.5 * length, 1.5 * length], plane.X, Close(1e-4));
        Assert.Equal([-0.5 * height, 0.5 * height, 1.5 * height], plane.Y, Close(1e-4));
        foreach ((int i, TextScoringTransformer model) in new[] { first, second, third }.Index())
        {
            CalibrationMetrics expected = Measured(model);
            Assert.Equal(expected.LogLoss, plane.Marks[i].Loss, 1e-5);
            Assert.Equal(expected.Accuracy, plane.Marks[i].Metric, 1e-12);
        }

        foreach ((int i, LossPlanePoint point) in plane.Points.Index())
        {
            Assert.Equal((plane.X[i % 3], plane.Y[i / 3]), (point.X, point.Y));
            Set(byHand, models[0] + (u * (point.X / length)) + (v * (point.Y / height)));
            CalibrationMetrics expected = Measured(byHand);
            Assert.Equal(expected.LogLoss, point.Loss, 1e-4 * Math.Max(1, expected.LogLoss));
            Assert.Equal(expected.Accuracy, point.Accuracy, 0.04);
        }

        Assert.True(plane.Points.Max(point => point.Loss) > plane.Points.Min(point => point.Loss) + 0.1);
        Assert.Equal(9, plane.ToDataView(_ml).GetColumn<double>("Loss").Count());
    }

    [Fact]
    public void RandomDirectionsAreNormalisedByRow()
    {
        using TextScoringTransformer model = Model(1);
        LossPlaneMetrics plane = Around(model, seed: 3);
        Assert.Equal(plane.Points, Around(model, seed: 3).Points);
        Assert.NotEqual(plane.Points, Around(model, seed: 4).Points);
        Assert.Equal((LossPlaneAxes.Random, 3), (plane.Axes, plane.Seed));
        Assert.Equal([-1, 0, 1], plane.X);
        Assert.Equal(Measured(model).LogLoss, plane.Points[4].Loss, 1e-5);
        Assert.Equal((plane.Points[4].Loss, 0, 0), (plane.Marks[0].Loss, plane.Marks[0].X, plane.Marks[0].Y));
        Assert.Equal(9, plane.Points.Select(point => point.Loss).Distinct().Count());
    }

    [Fact]
    public void ModelsOfOtherTasksKeepTheirHeadsToThemselves()
    {
        using TextScoringTransformer first = Model(1),
            second = Model(2),
            third = Model(3, Settings with { Labels = ["yes", "no", "maybe"] });
        LossPlaneMetrics plane = _ml.SkillLoc().Connectivity.EvaluateLossPlane(first, second, third, Data(), 2);
        Assert.Equal(Measured(first).LogLoss, plane.Marks[0].Loss, 1e-5);
        Assert.Equal(Measured(second).LogLoss, plane.Marks[1].Loss, 1e-5);
        Assert.True(double.IsFinite(plane.Marks[2].Loss));
    }

    [Fact]
    public void BFloat16IsNear()
    {
        using TextScoringTransformer first = Model(1),
            second = Model(2),
            third = Model(3);
        LossPlanePoint[] full = Points(Precision.Float32),
            half = Points(Precision.BFloat16);
        Assert.All(full.Zip(half), pair => Assert.Equal(pair.First.Loss, pair.Second.Loss, 0.05 * Math.Max(1, pair.First.Loss)));
        Assert.All(full.Zip(half), pair => Assert.NotEqual(pair.First.Loss, pair.Second.Loss));

        LossPlanePoint[] Points(Precision precision) =>
            [
                .. _ml.SkillLoc()
                    .Connectivity.EvaluateLossPlane(
                        new LossPlaneEvaluator.Options
                        {
                            First = first,
                            Second = second,
                            Third = third,
                            Data = Data(),
                            NumberOfPoints = 2,
                            Margin = 0.1,
                            Precision = precision,
                        }
                    )
                    .Points,
            ];
    }

    [Fact]
    public void WhatDoesNotFitIsNamed()
    {
        using TextScoringTransformer first = Model(1),
            second = Model(2),
            middle = Model(3),
            words = Model(1, new() { Labels = ["neg", "pos"], Words = ["bad", "good"] });
        using (DisposeScope scope = NewDisposeScope())
        {
            Set(middle, (Vector(first) + Vector(second)) * 0.5);
        }

        Says<ArgumentException>("Options.First and Options.Data", options => options.Data = null);
        Says<ArgumentException>("go together", options => options.Third = null);
        Says<ArgumentException>("2 names, and there are 3 models", options => options.Names = ["a", "b"]);
        Says<ArgumentOutOfRangeException>("must be 2 or more", options => options.NumberOfPoints = 1);
        Says<ArgumentOutOfRangeException>("must be 0 or more", options => options.Margin = double.NaN);
        Says<ArgumentOutOfRangeException>("must be above 0", options => options.Radius = 0);
        Says<ArgumentException>("'classifier.dense.weight'", options => options.Third = words);
        Says<ArgumentException>("lie on a line", options => options.Third = middle);
        Says<ArgumentException>("have the same weights", options => options.Second = first);
        Says<InvalidOperationException>("Options.Data: ", options => options.Data = _ml.Data.LoadFromEnumerable(Array.Empty<Row>()));
        using var cancelled = new CancellationTokenSource();
        long live = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        Says<OperationCanceledException>(
            "",
            options =>
            {
                options.Progress = new Stop(cancelled);
                options.CancellationToken = cancelled.Token;
            }
        );
        Assert.Equal(live, DisposeScopeManager.Statistics.ThreadTotalLiveCount);

        void Says<T>(string message, Action<LossPlaneEvaluator.Options> change)
            where T : Exception
        {
            var options = new LossPlaneEvaluator.Options
            {
                First = first,
                Second = second,
                Third = words,
                Data = Data(),
                NumberOfPoints = 2,
            };
            using TextScoringTransformer third = Model(5);
            options.Third = third;
            change(options);
            Assert.Contains(
                message,
                Assert.Throws<T>(() => _ml.SkillLoc().Connectivity.EvaluateLossPlane(options)).Message,
                StringComparison.Ordinal
            );
        }
    }

    [Fact]
    public void FilesHaveEverythingAndAreReplaced()
    {
        var plane = new LossPlaneMetrics
        {
            Task = "films",
            Metric = "Pearson-Correlation",
            Axes = LossPlaneAxes.Random,
            Seed = 2,
            Count = 3,
            X = [0, 1],
            Y = [0, 0.5],
            Points = [new(0, 0, 0.25, 0.5, double.NaN), new(1, 0, 2, double.NaN, double.NaN), new(0, 0.5, 1, 0, 0), new(1, 0.5, 3, 1, 1)],
            Marks = [new("a \"name\"", 0, 0, 0.25, 0.5)],
        };
        string folder = Path.Join(_folder, "deep", "plane");
        (plane with { Seed = 1 }).Save(folder);
        File.WriteAllText(Path.Join(folder, "mine.txt"), "mine");
        plane.Save(folder);
        Assert.Equal(
            "x,y,loss,metric,accuracy\n0,0,0.25,0.5,\n1,0,2,,\n0,0.5,1,0,0\n1,0.5,3,1,1\n",
            File.ReadAllText(Path.Join(folder, "plane.csv"))
        );
        using var json = JsonDocument.Parse(File.ReadAllText(Path.Join(folder, "plane.json")));
        Assert.Equal("random", json.RootElement.GetProperty("axes").GetString());
        Assert.Equal(2, json.RootElement.GetProperty("seed").GetInt32());
        Assert.Equal("NaN", json.RootElement.GetProperty("points")[1].GetProperty("metric").GetString());
        Assert.Equal("a \"name\"", json.RootElement.GetProperty("marks")[0].GetProperty("name").GetString());
        Assert.Equal(3, Directory.GetFileSystemEntries(folder).Length);
    }

    private LossPlaneMetrics Around(TextScoringTransformer model, int seed) =>
        _ml.SkillLoc()
            .Connectivity.EvaluateLossPlane(
                new LossPlaneEvaluator.Options
                {
                    First = model,
                    Data = Data(),
                    NumberOfPoints = 3,
                    Seed = seed,
                }
            );

    private static TextScoringTransformer Model(int seed, ClassifierSettings? settings = null)
    {
        var classifier = TextClassifier.Create(Oracles.PathOf("tiny-roberta"), settings ?? Settings, seed: seed);
        using DisposeScope scope = NewDisposeScope();
        using IDisposable noGradients = no_grad();
        using var generator = new Generator((ulong)seed);
        foreach (Parameter parameter in classifier.Parameters.Values)
        {
            parameter.add_(randn(parameter.shape, generator: generator) * 0.1);
        }

        return new(classifier, new ScoringColumns());
    }

    /// <summary>All parameters as one vector of doubles.</summary>
    private static Tensor Vector(TextScoringTransformer model) =>
        cat([.. model.Classifier.Parameters.Values.Select(parameter => parameter.detach().flatten().to(ScalarType.Float64))]);

    private static void Set(TextScoringTransformer model, Tensor vector)
    {
        using IDisposable noGradients = no_grad();
        using DisposeScope scope = NewDisposeScope();
        long start = 0;
        foreach (Parameter parameter in model.Classifier.Parameters.Values)
        {
            parameter.copy_(vector.narrow(0, start, parameter.numel()).view(parameter.shape));
            start += parameter.numel();
        }
    }

    /// <summary>With keys in the order of the model's labels; row 4 has none.</summary>
    private CalibrationMetrics Measured(TextScoringTransformer model)
    {
        IDataView order = _ml.Data.LoadFromEnumerable(
            new[]
            {
                new Row { Label = "neg" },
                new Row { Label = "pos" },
            }
        );
        IDataView scored = model.Transform(Data());
        return _ml.SkillLoc()
            .EvaluateCalibration(
                _ml.Transforms.Conversion.MapValueToKey("Label", keyData: _ml.Transforms.SelectColumns("Label").Fit(order).Transform(order))
                    .Fit(scored)
                    .Transform(scored)
            );
    }

    private IDataView Data() =>
        _ml.Data.LoadFromEnumerable(
            Enumerable
                .Range(0, 30)
                .Select(i => new Row
                {
                    Label =
                        i == 4 ? ""
                        : i % 2 == 0 ? "neg"
                        : "pos",
                    Text = string.Join(' ', Enumerable.Range(0, (i % 7) + 1).Select(j => $"word{(i * 5 + j) % 11}")),
                })
        );

    private static Comparison Close(double tolerance) => new(tolerance);

    private sealed class Comparison(double tolerance) : IEqualityComparer<double>
    {
        public bool Equals(double x, double y) => Math.Abs(x - y) <= tolerance * Math.Max(1, Math.Abs(x));

        public int GetHashCode(double obj) => 0;
    }

    private sealed class Heard(List<double> done) : IProgress<double>
    {
        public void Report(double value) => done.Add(value);
    }

    private sealed class Stop(CancellationTokenSource source) : IProgress<double>
    {
        public void Report(double value) => source.Cancel();
    }

    private sealed class Row
    {
        public string Label { get; set; } = "";

        public string Text { get; set; } = "";
    }
}
