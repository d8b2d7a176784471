using System.Text.Json;
using Microsoft.ML;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Runs;
using SkillLoc.Models.Runtime;
using SkillLoc.Transforms;

namespace SkillLoc.Trainers.Tests;

/// <summary>What a training leaves behind: checkpoints, and a line in the log of runs.</summary>
public sealed class CheckpointAndRecordTests : IDisposable
{
    private readonly MLContext _ml = new(seed: 1);
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;

    private string Log => Path.Join(_folder, "runs.jsonl");

    /// <summary>A learning rate that wrecks the model in the end, so that the last state is not the best.</summary>
    private Action<PromptFineTuneTrainer.Options> Wrecked =>
        options =>
        {
            options.ValidationSet = Toy.View(_ml, Toy.Examples(40, seed: 3));
            options.EvaluationInterval = 10;
            options.LearningRate = 5e-2;
            options.WarmupSteps = 40;
            options.MaxSteps = 40;
        };

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void CheckpointsAreThoseAskedFor()
    {
        string checkpoints = Path.Join(_folder, "checkpoints");
        using TextScoringTransformer best = Fit(
            Wrecked
                + (
                    options =>
                    {
                        options.CheckpointFolder = checkpoints;
                        options.Checkpoints = CheckpointPolicy.Best | CheckpointPolicy.Last | CheckpointPolicy.Every;
                        options.CheckpointInterval = 2;
                    }
                )
        );
        using TextScoringTransformer last = Fit(Wrecked + (options => options.Keep = FinalWeights.Last));
        Assert.Equal(["best", "ckpt_20", "ckpt_40", "last"], Directory.GetDirectories(checkpoints).Select(Path.GetFileName).Order());
        Assert.NotEqual(best.Classifier.Fingerprint(), last.Classifier.Fingerprint());
        Assert.Equal(best.Classifier.Fingerprint(), Fingerprint("best"));
        Assert.Equal(last.Classifier.Fingerprint(), Fingerprint("last"));
        Assert.Equal(last.Classifier.Fingerprint(), Fingerprint("ckpt_40"));

        string Fingerprint(string name)
        {
            using var classifier = TextClassifier.Load(Path.Join(checkpoints, name));
            return classifier.Fingerprint();
        }
    }

    [Fact]
    public void TheBestNeedsAValidationSet() =>
        Assert.Throws<ArgumentException>(() =>
            Fit(options =>
            {
                options.CheckpointFolder = _folder;
                options.Checkpoints = CheckpointPolicy.Best;
            })
        );

    [Fact]
    public void ARecordSaysWhatTheRunWas()
    {
        var reports = new List<TrainingProgress>();
        using TextScoringTransformer model = Fit(
            Wrecked
                + (
                    options =>
                    {
                        options.RecordPath = Log;
                        options.Progress = new Trainings.Immediate(reports.Add);
                    }
                )
        );
        using var json = JsonDocument.Parse(Assert.Single(File.ReadAllLines(Log)));
        JsonElement line = json.RootElement;
        Assert.Equal("fine-tune", line.GetProperty("kind").GetString());
        Assert.Equal("toy", line.GetProperty("task").GetString());
        Assert.Equal(24, line.GetProperty("rows").GetInt32());
        Assert.Equal(40, line.GetProperty("steps").GetInt32());
        Assert.Equal(TimeSpan.Zero, line.GetProperty("time").GetDateTimeOffset().Offset);
        Assert.Equal(Path.GetFullPath(Toy.Checkpoint), line.GetProperty("checkpoint").GetString());
        using (var start = TextClassifier.Create(Toy.Checkpoint, model.Classifier.Settings))
        {
            Assert.Equal(start.Backbone.Fingerprint(), line.GetProperty("fingerprint").GetString());
        }

        JsonElement options = line.GetProperty("options"),
            metrics = line.GetProperty("metrics");
        Assert.Equal("0.05", options.GetProperty("learning_rate").GetString());
        Assert.Equal("5", options.GetProperty("seed").GetString());
        Assert.Equal("AdamW", options.GetProperty("optimizer").GetString());
        Assert.Equal("True", options.GetProperty("fix_embeddings").GetString());
        Assert.Equal("neg|pos", options.GetProperty("labels").GetString());
        Assert.Equal(reports[^1].Loss, metrics.GetProperty("loss").GetDouble());
        TrainingProgress[] evaluated = [.. reports.Where(report => report.Step % 10 == 0)];
        double best = evaluated.Max(report => report.Metric!.Value);
        Assert.Equal(best, metrics.GetProperty("validation").GetDouble());
        Assert.Equal(evaluated.Last(report => report.Metric == best).Step, metrics.GetProperty("best_step").GetInt32());

        // Test metrics may follow, as another line of the same run.
        RunRecord.Append(
            Log,
            model.Record! with
            {
                Metrics = new Dictionary<string, double>(StringComparer.Ordinal) { ["test.accuracy"] = 0.75 },
            }
        );
        IReadOnlyList<RunRecord> read = RunRecord.Read(Log);
        Assert.Equal(2, read.Count);
        Assert.Equal(read[0].Id, read[1].Id);
        Assert.Equal(0.75, read[1].Metrics["test.accuracy"]);
        Assert.Equal(model.Record!.Options.OrderBy(pair => pair.Key), read[0].Options.OrderBy(pair => pair.Key));
        Assert.Equal(model.Record.Seconds, read[0].Seconds);
    }

    [Fact]
    public void EveryChoiceIsInTheRecord()
    {
        // One option at a time: a record that does not change would lose it.
        Dictionary<string, string> usual = Describe(_ => { });
        foreach (
            Action<PromptFineTuneTrainer.Options> change in new Action<PromptFineTuneTrainer.Options>[]
            {
                options => options.Optimizer = OptimizerKind.Sgd,
                options => options.Optimizer = OptimizerKind.Adafactor,
                options => options.InitialisationSeed = 3,
                options => options.WeightDecay = 0.5,
                options => options.WarmupSteps = 2,
                options => options.BatchSize = 3,
                options => options.GradientAccumulationSteps = 2,
                options => options.Epochs = 1,
                options => options.MaxSteps = 1,
                options => options.MaxGradientNorm = 2,
                options => options.ClipOverAllParameters = true,
                options => options.Dropout = 0.3,
                options => options.FixEmbeddings = false,
                options => options.FixHead = false,
                options => options.FixLayers = 1,
                options => options.BiasOnly = true,
                options => options.L1 = 0.1,
                options =>
                {
                    options.Patience = 3;
                    options.ValidationSet = Toy.View(new(seed: 1), Toy.Examples(4));
                },
                options => options.EvaluationInterval = 7,
                options => options.Keep = FinalWeights.Last,
                options => options.MaxLength = 40,
                options => options.Truncation = Models.Prompts.Truncation.Tail,
                options => options.MaxTokensPerBatch = 99,
                options => options.Precision = Precision.BFloat16,
                options => options.Region = [new("roberta.encoder.layer.0.output.dense.bias", [1], [0])],
                options => options.Head = HeadKind.MaskTokenLinear,
                options =>
                    options.Task = Toy.Task with { Template = Models.Prompts.PromptTemplate.Parse("*cls**sent_0*_was*mask*.*sep+*") },
            }
        )
        {
            Assert.NotEqual(usual.OrderBy(pair => pair.Key), Describe(change).OrderBy(pair => pair.Key));
        }

        static Dictionary<string, string> Describe(Action<PromptFineTuneTrainer.Options> change)
        {
            Action<PromptFineTuneTrainer.Options> untrained = options => options.Epochs = 0;
            using TextScoringTransformer model = Fit(untrained + change);
            return new(model.Record!.Options, StringComparer.Ordinal);
        }
    }

    [Fact]
    public void ParallelAppendsDoNotMix()
    {
        string filler = new('x', 10_000);
        Parallel.For(
            0,
            60,
            new ParallelOptions { MaxDegreeOfParallelism = 6 },
            i =>
                RunRecord.Append(
                    Log,
                    new()
                    {
                        Kind = "test",
                        Task = filler,
                        Steps = i,
                    }
                )
        );
        Assert.Equal(Enumerable.Range(0, 60), RunRecord.Read(Log).Select(record => record.Steps).Order());
        Assert.All(File.ReadLines(Log), line => JsonDocument.Parse(line).Dispose());
    }

    [Fact]
    public void HalfALineHarmsNoOther()
    {
        RunRecord.Append(Log, new() { Kind = "test", Steps = 1 });
        File.AppendAllText(Log, "{\"kind\": \"te");
        RunRecord.Append(Log, new() { Kind = "test", Steps = 2 });
        Assert.Equal([1, 2], RunRecord.Read(Log).Select(record => record.Steps));
    }

    [Fact]
    public void RecordsHoldFiniteNumbers() =>
        Assert.Contains(
            "'loss'",
            Assert
                .Throws<ArgumentException>(() =>
                    RunRecord.Append(
                        Log,
                        new()
                        {
                            Kind = "test",
                            Metrics = new Dictionary<string, double>(StringComparer.Ordinal) { ["loss"] = double.NaN },
                        }
                    )
                )
                .Message,
            StringComparison.Ordinal
        );

    private static TextScoringTransformer Fit(Action<PromptFineTuneTrainer.Options> change) => Trainings.Fit(Toy.Examples(24), change);
}
