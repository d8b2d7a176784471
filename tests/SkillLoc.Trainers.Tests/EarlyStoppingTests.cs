using Microsoft.ML;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Runs;
using SkillLoc.Transforms;

namespace SkillLoc.Trainers.Tests;

/// <summary>Training ends when validations no longer improve (methods, C.2).</summary>
public sealed class EarlyStoppingTests : IDisposable
{
    private readonly MLContext _ml = new(seed: 1);
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;

    /// <summary>A constant rate that is too high to get better for long.</summary>
    private static Action<PromptFineTuneTrainer.Options> Usual =>
        options =>
        {
            options.Optimizer = OptimizerKind.Adafactor;
            options.LearningRate = 1e-2;
            options.MaxSteps = 40;
            options.BatchSize = 4;
            options.EvaluationInterval = 2;
        };

    private string Log => Path.Join(_folder, "runs.jsonl");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void ItEndsAfterSoManyValidationsThatDoNotImprove()
    {
        IDataView train = Toy.View(_ml, Toy.Examples(24)),
            validation = Toy.View(_ml, Toy.Examples(16, seed: 3));
        var metrics = new List<double>();
        Fit(
                Usual
                    + (
                        options =>
                            options.Progress = new Trainings.Immediate(report =>
                            {
                                if (report.Step % 2 == 0)
                                {
                                    metrics.Add(report.Metric!.Value);
                                }
                            })
                    ),
                train,
                validation
            )
            .Dispose();
        var ends = new HashSet<int>();
        foreach (int patience in new[] { 1, 2, 4 })
        {
            double best = double.NegativeInfinity;
            int stale = 0,
                last = 0;
            for (; last < metrics.Count && stale < patience; last++)
            {
                stale = metrics[last] >= best ? 0 : stale + 1;
                best = Math.Max(best, metrics[last]);
            }

            Assert.InRange(last, patience + 1, metrics.Count - 1);
            ends.Add(last);
            using TextScoringTransformer ended = Fit(
                Usual
                    + (
                        options =>
                        {
                            options.Patience = patience;
                            options.RecordPath = Log;
                        }
                    ),
                train,
                validation
            );
            Assert.Equal(2 * last, ended.Record!.Steps);
            Assert.Equal(best, ended.Record.Metrics["validation"]);

            // It is a complete training, not a cancelled one, and holds the best state.
            Assert.Equal(ends.Count, RunRecord.Read(Log).Count);
            using TextScoringTransformer same = Fit(
                Usual + (options => options.MaxSteps = (int)ended.Record.Metrics["best_step"]),
                train,
                validation: null
            );
            Assert.Equal(same.Classifier.Fingerprint(), ended.Classifier.Fingerprint());
        }

        Assert.Equal(3, ends.Count);
    }

    [Fact]
    public void ALossOfNothingDoesNotImprove()
    {
        // All rows are of one of the labels, so that the loss falls to nothing and the metric stays at its best.
        IDataView both = _ml.Data.LoadFromEnumerable(Toy.Examples(8));
        IDataView rows = _ml
            .Transforms.Conversion.MapValueToKey("Label")
            .Fit(both)
            .Transform(_ml.Data.LoadFromEnumerable(Toy.Examples(8).Where(row => row.Label == "pos")));
        Action<PromptFineTuneTrainer.Options> change =
            Usual
            + (
                options =>
                {
                    options.Task = null;
                    options.Head = HeadKind.SequenceClassification;
                    options.LearningRate = 0.3;
                }
            );
        var losses = new List<double>();
        using TextScoringTransformer whole = Fit(
            change + (options => options.Progress = new Trainings.Immediate(report => losses.Add(report.Loss))),
            rows,
            rows
        );
        int first = losses.Chunk(2).ToList().FindIndex(pair => pair.Average() < 1e-7);
        Assert.InRange(first, 1, 16);
        Assert.All(losses.Chunk(2).Skip(first), pair => Assert.True(pair.Average() < 1e-7));
        Assert.Equal(40, whole.Record!.Steps);
        Assert.Equal((1, 40), (whole.Record.Metrics["validation"], whole.Record.Metrics["best_step"]));

        change += options => options.Patience = 3;
        using TextScoringTransformer ended = Fit(change, rows, rows);
        Assert.Equal(2 * (first + 3), ended.Record!.Steps);
        Assert.Equal((1, ended.Record.Steps), (ended.Record.Metrics["validation"], ended.Record.Metrics["best_step"]));

        // The first loss of the last window that improved counts after an interruption between its two.
        int last = (2 * first) - 1;
        Assert.True(losses[last] < 2e-7, "The test needs a window whose second loss alone would be nothing.");
        using var cancel = new CancellationTokenSource();
        change += options => options.StateFile = Path.Join(_folder, "state.safetensors");
        using TextScoringTransformer begun = Fit(
            change
                + (
                    options =>
                    {
                        options.CancellationToken = cancel.Token;
                        options.Progress = new Trainings.Immediate(report =>
                        {
                            if (report.Step == last)
                            {
                                cancel.Cancel();
                            }
                        });
                    }
                ),
            rows,
            rows
        );
        Assert.Equal(last, begun.Record!.Steps);
        using TextScoringTransformer resumed = Fit(change, rows, rows);
        Assert.Equal(ended.Record.Steps, resumed.Record!.Steps);
    }

    [Fact]
    public void ItNeedsAValidationSet()
    {
        Says(() => Trainings.Fit(Toy.Examples(8), options => options.Patience = 1));
        MultiTaskFineTuneTrainer trainer = _ml.SkillLoc()
            .Grafts.MultiTaskFineTune(
                Toy.Options(options =>
                {
                    options.Task = null;
                    options.Patience = 1;
                }),
                ToyTasks.Film
            );
        Says(() => trainer.Train(ToyTasks.Views(_ml, [ToyTasks.Film], 8)));
        Assert.Throws<ArgumentOutOfRangeException>(() => Trainings.Fit(Toy.Examples(8), options => options.Patience = 0));

        static void Says(Func<object> work)
        {
            string message = Assert.Throws<ArgumentException>(work).Message;
            Assert.Contains("Patience", message, StringComparison.Ordinal);
            Assert.Contains("validation set", message, StringComparison.Ordinal);
        }
    }

    private TextScoringTransformer Fit(Action<PromptFineTuneTrainer.Options> change, IDataView train, IDataView? validation) =>
        _ml.SkillLoc().PromptFineTune(Toy.Options(change)).Fit(train, validation);
}
