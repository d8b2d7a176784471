using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Cartography;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Connectivity;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Runtime;
using SkillLoc.Models.Tuning;
using SkillLoc.Transforms;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Evaluators.Tests.Interpolation;

public sealed class InterpolationTests : IDisposable
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
    public void PointsInBFloat16AreNear()
    {
        using TextScoringTransformer first = Model(1),
            second = Model(2);
        InterpolationPoint[] full = Points(Precision.Float32),
            half = Points(Precision.BFloat16);
        Assert.All(full.Zip(half), pair => Assert.Equal(pair.First.Loss, pair.Second.Loss, 0.02));
        Assert.All(full.Zip(half), pair => Assert.NotEqual(pair.First.Loss, pair.Second.Loss));

        InterpolationPoint[] Points(Precision precision) =>
            [
                .. _ml.SkillLoc()
                    .Connectivity.EvaluateInterpolation(
                        new CheckpointInterpolationEvaluator.Options
                        {
                            First = first,
                            Second = second,
                            Test = Data(),
                            NumberOfPoints = 3,
                            Precision = precision,
                        }
                    )
                    .Sets[0]
                    .Points,
            ];
    }

    [Fact]
    public void PointsAreWhatModelsMadeByHandScore()
    {
        using TextScoringTransformer first = Model(1),
            second = Model(2),
            middle = Model(3);
        using (no_grad())
        {
            foreach ((string name, Parameter parameter) in middle.Classifier.Parameters)
            {
                using DisposeScope scope = NewDisposeScope();
                parameter.copy_((first.Classifier.Parameters[name] * 0.8) + (second.Classifier.Parameters[name] * 0.2));
            }
        }

        IDataView data = Data();
        long live = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        InterpolationMetrics metrics = _ml.SkillLoc().Connectivity.EvaluateInterpolation(first, second, data, data, numberOfPoints: 6);
        Assert.Equal(live, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
        Assert.Equal(["Validation", "Test"], metrics.Sets.Select(set => set.Name));
        InterpolationSet set = metrics.Sets[0];
        Assert.Equal([0, 0.2, 0.4, 0.6, 0.8, 1], set.Points.Select(point => point.X));
        Assert.Equal(12, metrics.ToDataView(_ml).GetColumn<double>("Loss").Count());

        foreach ((TextScoringTransformer model, int point) in new[] { (first, 0), (middle, 1), (second, 5) })
        {
            IDataView scored = model.Transform(data);
            CalibrationMetrics expected = _ml.SkillLoc().EvaluateCalibration(Keyed(scored));
            InterpolationPoint actual = set.Points[point];
            Assert.Equal(expected.LogLoss, actual.Loss, 1e-5);
            Assert.Equal(expected.Accuracy, actual.Accuracy, 1e-12);
            Assert.Equal(expected.Accuracy, actual.Metric, 1e-12);
            Assert.Equal(expected.ExpectedCalibrationError, actual.ExpectedCalibrationError, 1e-4);
            Assert.Equal(expected.BrierScore, actual.BrierScore, 1e-5);
            Assert.Equal(Same(scored, first.Transform(data)), actual.AgreementWithFirst, 1e-12);
            Assert.Equal(Same(scored, second.Transform(data)), actual.AgreementWithSecond, 1e-12);
            Assert.Equal(expected.Accuracy * expected.Count, actual.Right, 1e-9);
        }

        // The test must see models that differ, rows that change and a path that is not straight.
        Assert.InRange(set.Points[0].AgreementWithSecond, 0, 0.9);
        Assert.Contains(set.Points, point => point.Learnt > 0);
        double[] line = [.. set.Points.Select(point => ((1 - point.X) * set.Points[0].Loss) + (point.X * set.Points[5].Loss))];
        Assert.Equal(set.Points.Zip(line).Max(pair => pair.First.Loss - pair.Second), set.LossBarrier, 1e-12);
        for (int point = 1; point < 6; point++)
        {
            Assert.Equal(set.Points[point].Right - set.Points[point - 1].Right, set.Points[point].Learnt - set.Points[point].Forgotten);
            Assert.Equal(set.Points[point].Learnt, set.Changes.Count(change => change.IsLearnt && change.X == set.Points[point].X));
        }

        // Row 4 has no label.
        Assert.Equal([.. Enumerable.Range(0, 30).Where(row => row != 4)], set.Rows);
        Assert.Equal(2 * 6 * 29, metrics.ChangesToDataView(_ml).GetColumn<int>("Row").Count());

        double Same(IDataView one, IDataView other) =>
            one.GetColumn<uint>("PredictedLabel")
                .Zip(other.GetColumn<uint>("PredictedLabel"))
                .Where((_, row) => row != 4)
                .Average(pair => pair.First == pair.Second ? 1.0 : 0.0);
    }

    [Fact]
    public void ACurveOnItsLineIsTheLine()
    {
        using TextScoringTransformer first = Model(1),
            second = Model(2);
        using var curve = new ParameterPath(first.Classifier, second.Classifier, bends: 2);
        CheckpointInterpolationEvaluator.Options options = new()
        {
            First = first,
            Second = second,
            Training = Data(),
            NumberOfPoints = 3,
        };
        InterpolationSet line = _ml.SkillLoc().Connectivity.EvaluateInterpolation(options).Sets[0];
        options.Path = curve;
        InterpolationSet bent = _ml.SkillLoc().Connectivity.EvaluateInterpolation(options).Sets[0];

        // Control points at the middle: at 0.5 the weights are symmetric, and the ends are fixed.
        Assert.Equal("Training", bent.Name);
        for (int point = 0; point < 3; point++)
        {
            Assert.Equal(line.Points[point].Loss, bent.Points[point].Loss, 1e-5);
        }

        using TextScoringTransformer third = Model(3);
        options.Second = third;
        Assert.Throws<ArgumentException>(() => _ml.SkillLoc().Connectivity.EvaluateInterpolation(options));
    }

    [Fact]
    public void ManyPointsHavePlacesOfTheirOwn()
    {
        using TextScoringTransformer model = Model(1);
        IDataView row = _ml.Data.LoadFromEnumerable(Rows()[..1]);
        double[] places =
        [
            .. _ml.SkillLoc()
                .Connectivity.EvaluateInterpolation(model, model, row, numberOfPoints: 1002)
                .Sets[0]
                .Points.Select(point => point.X),
        ];
        Assert.Equal(1002, places.Distinct().Count());
        Assert.Equal((0, 1), (places[0], places[^1]));
        Assert.Equal(1 / 1001.0, places[1], 1e-14);
    }

    [Fact]
    public void OfTwoTasksOneIsEvaluated()
    {
        using TextScoringTransformer first = Model(1),
            second = Model(2, Settings with { Labels = ["yes", "no", "maybe"], Task = "other" });
        CheckpointInterpolationEvaluator.Options options = new()
        {
            First = first,
            Second = second,
            Test = Data(),
            NumberOfPoints = 2,
        };
        InterpolationMetrics metrics = _ml.SkillLoc().Connectivity.EvaluateInterpolation(options);
        Assert.Equal(_ml.SkillLoc().EvaluateCalibration(Keyed(first.Transform(Data()))).LogLoss, metrics.Sets[0].Points[0].Loss, 1e-5);
        options.Task = Endpoint.Second;
        string message = Assert.Throws<ArgumentException>(() => _ml.SkillLoc().Connectivity.EvaluateInterpolation(options)).Message;
        Assert.Contains("'maybe'", message, StringComparison.Ordinal);
        options.Test = _ml.Data.LoadFromEnumerable(
            Rows().Select(row => new Row { Label = row.Label == "" ? "" : "maybe", Text = row.Text })
        );
        metrics = _ml.SkillLoc().Connectivity.EvaluateInterpolation(options);
        Assert.Equal("other", metrics.Task);
        Assert.InRange(metrics.Sets[0].Points[1].Loss, 0.1, 10);
    }

    [Fact]
    public void WhatDoesNotFitIsNamed()
    {
        using TextScoringTransformer first = Model(1),
            second = Model(2),
            words = Model(1, new() { Labels = ["neg", "pos"], Words = ["bad", "good"] });
        Assert.Throws<ArgumentException>(() => Evaluate(options => options.Second = null));
        Assert.Throws<ArgumentException>(() => Evaluate(options => options.Validation = null));
        Assert.Throws<ArgumentOutOfRangeException>(() => Evaluate(options => options.NumberOfPoints = 0));
        Assert.Contains(
            "'classifier.dense.weight'",
            Assert.Throws<ArgumentException>(() => Evaluate(options => options.Second = words)).Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "Validation",
            Assert
                .Throws<InvalidOperationException>(() =>
                    Evaluate(options => options.Validation = _ml.Data.LoadFromEnumerable(Array.Empty<Row>()))
                )
                .Message,
            StringComparison.Ordinal
        );
        using var cancelled = new CancellationTokenSource();
        cancelled.Cancel();
        long live = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        Assert.Throws<OperationCanceledException>(() => Evaluate(options => options.CancellationToken = cancelled.Token));
        Assert.Equal(live, DisposeScopeManager.Statistics.ThreadTotalLiveCount);

        void Evaluate(Action<CheckpointInterpolationEvaluator.Options> change)
        {
            var options = new CheckpointInterpolationEvaluator.Options
            {
                First = first,
                Second = second,
                Validation = Data(),
            };
            change(options);
            _ml.SkillLoc().Connectivity.EvaluateInterpolation(options);
        }
    }

    [Fact]
    public void FilesAreTheReferences()
    {
        // Rows 0, 1 and 3 at the places 0, 0.04 and 1; validation, with the losses 1, 3 and 2.
        InterpolationMetrics metrics = ByHand(
            "Validation",
            [
                [true, false, true],
                [false, true, true],
                [true, true, true],
            ],
            [1, 3, 2]
        );
        metrics.Save(_folder, "k_16");
        Assert.Equal(
            """
            prefix,metric,x,dev_performance,dev_loss,test_performance,test_loss
            k_16,ACC,0.0000,0.6667,1.0000,0.0000,0.0000
            k_16,ACC,0.0400,0.6667,3.0000,0.0000,0.0000
            k_16,ACC,1.0000,1.0000,2.0000,0.0000,0.0000
            average,ACC,0.3467,0.7778,2.0000,0.0000,0.0000

            """.ReplaceLineEndings("\n"),
            Text("result.csv")
        );
        Assert.Equal(
            """{"0.0":{"zero_list":[1],"one_list":[0,3],"up_list":[0,3],"down_list":[]}"""
                + ""","0.04":{"zero_list":[0],"one_list":[1,3],"up_list":[1],"down_list":[0]}"""
                + ""","1.0":{"zero_list":[],"one_list":[0,1,3],"up_list":[0],"down_list":[]}}""",
            Text("valid_data_analysis.json")
        );
        Assert.Equal(
            "set\tx\tzero\tone\tup\tup_to_one\tdown\tdown_to_zero\n"
                + "Validation\t0.0\t1\t2\t2\t2\t0\t0\nValidation\t0.04\t1\t2\t1\t1\t1\t1\nValidation\t1.0\t0\t3\t1\t1\t0\t0\n",
            Text("data_analyze.txt")
        );
        Assert.Equal(
            "Validation: 0 points better than both ends\nValidation: best 1.0000 at 1.0, average 0.7778, average loss 2.0000\n",
            Text("solution_analysis.txt")
        );
        Assert.Equal(3 - ((0.96 * 1) + (0.04 * 2)), metrics.Sets[0].LossBarrier, 1e-12);
        Assert.Equal(((0.96 * 2) + (0.04 * 3) - 2) / 3, metrics.Sets[0].MetricBarrier, 1e-12);

        // Of training rows the paper's code keeps two lists, and no table.
        string training = Path.Join(_folder, "training");
        ByHand(
                "Training",
                [
                    [true, false, true],
                    [false, true, true],
                ],
                [1, 1]
            )
            .Save(training);
        Assert.Equal(["data_analyze.txt", "train_data_analysis.json"], Directory.EnumerateFiles(training).Select(Path.GetFileName).Order());
        Assert.Equal(
            """{"0.0":{"zero_list":[1],"one_list":[0,3]},"0.04":{"zero_list":[0],"one_list":[1,3]}}""",
            File.ReadAllText(Path.Join(training, "train_data_analysis.json"))
        );
    }

    [Fact]
    public void ScoresBetweenZeroAndOneRiseAndFall()
    {
        InterpolationMetrics metrics = ByHand(
            "Validation",
            [
                [0.5f, 0, 1],
                [1, 0.25f, 0],
                [0, 0.25f, 0.5f],
            ],
            [1, 1, 1]
        );
        metrics.Save(_folder);
        Assert.Equal(
            """{"0.0":{"zero_list":[1],"one_list":[3],"up_list":[0,3],"down_list":[]}"""
                + ""","0.04":{"zero_list":[3],"one_list":[0],"up_list":[0,1],"down_list":[3]}"""
                + ""","1.0":{"zero_list":[0],"one_list":[],"up_list":[3],"down_list":[0]}}""",
            Text("valid_data_analysis.json")
        );
        Assert.Equal(
            "set\tx\tzero\tone\tup\tup_to_one\tdown\tdown_to_zero\n"
                + "Validation\t0.0\t1\t1\t2\t1\t0\t0\nValidation\t0.04\t1\t1\t2\t1\t1\t1\nValidation\t1.0\t1\t0\t1\t0\t1\t1\n",
            Text("data_analyze.txt")
        );
        Assert.Equal(
            [
                (3, 0, 1f, true, false, false),
                (0, 0.04, 1f, true, true, false),
                (3, 0.04, 0f, false, false, true),
                (0, 1, 0f, false, false, true),
            ],
            metrics
                .Sets[0]
                .Changes.Where(change => change.IsRight || change.IsForgotten)
                .Select(change => (change.Row, change.X, change.Score, change.IsRight, change.IsLearnt, change.IsForgotten))
        );
    }

    [Fact]
    public void ARegressionHasLossAndCorrelationAlone()
    {
        ClassifierSettings settings = new()
        {
            Labels = ["no", "yes"],
            Words = ["bad", "good"],
            ScoreRange = new(0, 5),
            Metric = PromptMetric.Correlation,
        };
        using TextScoringTransformer first = Model(1, settings),
            second = Model(2, settings);
        float[] labels =
        [
            .. Rows()
                .Select(
                    (_, i) =>
                        i == 4 ? float.NaN
                        : i == 5 ? 0
                        : i * 7 % 11 / 2f
                ),
        ];
        IDataView data = _ml.Data.LoadFromEnumerable(Rows().Zip(labels, (row, label) => new ScoreRow { Label = label, Text = row.Text }));
        InterpolationMetrics metrics = _ml.SkillLoc().Connectivity.EvaluateInterpolation(first, second, data, numberOfPoints: 2);
        Assert.Equal("Pearson-Correlation", metrics.Metric);
        InterpolationSet set = metrics.Sets[0];
        Assert.Equal(29, set.Rows.Count);
        foreach ((TextScoringTransformer model, int point) in new[] { (first, 0), (second, 1) })
        {
            IDataView scored = model.Transform(data);
            double[] losses =
            [
                .. scored
                    .GetColumn<float>("Score")
                    .Zip(labels)
                    .Where(row => !float.IsNaN(row.Second))
                    .Select(row =>
                    {
                        double p = row.First / 5,
                            t = row.Second / 5;
                        return (t > 0 ? t * Math.Log(t / p) : 0) + (t < 1 ? (1 - t) * Math.Log((1 - t) / (1 - p)) : 0);
                    }),
            ];
            InterpolationPoint actual = set.Points[point];
            Assert.Equal(losses.Average(), actual.Loss, 1e-5);
            Assert.Equal(_ml.SkillLoc().Evaluation.EvaluateCorrelation(scored).Pearson, actual.Metric, 1e-5);
            Assert.All(
                new[]
                {
                    actual.Accuracy,
                    actual.BrierScore,
                    actual.ExpectedCalibrationError,
                    actual.AgreementWithFirst,
                    actual.AgreementWithSecond,
                },
                value => Assert.True(double.IsNaN(value))
            );
            Assert.Equal((0, 0, 0), (actual.Right, actual.Learnt, actual.Forgotten));
        }

        Assert.Empty(set.Scores);
        Assert.Empty(set.Changes);
        Assert.True(set.LossBarrier >= 0);
        metrics.Save(_folder, "sts");
        Assert.Equal(["result.csv", "solution_analysis.txt"], Directory.EnumerateFiles(_folder).Select(Path.GetFileName).Order());
        Assert.StartsWith("sts,Pearson-Correlation,0.0000,", Text("result.csv").Split('\n')[1], StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => _ml.SkillLoc().Connectivity.EvaluateForgetting(set, new TrainingDynamics()));
        Assert.Throws<InvalidOperationException>(() =>
            (metrics with { Sets = [set with { Name = "Training" }] }).Save(_folder + "-training")
        );
        Assert.Throws<ArgumentOutOfRangeException>(() => _ml.SkillLoc().Connectivity.EvaluateInterpolation(first, second, Data()));
        string message = Assert
            .Throws<InvalidOperationException>(() =>
                _ml.SkillLoc()
                    .Connectivity.EvaluateInterpolation(
                        first,
                        second,
                        _ml.Data.LoadFromEnumerable(
                            new[]
                            {
                                new ScoreRow { Label = 5.5f, Text = "a" },
                            }
                        )
                    )
            )
            .Message;
        Assert.Contains("Row 0", message, StringComparison.Ordinal);
        Assert.Contains("5.5", message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() =>
            _ml.SkillLoc()
                .Connectivity.EvaluateInterpolation(
                    new CheckpointInterpolationEvaluator.Options
                    {
                        First = first,
                        Second = second,
                        Validation = data,
                        Metric = PromptMetric.Accuracy,
                    }
                )
        );
    }

    [Fact]
    public void NothingIsOverwritten()
    {
        InterpolationMetrics metrics = ByHand(
            "Test",
            [
                [true, false, true],
                [true, true, true],
            ],
            [1, 2]
        );
        Assert.Throws<ArgumentException>(() => metrics.Save(_folder, "average"));
        Assert.Throws<ArgumentException>(() => metrics.Save(_folder, "a,b"));
        Directory.CreateDirectory(_folder);

        // A grid of fine-tunings writes a file of the same name.
        File.WriteAllText(Path.Join(_folder, "result.csv"), "prefix,metric,lr,bsz,dev_performance,test_performance\na,ACC,0.1,8,1,1\n");
        string message = Assert.Throws<IOException>(() => metrics.Save(_folder)).Message;
        Assert.Contains("prefix,metric,lr", message, StringComparison.Ordinal);
        Assert.Single(Directory.EnumerateFiles(_folder));

        const string Earlier = "prefix,metric,x,dev_performance,dev_loss,test_performance,test_loss\nb,ACC,0.0000,0,0,0,0";
        File.WriteAllText(Path.Join(_folder, "result.csv"), Earlier);
        metrics.Save(_folder, "a");
        string[] lines = Text("result.csv").Split('\n');
        Assert.Equal(Earlier.Split('\n'), lines[..2]);
        Assert.Equal("a,ACC,0.0000,0.0000,0.0000,0.6667,1.0000", lines[2]);
        Assert.Equal(6, lines.Length);

        string before = Text("result.csv");
        Assert.Throws<IOException>(() => metrics.Save(_folder, "c"));
        Assert.Equal(before, Text("result.csv"));
    }

    [Theory]
    [InlineData("Кириллица и ё", 1)]
    [InlineData("中文 路径", 1)]
    [InlineData("long", 25)]
    public void TheFilesMayLieAnywhere(string name, int times)
    {
        InterpolationMetrics metrics = ByHand(
            "Validation",
            [
                [true, false, true],
                [true, true, true],
            ],
            [1, 2]
        );
        string folder = Path.Join([_folder, .. Enumerable.Repeat(times == 1 ? name : $"{name}-{name}-{name}", times)]);
        metrics.Save(folder, "a");
        Assert.True(times == 1 || folder.Length > 300);
        metrics.Save(_folder, "a");
        string[] names = [.. Directory.EnumerateFiles(_folder).Select(file => Path.GetFileName(file))];
        Assert.NotEmpty(names);
        Assert.All(names, file => Assert.Equal(Text(file), File.ReadAllText(Path.Join(folder, file))));
    }

    [Fact]
    public void WhatAnInterruptedSaveLeftIsCompleted()
    {
        InterpolationMetrics metrics = ByHand(
            "Validation",
            [
                [true, false, true],
                [false, true, true],
                [true, true, true],
            ],
            [1, 3, 2]
        );
        const string Header = "prefix,metric,x,dev_performance,dev_loss,test_performance,test_loss\n";
        string whole = Path.Join(_folder, "whole");
        metrics.Save(whole, "a");
        string[] names =
        [
            .. Directory.EnumerateFiles(whole).Select(path => Path.GetFileName(path)).Where(name => name != "result.csv").Order(),
        ];
        Assert.Equal(["data_analyze.txt", "solution_analysis.txt", "valid_data_analysis.json"], names);
        for (int left = 0; left <= names.Length; left++)
        {
            string part = Path.Join(_folder, $"part-{left}");
            Directory.CreateDirectory(part);
            foreach (string name in names[..left])
            {
                File.Copy(Path.Join(whole, name), Path.Join(part, name));
            }

            // With the rows of an earlier path in the table; and once more, when all is there.
            File.WriteAllText(Path.Join(part, "result.csv"), Header + "b,ACC,0.0000,0.0000,0.0000,0.0000,0.0000\n");
            File.WriteAllText(Path.Join(part, "mine.txt"), "mine");
            for (int again = 0; again < 2; again++)
            {
                metrics.Save(part, "a");
                Assert.All(names, name => Assert.Equal(File.ReadAllText(Path.Join(whole, name)), File.ReadAllText(Path.Join(part, name))));
                Assert.Equal(
                    File.ReadAllText(Path.Join(whole, "result.csv")).Replace(Header, Header + "b,ACC,0.0000,0.0000,0.0000,0.0000,0.0000\n"),
                    File.ReadAllText(Path.Join(part, "result.csv"))
                );
                Assert.Equal("mine", File.ReadAllText(Path.Join(part, "mine.txt")));
                Assert.Equal(names.Length + 2, Directory.EnumerateFileSystemEntries(part).Count());
            }
        }

        // Of another path nothing is taken for a leaving.
        Assert.Throws<IOException>(() =>
            ByHand(
                    "Validation",
                    [
                        [true, true, true],
                        [false, true, true],
                        [true, true, true],
                    ],
                    [1, 3, 2]
                )
                .Save(whole, "a")
        );
        Assert.Throws<IOException>(() => metrics.Save(whole, "other"));
    }

    [Fact]
    public void ForgettingIsJoinedWithTrainingDynamics()
    {
        var dynamics = new TrainingDynamics();
        foreach ((int row, double[] confidences) in new[] { (0, new[] { 0.9, 0.9 }), (1, [0.2, 0.4]), (3, [0.1, 0.5]) })
        {
            foreach (double confidence in confidences)
            {
                dynamics.Add(row, confidence >= 0.4, confidence);
            }
        }

        InterpolationSet set = ByHand(
            "Training",
            [
                [true, false, true],
                [false, true, false],
                [false, true, true],
            ],
            [1, 1, 1]
        ).Sets[0];
        ForgettingMetrics forgetting = _ml.SkillLoc().Connectivity.EvaluateForgetting(set, dynamics);
        Assert.Equal(
            [("start", "0.0", 1, 0), ("0.0", "0.04", 2, 1), ("0.04", "1.0", 0, 1)],
            forgetting.Entries.Select(entry => (entry.From, entry.To, entry.Forgotten, entry.Relearnt))
        );
        Assert.Equal(
            (0.5, 0.3, 0.1, 1),
            (
                forgetting.Entries[0].Correctness,
                Math.Round(forgetting.Entries[0].Confidence, 12),
                Math.Round(forgetting.Entries[0].Variability, 12),
                forgetting.Entries[0].Turns
            )
        );

        // Rows 0 and 3: correctness 1 and 0.5, confidence 0.9 and 0.3, variability 0 and 0.2, turns 0 and 1.
        Assert.Equal(0.75, forgetting.Entries[1].Correctness, 1e-12);
        Assert.Equal(0.6, forgetting.Entries[1].Confidence, 1e-12);
        Assert.Equal(0.1, forgetting.Entries[1].Variability, 1e-12);
        Assert.Equal(0.5, forgetting.Entries[1].Turns, 1e-12);
        Assert.True(double.IsNaN(forgetting.Entries[2].Confidence));
        Assert.Equal(3, forgetting.ToDataView(_ml).GetColumn<string>("From").Count());
        Directory.CreateDirectory(_folder);
        forgetting.Save(Path.Join(_folder, "forgetting.txt"));
        Assert.StartsWith("from start ===> 0.0\ncount: 1\ncorrectness: 0.5\n", Text("forgetting.txt"), StringComparison.Ordinal);

        // From files alone, as the paper's code writes them.
        string analysis = Path.Join(_folder, "valid_data_analysis.json"),
            cartography = Path.Join(_folder, "cartography.json");
        dynamics.Save(cartography);
        File.WriteAllText(
            analysis,
            """{"0.0": {"zero_list": [1], "one_list": [0, 3]}, "0.04": {"zero_list": [0, 3], "one_list": [1]}, "1.0": {"zero_list": [0], "one_list": [1, 3], "up_list": []}}"""
        );
        Assert.Equal(forgetting.Entries, _ml.SkillLoc().Connectivity.EvaluateForgetting(analysis, cartography).Entries);
        File.WriteAllText(analysis, """{"0.0": {"zero_list": [], "one_list": [7]}}""");
        Assert.Contains(
            "Row 7",
            Assert.Throws<ArgumentException>(() => _ml.SkillLoc().Connectivity.EvaluateForgetting(analysis, cartography)).Message,
            StringComparison.Ordinal
        );
        foreach (
            string wrong in new[]
            {
                "{}",
                "[1]",
                """{"0.0": null}""",
                """{"0.0": {"zero_list": []}}""",
                """{"0.0": {"zero_list": null, "one_list": []}}""",
                """{"0.0": {"zero_list": ["a"], "one_list": []}}""",
            }
        )
        {
            File.WriteAllText(analysis, wrong);
            Assert.Contains(
                analysis,
                Assert.Throws<InvalidDataException>(() => _ml.SkillLoc().Connectivity.EvaluateForgetting(analysis, cartography)).Message,
                StringComparison.Ordinal
            );
        }

        Assert.Throws<FileNotFoundException>(() =>
            _ml.SkillLoc().Connectivity.EvaluateForgetting(Path.Join(_folder, "none.json"), cartography)
        );
        Assert.Throws<ArgumentException>(() => _ml.SkillLoc().Connectivity.EvaluateForgetting(set, new TrainingDynamics()));
    }

    [Fact]
    public void DistancesAreGivenByPlace()
    {
        var tuned = new ClassifierSettings
        {
            Labels = ["neg", "pos"],
            Words = ["bad", "good"],
            Tuning = new LoraOptions { Rank = 2 },
        };
        using TextScoringTransformer first = Model(1, tuned, shake: false),
            second = Model(1, tuned, shake: false);
        using (no_grad())
        {
            second.Classifier.Parameters["roberta.encoder.layer.1.attention.self.query.bias"].add_(0.5);
            second.Classifier.Parameters["roberta.encoder.layer.2.attention.self.query.lora_B.weight"].add_(2);
        }

        CheckpointDistanceMetrics metrics = _ml.SkillLoc().Connectivity.EvaluateDistance(first, second);

        // 48 biases by 0.5 and 48 x 2 scalars by 2.
        Assert.Equal(Math.Sqrt((48 * 0.25) + (96 * 4)), metrics.Whole.L2, 1e-5);
        Assert.Equal(Math.Sqrt(48 * 0.25), Assert.Single(metrics.Layers, layer => layer.Layer == 1).L2, 1e-5);
        Assert.Equal(Math.Sqrt(48 * 0.25), Assert.Single(metrics.Kinds, kind => kind.Kind == "attention.self.query.bias").L2, 1e-5);
        Assert.Equal(3 * 48, Assert.Single(metrics.Kinds, kind => kind.Kind == "attention.self.query.bias").Count);
        Assert.Equal(2, metrics.Parameters.Count(parameter => parameter.L2 > 0));
        Assert.Equal(Math.Sqrt(96 * 4), _ml.SkillLoc().Connectivity.EvaluateDistance(first, second, tunedOnly: true).Whole.L2, 1e-5);
        Assert.Equal(metrics.Parameters.Count, metrics.ToDataView(_ml).GetColumn<double>("Cosine").Count());
        Directory.CreateDirectory(_folder);
        metrics.Save(Path.Join(_folder, "distance.txt"));
        Assert.Contains($"num of para: {metrics.Whole.Count}\n", Text("distance.txt"), StringComparison.Ordinal);

        // Files of tuned weights hold what the tuning method trains.
        string[] files = [.. new[] { first, second }.Select((model, i) => Path.Join(_folder, $"{i}.safetensors"))];
        first.Classifier.SaveTuned(files[0]);
        second.Classifier.SaveTuned(files[1]);
        Assert.Equal(Math.Sqrt(96 * 4), _ml.SkillLoc().Connectivity.EvaluateDistance(files[0], files[1]).Whole.L2, 1e-5);
        CheckpointDistanceEntry same = _ml.SkillLoc()
            .Connectivity.EvaluateDistance(
                Oracles.PathOf("tiny-roberta", "pytorch_model.bin"),
                Oracles.PathOf("tiny-roberta", "pytorch_model.bin")
            )
            .Whole;
        Assert.Equal((0, 1), (same.L2, Math.Round(same.Cosine, 12)));
        string graft = Path.Join(_folder, "graft.safetensors");
        new Graft { BaseFingerprint = "a", Parts = [] }.Save(graft);
        Assert.Contains(
            "is a graft",
            Assert.Throws<ArgumentException>(() => _ml.SkillLoc().Connectivity.EvaluateDistance(graft, graft)).Message,
            StringComparison.Ordinal
        );

        // Both stacks of T5 count their layers from 0.
        CheckpointDistanceMetrics stacks = _ml.SkillLoc()
            .Connectivity.EvaluateDistance(Oracles.PathOf("tiny-t5"), Oracles.PathOf("tiny-t5"));
        Assert.Equal(["decoder", "encoder"], stacks.Layers.Where(layer => layer.Layer == 0).Select(layer => layer.Kind).Order());
        Assert.Equal((stacks.Whole.Count, 0), (stacks.Layers.Sum(layer => layer.Count), stacks.Whole.L2));
        Assert.All(
            new[] { "encoder.layer.0.SelfAttention.q.weight", "decoder.layer.1.EncDecAttention.q.weight" },
            kind => Assert.Single(stacks.Kinds, entry => entry.Kind == kind)
        );

        CheckpointDistanceMetrics folders = _ml.SkillLoc()
            .Connectivity.EvaluateDistance(Oracles.PathOf("tiny-roberta"), Oracles.PathOf("tiny-roberta-finetuned"));
        Assert.InRange(folders.Whole.L2, 0.01, 100);
        Assert.Throws<ArgumentException>(() =>
            _ml.SkillLoc().Connectivity.EvaluateDistance(Oracles.PathOf("tiny-roberta"), Oracles.PathOf("tiny-bert"))
        );
        using TextScoringTransformer plain = Model(1);
        Assert.Throws<ArgumentException>(() => _ml.SkillLoc().Connectivity.EvaluateDistance(plain, plain, tunedOnly: true));
    }

    private static TextScoringTransformer Model(int seed, ClassifierSettings? settings = null, bool shake = true)
    {
        var classifier = TextClassifier.Create(Oracles.PathOf("tiny-roberta"), settings ?? Settings, seed: seed);
        if (shake)
        {
            using DisposeScope scope = NewDisposeScope();
            using IDisposable noGradients = no_grad();
            using var generator = new Generator((ulong)seed);
            foreach (Parameter parameter in classifier.Parameters.Values)
            {
                parameter.add_(randn(parameter.shape, generator: generator) * 0.2);
            }
        }

        return new(classifier, new ScoringColumns());
    }

    private static InterpolationMetrics ByHand(string set, bool[][] right, double[] losses) =>
        ByHand(set, Array.ConvertAll(right, rows => Array.ConvertAll(rows, each => each ? 1f : 0f)), losses);

    /// <summary>Rows 0, 1 and 3 at the first of the places 0, 0.04 and 1.</summary>
    private static InterpolationMetrics ByHand(string set, float[][] scores, double[] losses) =>
        new()
        {
            Task = "",
            Metric = "ACC",
            Sets =
            [
                new()
                {
                    Name = set,
                    Rows = [0, 1, 3],
                    Scores = scores,
                    Points =
                    [
                        .. scores.Select(
                            (rows, i) =>
                                new InterpolationPoint
                                {
                                    Set = set,
                                    X = new[] { 0, 0.04, 1 }[i],
                                    Loss = losses[i],
                                    Metric = rows.Count(each => each == 1) / 3.0,
                                    Accuracy = 0,
                                    ExpectedCalibrationError = 0,
                                    BrierScore = 0,
                                    AgreementWithFirst = 0,
                                    AgreementWithSecond = 0,
                                    Right = rows.Count(each => each == 1),
                                    Learnt = 0,
                                    Forgotten = 0,
                                }
                        ),
                    ],
                },
            ],
        };

    private static Row[] Rows() =>
        [
            .. Enumerable
                .Range(0, 30)
                .Select(i => new Row
                {
                    Label =
                        i == 4 ? ""
                        : i % 2 == 0 ? "neg"
                        : "pos",
                    Text = string.Join(' ', Enumerable.Range(0, (i % 7) + 1).Select(j => $"word{(i * 5 + j) % 11}")),
                }),
        ];

    private IDataView Data() => _ml.Data.LoadFromEnumerable(Rows());

    /// <summary>The view with keys in the order of the model's labels; row 4 has none.</summary>
    private IDataView Keyed(IDataView scored)
    {
        IDataView order = _ml.Data.LoadFromEnumerable(
            new[]
            {
                new Row { Label = "neg" },
                new Row { Label = "pos" },
            }
        );
        return _ml
            .Transforms.Conversion.MapValueToKey("Label", keyData: _ml.Transforms.SelectColumns("Label").Fit(order).Transform(order))
            .Fit(scored)
            .Transform(scored);
    }

    private string Text(string file) => File.ReadAllText(Path.Join(_folder, file));

    private sealed class ScoreRow
    {
        public float Label { get; set; }

        public string Text { get; set; } = "";
    }

    private sealed class Row
    {
        public string Label { get; set; } = "";

        public string Text { get; set; } = "";
    }
}
