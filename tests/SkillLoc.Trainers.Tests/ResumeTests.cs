using System.Text.Json;
using Microsoft.ML;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Runtime;
using SkillLoc.Transforms;
using TorchSharp;

namespace SkillLoc.Trainers.Tests;

/// <summary>A training that was interrupted goes on to the result that it would have had.</summary>
public sealed class ResumeTests : IDisposable
{
    private const int Steps = 14;
    private static readonly Toy.Row[] Rows = Toy.Examples(21);

    private readonly MLContext _ml = new(seed: 1);
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;

    private string State => Path.Join(_folder, "states", "run.safetensors");

    private Action<PromptFineTuneTrainer.Options> Usual =>
        options =>
        {
            options.MaxSteps = Steps;
            options.BatchSize = 2;
            options.GradientAccumulationSteps = 2;
            options.Dropout = 0.1;
            options.WarmupSteps = 3;
            options.ValidationSet = Toy.View(_ml, Toy.Examples(12, seed: 3));
            options.EvaluationInterval = 3;
            options.StateFile = State;
            options.StateInterval = 2;
        };

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    // States are written after updates 2, 4, ...; evaluations are at 3, 6, ...; an epoch has 5 updates.
    [Theory]
    [InlineData(OptimizerKind.AdamW, Precision.Float32, 1, 0)]
    [InlineData(OptimizerKind.AdamW, Precision.Float32, 3, 2)]
    [InlineData(OptimizerKind.AdamW, Precision.Float32, 6, 6)]
    [InlineData(OptimizerKind.AdamW, Precision.Float32, 11, 10)]
    [InlineData(OptimizerKind.AdamW, Precision.Float32, 13, 12)]
    [InlineData(OptimizerKind.AdamW, Precision.Float32, 14, 14)]
    [InlineData(OptimizerKind.AdamW, Precision.BFloat16, 7, 6)]
    [InlineData(OptimizerKind.Sgd, Precision.Float32, 5, 4)]
    [InlineData(OptimizerKind.Sgd, Precision.Float32, 8, 8)]
    [InlineData(OptimizerKind.Adafactor, Precision.Float32, 7, 6)]
    public void AKilledTrainingGoesOn(OptimizerKind kind, Precision precision, int kill, int from)
    {
        Action<PromptFineTuneTrainer.Options> change =
            Usual
            + (
                options =>
                {
                    options.Optimizer = kind;
                    options.Precision = precision;
                    options.WarmupSteps = kind == OptimizerKind.Adafactor ? 0 : options.WarmupSteps;
                }
            );
        using TextScoringTransformer whole = Fit(change + (options => options.StateFile = null));
        Assert.Throws<KilledException>(() => Fit(change + Kill(kill)));
        Assert.Equal(from > 0, File.Exists(State));

        var steps = new List<int>();
        using TextScoringTransformer resumed = Fit(
            change + (options => options.Progress = new Trainings.Immediate(report => steps.Add(report.Step)))
        );
        Assert.Equal(Enumerable.Range(from + 1, Steps - from), steps);
        Same(whole, resumed);
        Assert.Equal(whole.Record!.Metrics.OrderBy(pair => pair.Key), resumed.Record!.Metrics.OrderBy(pair => pair.Key));
        Assert.False(File.Exists(State));
    }

    [Fact]
    public void ManyKillsAreAsNone()
    {
        using TextScoringTransformer whole = Fit(Usual + (options => options.StateFile = null));
        foreach (int kill in new[] { 3, 4, 5, 9, 12 })
        {
            Assert.Throws<KilledException>(() => Fit(Usual + Kill(kill)));
        }

        using TextScoringTransformer resumed = Fit(Usual);
        Same(whole, resumed);
    }

    [Fact]
    public void WhatWasRecordedOfTheRowsIsKept()
    {
        string map = Path.Join(_folder, "map.json"),
            whole = Path.Join(_folder, "whole.json");
        Fit(
                Usual
                    + (
                        options =>
                        {
                            options.CartographyPath = whole;
                            options.StateFile = null;
                        }
                    )
            )
            .Dispose();
        Action<PromptFineTuneTrainer.Options> change = Usual + (options => options.CartographyPath = map);

        // Epochs end after updates 5 and 10; after the first kill the file knows of the first one, and the state does not.
        foreach (int kill in new[] { 5, 7, 11 })
        {
            Assert.Throws<KilledException>(() => Fit(change + Kill(kill)));
            Assert.True(File.Exists(map));
        }

        InvalidOperationException error = Assert.Throws<InvalidOperationException>(() => Fit(Usual));
        Assert.Contains("cartography is recorded there and none here", error.Message, StringComparison.Ordinal);

        // No epoch ends any more, and what was recorded is in the state.
        File.Delete(map);
        Fit(change).Dispose();
        Assert.Equal(File.ReadAllText(whole), File.ReadAllText(map));
        using var json = JsonDocument.Parse(File.ReadAllText(map));
        Assert.Equal(21, json.RootElement.EnumerateObject().Count());
        Assert.All(json.RootElement.EnumerateObject(), row => Assert.Equal(2, row.Value.GetProperty("confidence").GetArrayLength()));
    }

    [Theory]
    [InlineData(new[] { 3, 4, 5, 6 })]
    [InlineData(new[] { 1, 7 })]
    public void PatienceIsResumed(int[] kills)
    {
        // The rate wrecks the model, so that training is to end before its time.
        Action<PromptFineTuneTrainer.Options> change =
            Usual
            + (
                options =>
                {
                    options.Optimizer = OptimizerKind.Sgd;
                    options.LearningRate = 0.5;
                    options.MaxSteps = 60;
                    options.EvaluationInterval = 1;
                    options.Patience = 6;
                }
            );
        using TextScoringTransformer whole = Fit(change + (options => options.StateFile = null));
        Assert.InRange(whole.Record!.Steps, kills[^1], 59);
        foreach (int kill in kills.Append(whole.Record.Steps))
        {
            Assert.Throws<KilledException>(() => Fit(change + Kill(kill)));
        }

        using TextScoringTransformer resumed = Fit(change);
        Assert.Equal(whole.Record.Steps, resumed.Record!.Steps);
        Same(whole, resumed);
        Assert.False(File.Exists(State));
    }

    [Fact]
    public void RegionAnchorAndHeadAreResumedToo()
    {
        var part = new GraftPart("roberta.encoder.layer.1.output.dense.weight", [1, 2, 30], [0, 0, 0]);
        Action<PromptFineTuneTrainer.Options> change =
            Usual
            + (
                options =>
                {
                    options.Head = Models.Classification.HeadKind.FirstTokenLinear;
                    options.Task = null;
                    options.L1 = 1e-3;
                    options.Region = [part];
                }
            );
        using TextScoringTransformer whole = Fit(change + (options => options.StateFile = null));
        Assert.Throws<KilledException>(() => Fit(change + Kill(7)));
        using (var file = SafetensorsFile.Open(State))
        {
            // Of the backbone, a region's state holds the region alone.
            Assert.Equal([3], file.Tensors.Single(info => info.Name == part.Name + ".second").Shape);
        }

        using TextScoringTransformer resumed = Fit(change);
        Same(whole, resumed);
    }

    [Fact]
    public void AdafactorsStateIsARowAndAColumn()
    {
        const string matrix = "roberta.encoder.layer.1.output.dense.weight",
            vector = "roberta.encoder.layer.1.output.dense.bias";
        Assert.Throws<KilledException>(() =>
            Fit(
                Usual
                    + (
                        options =>
                        {
                            options.Optimizer = OptimizerKind.Adafactor;
                            options.WarmupSteps = 0;
                        }
                    )
                    + Kill(3)
            )
        );
        using var file = SafetensorsFile.Open(State);
        var shapes = file.Tensors.ToDictionary(info => info.Name, info => info.Shape.ToArray(), StringComparer.Ordinal);
        long[] whole = shapes[matrix + ".value"];
        Assert.Equal([whole[0]], shapes[matrix + ".rows"]);
        Assert.Equal([whole[1]], shapes[matrix + ".columns"]);
        Assert.Equal(shapes[vector + ".value"], shapes[vector + ".rows"]);
        Assert.DoesNotContain(vector + ".columns", shapes.Keys);
        Assert.DoesNotContain(
            shapes.Keys,
            name => name.EndsWith(".first", StringComparison.Ordinal) || name.EndsWith(".second", StringComparison.Ordinal)
        );
    }

    [Fact]
    public void CancellationSavesTheState()
    {
        using TextScoringTransformer whole = Fit(Usual + (options => options.StateFile = null));
        using (var cancel = new CancellationTokenSource())
        {
            using TextScoringTransformer half = Fit(
                Usual
                    + (
                        options =>
                        {
                            options.StateInterval = 1000;
                            options.CancellationToken = cancel.Token;
                            options.Progress = new Trainings.Immediate(report =>
                            {
                                if (report.Step == 5)
                                {
                                    cancel.Cancel();
                                }
                            });
                        }
                    )
            );
            Assert.Equal(5, half.Record!.Steps);
            Assert.False(File.Exists(Path.Join(_folder, "runs.jsonl")));
        }

        var steps = new List<int>();
        using TextScoringTransformer resumed = Fit(
            Usual + (options => options.Progress = new Trainings.Immediate(report => steps.Add(report.Step)))
        );
        Assert.Equal(6, steps[0]);
        Same(whole, resumed);
    }

    [Fact]
    public void AStateOfAnotherRunIsRefused()
    {
        Assert.Throws<KilledException>(() => Fit(Usual + Kill(5)));
        byte[] before = File.ReadAllBytes(State);
        Refuses(() => Fit(Usual + (options => options.LearningRate = 1e-3)), "learning_rate is 0.002 there and 0.001 here");
        Refuses(() => Fit(Usual + (options => options.Seed = 6)), "seed is 5 there and 6 here");
        Refuses(() => Fit(Usual, Toy.Examples(21, seed: 4)), "training_data is");
        Refuses(() => Fit(Usual + (options => options.ValidationSet = Toy.View(_ml, Toy.Examples(8, seed: 77)))), "validation_data is");
        Refuses(() => Fit(Usual + (options => options.Checkpoint = Changed())), "start is");
        Assert.Equal(before, File.ReadAllBytes(State));

        void Refuses(Func<TextScoringTransformer> fit, string says)
        {
            InvalidOperationException error = Assert.Throws<InvalidOperationException>(() => fit());
            Assert.Contains(says, error.Message, StringComparison.Ordinal);
            Assert.Matches("fingerprint is [0-9a-f]{64}, and this run's is [0-9a-f]{64}", error.Message);
        }
    }

    [Fact]
    public void ADamagedStateIsRefused()
    {
        Assert.Throws<KilledException>(() => Fit(Usual + Kill(5)));
        File.WriteAllBytes(State, File.ReadAllBytes(State)[..^100]);
        Assert.Throws<InvalidDataException>(() => Fit(Usual));
    }

    [Fact]
    public void WhatAKillWhileWritingLeftIsRemoved()
    {
        string leftover = Path.Join(_folder, "states", ".run.safetensors.0123.tmp"),
            other = Path.Join(_folder, "states", "other.tmp");
        Directory.CreateDirectory(Path.GetDirectoryName(leftover)!);
        File.WriteAllText(leftover, "half");
        File.WriteAllText(other, "mine");
        Assert.Throws<KilledException>(() => Fit(Usual + Kill(1)));
        Assert.False(File.Exists(leftover));
        Assert.True(File.Exists(other));
    }

    [Fact]
    public void HowOftenStatesAreWrittenDoesNotMatter()
    {
        Assert.Throws<KilledException>(() => Fit(Usual + Kill(5)));
        using TextScoringTransformer resumed = Fit(Usual + (options => options.StateInterval = 3));
        Assert.Equal(Steps, resumed.Record!.Steps);
    }

    [Fact]
    public void NoTensorIsLeft()
    {
        Assert.Throws<KilledException>(() => Fit(Usual + Kill(5)));
        GC.Collect();
        GC.WaitForPendingFinalizers();
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        Assert.Throws<KilledException>(() => Fit(Usual + Kill(9)));
        Fit(Usual + (options => options.L1 = 0)).Dispose();
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    private static Action<PromptFineTuneTrainer.Options> Kill(int step) =>
        options =>
            options.Progress = new Trainings.Immediate(report =>
            {
                if (report.Step == step)
                {
                    throw new KilledException();
                }
            });

    private static void Same(TextScoringTransformer expected, TextScoringTransformer actual)
    {
        Dictionary<string, float[]> left = Trainings.Weights(expected.Classifier),
            right = Trainings.Weights(actual.Classifier);
        Assert.Equal(left.Keys, right.Keys);
        Assert.All(left, pair => Assert.True(Trainings.SameBits(pair.Value, right[pair.Key]), pair.Key));
    }

    private static TextScoringTransformer Fit(Action<PromptFineTuneTrainer.Options> change, Toy.Row[]? rows = null) =>
        Trainings.Fit(rows ?? Rows, change);

    /// <summary>The checkpoint with one weight changed.</summary>
    private string Changed()
    {
        string folder = Path.Join(_folder, "changed");
        if (!Directory.Exists(folder))
        {
            using TextScoringTransformer same = Trainings.Fit(Rows, options => options.Epochs = 0);
            using LanguageModel model = same.Classifier.Backbone.Clone();
            using (TorchSharp.torch.no_grad())
            {
                model.Parameters["roberta.encoder.layer.0.output.dense.bias"].add_(0.5);
            }

            using var files = CheckpointFolder.Open(Toy.Checkpoint);
            Directory.CreateDirectory(folder);
            foreach (string name in new[] { "config.json", "vocab.json", "merges.txt" })
            {
                File.Copy(Path.Join(Toy.Checkpoint, name), Path.Join(folder, name));
            }

            SafetensorsWriter.Write(
                Path.Join(folder, "model.safetensors"),
                model.Parameters.Select(pair => (pair.Key, (torch.Tensor)pair.Value))
            );
        }

        return folder;
    }

    private sealed class KilledException : Exception
    {
        public KilledException() { }

        public KilledException(string message)
            : base(message) { }

        public KilledException(string message, Exception innerException)
            : base(message, innerException) { }
    }
}
