using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Prompts;
using SkillLoc.Transforms;
using TorchSharp;

namespace SkillLoc.Trainers.Tests;

/// <summary>Tasks in sequence, each in a graft of its own.</summary>
public sealed class ContinualGraftTests : IClassFixture<ContinualGraftTests.Sequence>, IDisposable
{
    private const int TrainRows = 32,
        TestRows = 24,
        TestSeed = 11;

    private readonly MLContext _ml = new(seed: 1);
    private readonly Sequence _fixture;
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;

    public ContinualGraftTests(Sequence fixture) => _fixture = fixture;

    private ContinualGraftResult Result => _fixture.Result;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void GraftsAreSparseAndApart()
    {
        Assert.Equal(["toy", "plot", "stage"], Result.Grafts.Keys);
        Graft[] grafts = [.. Result.Grafts.Values];
        Assert.All(grafts, graft => Assert.InRange(graft.Share, 0.005, 0.04));
        Assert.Equal(0, grafts[0].Overlap(grafts[1]));
        Assert.Equal(0, grafts[0].Overlap(grafts[2]));
        Assert.Equal(0, grafts[1].Overlap(grafts[2]));
    }

    [Fact]
    public void ATaskIsLearntBesideTheEarlierGrafts()
    {
        Graft[] earlier = [];
        foreach (PromptTask task in ToyTasks.All)
        {
            Graft[] before = earlier;
            IDataView train = ToyTasks.View(_ml, task, TrainRows);
            using TextScoringTransformer tuned = _ml.SkillLoc()
                .PromptFineTune(
                    Toy.Options(
                        FineTune
                            + (
                                options =>
                                {
                                    options.Task = task;
                                    options.StartFrom = before;
                                    options.Frozen = before;
                                }
                            )
                    )
                )
                .Fit(train);
            using GraftTransformer grafted = _ml.SkillLoc()
                .GraftMask(Mask(new GraftMaskEstimator.Options { FineTuned = tuned, BaseGrafts = before }))
                .Fit(train);
            Same(grafted.Graft, Result.Grafts[task.Name]);
            Assert.Equal(ToyTasks.Scores(_ml, grafted, task, TestRows, TestSeed), ScoresOf(Result.Union(task.Name), task));
            earlier = [.. earlier, grafted.Graft];
        }
    }

    [Fact]
    public void LaterTasksLeaveEarlierOnesAsTheyWere()
    {
        ContinualGraftResult alone = Fit(_ => { }, 1);
        Assert.Equal(["toy"], alone.Grafts.Keys);
        Assert.Equal(ScoresOf(alone.Union("toy"), ToyTasks.Film), ScoresOf(Result.Union("toy"), ToyTasks.Film));
        Assert.True(double.IsNaN(alone.AverageForgetting(ContinualMethod.OwnGrafts)));
    }

    [Fact]
    public void MetricsAreThoseOfTheUnions()
    {
        Graft[] grafts = [.. Result.Grafts.Values];
        for (int after = 0; after < 3; after++)
        {
            for (int place = 0; place <= after; place++)
            {
                PromptTask task = ToyTasks.All[place];
                foreach (
                    (ContinualMethod method, int count) in new[]
                    {
                        (ContinualMethod.AllGrafts, after + 1),
                        (ContinualMethod.OwnGrafts, place + 1),
                    }
                )
                {
                    using var model = GraftTransformer.Create(Graft.Union(grafts[..count], grafts[place]), Toy.Checkpoint);
                    ContinualGraftRow row = Row(ToyTasks.All[after], task, method);
                    Assert.Equal(ToyTasks.Accuracy(_ml, model, task, TestRows, TestSeed), row.Metric, 1e-9);
                    Assert.Equal(grafts[..count].Sum(graft => graft.Count), row.Parameters);
                    Assert.Equal(
                        Directory
                            .GetFiles(_fixture.Folder)
                            .Order(StringComparer.Ordinal)
                            .Take(count)
                            .Sum(file => new FileInfo(file).Length),
                        row.Bytes
                    );
                }
            }
        }

        Assert.Equal(3 * 6, Result.Rows.Count);
    }

    [Fact]
    public void TheBaselineIsFineTuningAfterFineTuning()
    {
        string checkpoint = Toy.Checkpoint;
        var settings = new List<ClassifierSettings>();
        foreach (PromptTask task in ToyTasks.All)
        {
            using TextScoringTransformer tuned = _ml.SkillLoc()
                .PromptFineTune(
                    Toy.Options(
                        FineTune
                            + (
                                options =>
                                {
                                    options.Checkpoint = checkpoint;
                                    options.Task = task;
                                }
                            )
                    )
                )
                .Fit(ToyTasks.View(_ml, task, TrainRows));
            checkpoint = Path.Join(_folder, task.Name);
            tuned.SaveCheckpoint(checkpoint);
            settings.Add(tuned.Classifier.Settings);
            foreach ((ClassifierSettings each, PromptTask scored) in settings.Zip(ToyTasks.All))
            {
                using var model = new TextScoringTransformer(tuned.Classifier.ForTask(each), tuned.Columns);
                ContinualGraftRow row = Row(task, scored, ContinualMethod.Sequential);
                Assert.Equal(ToyTasks.Accuracy(_ml, model, scored, TestRows, TestSeed), row.Metric, 1e-9);
                Assert.Equal((56880, 4 * 56880), (row.Parameters, row.Bytes));
            }
        }
    }

    [Fact]
    public void ForgettingIsTheBestEarlierMetricLessTheLast()
    {
        foreach (ContinualMethod method in Enum.GetValues<ContinualMethod>())
        {
            double Metric(int after, int task) => Row(ToyTasks.All[after], ToyTasks.All[task], method).Metric;
            double first = Math.Max(Metric(0, 0), Metric(1, 0)) - Metric(2, 0),
                second = Metric(1, 1) - Metric(2, 1);
            Assert.Equal(first, Result.Forgetting(method, "toy"), 1e-12);
            Assert.Equal(second, Result.Forgetting(method, "plot"), 1e-12);
            Assert.True(double.IsNaN(Result.Forgetting(method, "stage")));
            Assert.Equal((first + second) / 2, Result.AverageForgetting(method), 1e-12);
        }

        Assert.Equal(0, Result.AverageForgetting(ContinualMethod.OwnGrafts));
        Assert.Throws<ArgumentException>(() => Result.Forgetting(ContinualMethod.OwnGrafts, "other"));
    }

    [Fact]
    public void TheViewHoldsTheRows()
    {
        IDataView view = Result.ToDataView(_ml);
        Assert.Equal(["After", "Task", "Method", "Metric", "Parameters", "Bytes"], view.Schema.Select(column => column.Name));
        Assert.Equal(Result.Rows.Select(row => row.Metric), view.GetColumn<double>("Metric"));
        Assert.Equal(Result.Rows.Select(row => row.Method.ToString()), view.GetColumn<string>("Method"));
    }

    [Fact]
    public void WhatWasLearntIsReadFromTheFolder()
    {
        string[] files = [.. Directory.GetFiles(_fixture.Folder).Order(StringComparer.Ordinal)];
        Assert.Equal(3, files.Length);
        foreach (string file in files[..2])
        {
            File.Copy(file, Path.Join(_folder, Path.GetFileName(file)));
        }

        int steps = 0;
        Action<ContinualGraft.Options> change = options =>
        {
            options.Folder = _folder;
            options.FineTune.Progress = new Trainings.Immediate(_ => steps++);
        };
        ContinualGraftResult resumed = Fit(change, 3);
        Assert.Equal(TrainRows / 8 * 3, steps);
        Assert.All(Result.Grafts, pair => Same(pair.Value, resumed.Grafts[pair.Key]));
        Assert.Equal(Result.Rows.Where(row => row.Method != ContinualMethod.Sequential), resumed.Rows);
        Assert.Equal(files.Select(Path.GetFileName), Directory.GetFiles(_folder).Order(StringComparer.Ordinal).Select(Path.GetFileName));

        // Another option makes another run.
        steps = 0;
        Fit(change + (options => options.GraftMask.Sparsity = 0.01), 1);
        Assert.Equal(TrainRows / 8 * 3, steps);
    }

    [Fact]
    public void ACancelledSequenceGivesWhatIsLearnt()
    {
        using var cancellation = new CancellationTokenSource();
        int steps = 0;
        ContinualGraftResult result = Fit(
            options =>
            {
                options.Folder = _folder;
                options.FineTune.CancellationToken = cancellation.Token;
                options.FineTune.Progress = new Trainings.Immediate(_ =>
                {
                    if (++steps == (TrainRows / 8 * 3) + 2)
                    {
                        cancellation.Cancel();
                    }
                });
            },
            3
        );
        Assert.Equal(["toy"], result.Grafts.Keys);
        Same(Result.Grafts["toy"], result.Grafts["toy"]);
        Assert.Single(Directory.GetFiles(_folder));
    }

    [Fact]
    public void HeadsAreKeptWithTheGrafts()
    {
        ContinualGraftResult result = Fit(
            options =>
            {
                options.FineTune.Head = HeadKind.SequenceClassification;
                options.SequentialBaseline = true;
            },
            2
        );
        Assert.All(result.Grafts.Values, graft => Assert.NotEmpty(graft.HeadParameters));
        foreach (PromptTask task in ToyTasks.All.Take(2))
        {
            using var model = GraftTransformer.Create(result.Union(task.Name), Toy.Checkpoint);
            double metric = ToyTasks.Accuracy(_ml, model, task, TestRows, TestSeed);
            Assert.All(
                result.Rows.Where(row => row.Task == task.Name && row.Method == ContinualMethod.OwnGrafts),
                row => Assert.Equal(metric, row.Metric, 1e-9)
            );
        }
    }

    [Fact]
    public void NoTensorIsLeft()
    {
        Action<ContinualGraft.Options> change = options =>
        {
            options.FineTune.Head = HeadKind.SequenceClassification;
            options.FineTune.MaxSteps = 1;
            options.GraftMask.Epochs = 1;
            options.SequentialBaseline = true;
        };
        Fit(change, 2);
        GC.Collect();
        GC.WaitForPendingFinalizers();
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        Fit(change, 2);
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    [Fact]
    public void BadInputIsRefused()
    {
        ContinualTask film = TaskOf(_ml, ToyTasks.Film);
        ContinualGraft sequence = _ml.SkillLoc().Grafts.GraftContinually(OptionsOf(_ => { }));
        Says("no task", () => sequence.Train());
        Says("'toy' is given twice", () => sequence.Train(film, film));
        Says("Task 2 of the sequence, 'plot'", () => sequence.Train(film, TaskOf(_ml, ToyTasks.Plot) with { Test = null! }));
        Says("'early'", () => sequence.Train(film with { Test = ToyTasks.View(_ml, ToyTasks.Plot, 4) }));
        Says("StartFrom", () => _ml.SkillLoc().Grafts.GraftContinually(OptionsOf(options => options.FineTune.Task = ToyTasks.Film)));
        Says("zeros", () => _ml.SkillLoc().Grafts.GraftContinually(OptionsOf(options => options.GraftMask.Outside = GraftOutside.Zero)));
        Says("Sparsity", () => _ml.SkillLoc().Grafts.GraftContinually(OptionsOf(options => options.GraftMask.Sparsity = 2)));

        static void Says(string text, Func<object> work) =>
            Assert.Contains(text, Assert.ThrowsAny<ArgumentException>(work).Message, StringComparison.Ordinal);
    }

    private static Action<PromptFineTuneTrainer.Options> FineTune => options => options.Epochs = 3;

    private static GraftMaskEstimator.Options Mask(GraftMaskEstimator.Options options)
    {
        options.Sparsity = 0.02;
        options.Epochs = 2;
        options.Seed = 0;
        return options;
    }

    private static ContinualGraft.Options OptionsOf(Action<ContinualGraft.Options> change)
    {
        var options = new ContinualGraft.Options
        {
            FineTune = Toy.Options(FineTune + (tuning => tuning.Task = null)),
            GraftMask = Mask(new()),
        };
        change(options);
        return options;
    }

    private static ContinualTask TaskOf(MLContext ml, PromptTask task) =>
        new(task, ToyTasks.View(ml, task, TrainRows), ToyTasks.View(ml, task, TestRows, TestSeed));

    private static void Same(Graft expected, Graft actual)
    {
        Assert.Equal(expected.Parts.Select(part => part.Name), actual.Parts.Select(part => part.Name));
        Assert.All(
            expected.Parts.Zip(actual.Parts),
            pair =>
            {
                Assert.Equal(pair.First.Indices, pair.Second.Indices);
                Assert.True(Trainings.SameBits(pair.First.Values, pair.Second.Values), pair.First.Name);
            }
        );
    }

    private ContinualGraftResult Fit(Action<ContinualGraft.Options> change, int tasks) =>
        _ml.SkillLoc().Grafts.GraftContinually(OptionsOf(change)).Train(ToyTasks.All.Take(tasks).Select(task => TaskOf(_ml, task)));

    private float[][] ScoresOf(Graft graft, PromptTask task)
    {
        using var model = GraftTransformer.Create(graft, Toy.Checkpoint);
        return ToyTasks.Scores(_ml, model, task, TestRows, TestSeed);
    }

    private ContinualGraftRow Row(PromptTask after, PromptTask task, ContinualMethod method) =>
        Result.Rows.Single(row => row.After == after.Name && row.Task == task.Name && row.Method == method);

    /// <summary>Three tasks, learnt once.</summary>
    public sealed class Sequence : IDisposable
    {
        public Sequence()
        {
            var ml = new MLContext(seed: 1);
            Result = ml.SkillLoc()
                .Grafts.GraftContinually(
                    OptionsOf(options =>
                    {
                        options.Folder = Folder;
                        options.SequentialBaseline = true;
                    })
                )
                .Train(ToyTasks.All.Select(task => TaskOf(ml, task)));
        }

        public string Folder { get; } = Directory.CreateTempSubdirectory("skillloc-").FullName;

        public ContinualGraftResult Result { get; }

        public void Dispose() => Directory.Delete(Folder, recursive: true);
    }
}
