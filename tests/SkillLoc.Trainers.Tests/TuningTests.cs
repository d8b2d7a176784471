using Microsoft.ML;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tuning;
using SkillLoc.Trainers;
using SkillLoc.Transforms;
using TorchSharp;
using TorchSharp.Modules;

namespace SkillLoc.Trainers.Tests;

/// <summary>Training with a parameter-efficient method.</summary>
public sealed class TuningTests
{
    private readonly MLContext _ml = new();

    public static TheoryData<string> Methods => [.. Options.Keys];

    private static Dictionary<string, TuningOptions> Options { get; } =
        new()
        {
            ["prompt"] = new SoftPromptOptions { Size = 8 },
            ["biases"] = new BitFitOptions(),
            ["pfeiffer"] = new AdapterOptions { BottleneckSize = 8 },
            ["houlsby"] = new AdapterOptions { Placement = AdapterPlacement.Houlsby, BottleneckSize = 8 },
            ["lora"] = new LoraOptions(),
            ["prefix"] = new PrefixOptions { Length = 4, ProjectionSize = 16 },
        };

    [Theory]
    [MemberData(nameof(Methods))]
    public void OnlyTheMethodsParametersTrainAndTheySuffice(string method)
    {
        IDataView data = Toy.View(_ml, Toy.Examples(64));
        using var before = TextClassifier.Create(Toy.Checkpoint, Settings());
        using TextScoringTransformer model = Fit(data, method);

        Assert.True(_ml.MulticlassClassification.Evaluate(model.Transform(data)).MicroAccuracy > 0.9);
        var tuned = model.Classifier.TunedParameters.Keys.ToHashSet();
        foreach ((string name, Parameter? value) in model.Classifier.Backbone.Parameters)
        {
            Assert.True(tuned.Contains(name) || value.Equals(before.Backbone.Parameters[name]), $"{name} moved");
        }
    }

    [Theory]
    [MemberData(nameof(Methods))]
    public void WhatWasTunedLoadsOntoTheBaseAgain(string method)
    {
        IDataView data = Toy.View(_ml, Toy.Examples(16));
        using TextScoringTransformer model = Fit(data, method, epochs: 1);
        string path = Path.GetTempFileName();
        try
        {
            model.Classifier.SaveTuned(path);
            using var loaded = TextClassifier.LoadTuned(Toy.Checkpoint, path);
            EncodedText row = model.Classifier.Encode("the film was it");
            Assert.Equal(model.Classifier.Score([row])[0], loaded.Score([row])[0]);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void AStoppedTuningGoesOnToTheSameBits()
    {
        IDataView data = Toy.View(_ml, Toy.Examples(32));
        string state = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        try
        {
            using TextScoringTransformer whole = Fit(data, "lora", dropout: 0.1);
            Assert.Throws<TimeoutException>(() =>
                Fit(
                    data,
                    "lora",
                    dropout: 0.1,
                    change: options =>
                    {
                        options.StateFile = state;
                        options.StateInterval = 2;
                        options.Progress = new Killer(after: 7);
                    }
                )
            );
            using TextScoringTransformer resumed = Fit(
                data,
                "lora",
                dropout: 0.1,
                change: options =>
                {
                    options.StateFile = state;
                    options.StateInterval = 2;
                }
            );
            Assert.Equal(whole.Classifier.Fingerprint(), resumed.Classifier.Fingerprint());
        }
        finally
        {
            File.Delete(state);
        }
    }

    [Theory]
    [MemberData(nameof(Methods))]
    public void ATunedFolderIsNoPlainCheckpoint(string method)
    {
        string folder = Path.Join(Directory.CreateTempSubdirectory().FullName, "tuned");
        try
        {
            var said = new List<string>();
            _ml.Log += (_, log) => said.Add(log.RawMessage);
            IDataView data = Toy.View(_ml, Toy.Examples(64));
            using TextScoringTransformer model = Fit(data, method, change: options => options.OutputFolder = folder);
            double trained = LogLoss(model),
                fresh;
            using (TextScoringTransformer untuned = _ml.SkillLoc().PromptFineTune(Toy.Options(options => options.Epochs = 0)).Fit(data))
            {
                fresh = LogLoss(untuned);
            }

            Assert.True(trained < fresh / 4, $"{trained} {fresh}");
            using (TextScoringTransformer same = Fit(data, method, epochs: 0, change: options => options.Checkpoint = folder))
            {
                Assert.Equal(trained, LogLoss(same));
            }

            PromptFineTuneTrainer without = _ml.SkillLoc()
                .PromptFineTune(Toy.Options(options => (options.Checkpoint, options.Epochs) = (folder, 0)));
            if (method is "biases" or "lora")
            {
                using TextScoringTransformer folded = without.Fit(data);
                Assert.Equal(trained, LogLoss(folded), 1e-4);
                Assert.Equal(method == "lora", said.Exists(text => text.Contains("is folded into the weights", StringComparison.Ordinal)));
            }
            else
            {
                Assert.Contains(
                    Options[method].GetType().Name,
                    Assert.Throws<ArgumentException>(() => without.Fit(data)).Message,
                    StringComparison.Ordinal
                );
            }

            double LogLoss(TextScoringTransformer each) => _ml.MulticlassClassification.Evaluate(each.Transform(data)).LogLoss;
        }
        finally
        {
            Directory.Delete(Path.GetDirectoryName(folder)!, recursive: true);
        }
    }

    [Fact]
    public void LoraIsGraftedAndAPrefixIsNot()
    {
        IDataView data = Toy.View(_ml, Toy.Examples(32));
        using TextScoringTransformer lora = Fit(data, "lora");
        using GraftTransformer whole = _ml.SkillLoc()
            .GraftMask(
                new GraftMaskEstimator.Options
                {
                    FineTuned = lora,
                    Sparsity = 1,
                    Epochs = 0,
                }
            )
            .Fit(data);
        EncodedText row = lora.Classifier.Encode("the film was it");
        Assert.Equal(lora.Classifier.Score([row])[0], whole.Classifier.Score([row])[0], (expected, own) => Math.Abs(expected - own) < 1e-5);
        Assert.All(
            _ml.SkillLoc()
                .GraftMask(
                    new GraftMaskEstimator.Options
                    {
                        FineTuned = lora,
                        Sparsity = 1e-3,
                        Epochs = 0,
                    }
                )
                .Fit(data)
                .Graft.Parts,
            part => Assert.Matches("query|value", part.Name)
        );

        using TextScoringTransformer prefix = Fit(data, "prefix", epochs: 1);
        NotSupportedException error = Assert.Throws<NotSupportedException>(() =>
            _ml.SkillLoc().GraftMask(new GraftMaskEstimator.Options { FineTuned = prefix }).Fit(data)
        );
        Assert.Contains("PrefixOptions", error.Message);
    }

    [Fact]
    public void OptionsThatChoosePretrainedParametersAreRefused()
    {
        PromptFineTuneTrainer.Options options = Toy.Options(options =>
        {
            options.Tuning = new LoraOptions();
            options.BiasOnly = true;
        });
        Assert.Contains("BiasOnly", Assert.Throws<ArgumentException>(() => _ml.SkillLoc().PromptFineTune(options)).Message);
    }

    [Fact]
    public void NoTensorIsLeft()
    {
        IDataView data = Toy.View(_ml, Toy.Examples(16));
        Fit(data, "prompt", epochs: 1).Dispose();
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        Fit(data, "prompt", epochs: 1).Dispose();
        Fit(data, "houlsby", epochs: 1).Dispose();
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    private static ClassifierSettings Settings() =>
        new()
        {
            Template = Toy.Task.Template.ToString(),
            Labels = Toy.Task.Verbalizer.Labels,
            Words = Toy.Task.Verbalizer.Words,
        };

    private TextScoringTransformer Fit(
        IDataView data,
        string method,
        int epochs = 20,
        double dropout = 0,
        Action<PromptFineTuneTrainer.Options>? change = null
    ) =>
        _ml.SkillLoc()
            .PromptFineTune(
                Toy.Options(options =>
                {
                    options.Tuning = Options[method];
                    options.LearningRate = 2e-2;
                    options.Epochs = epochs;
                    options.Dropout = dropout;
                    change?.Invoke(options);
                })
            )
            .Fit(data);

    private sealed class Killer(int after) : IProgress<TrainingProgress>
    {
        public void Report(TrainingProgress value)
        {
            if (value.Step == after)
            {
                throw new TimeoutException();
            }
        }
    }
}
