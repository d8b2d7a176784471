using System.Text.Json;
using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Connectivity;
using SkillLoc.Models.Generation;
using SkillLoc.Models.Neurons;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tuning;
using TorchSharp;

namespace SkillLoc.Transforms.Tests;

/// <summary>Points between models as checkpoint folders.</summary>
public sealed class PathPointTests : IDisposable
{
    private readonly MLContext _ml = new(seed: 1);
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;
    private readonly string _target;

    public PathPointTests() => _target = Path.Join(_folder, "new", "point");

    public static TheoryData<string> Kinds => ["prompt", "head", "token head", "lora", "t5"];

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [MemberData(nameof(Kinds))]
    public void APointIsACheckpointThatScoresAsTheWalkerThere(string kind)
    {
        using TextScoringTransformer first = Scorer(kind, 1),
            second = Scorer(kind, 2);
        _ml.SkillLoc().Connectivity.SavePathPoint(first, second, 0.25, _target);
        using var path = new ParameterPath(first.Classifier, second.Classifier);
        using TextClassifier interpolated = path.CreateWalker();
        path.MoveTo(interpolated, 0.25);
        using TextScoringTransformer read = _ml.SkillLoc().Connectivity.LoadTextScorer(_target);
        Assert.Equal(interpolated.Fingerprint(), read.Classifier.Fingerprint());
        Assert.Equal(interpolated.Settings.ToJson(), read.Classifier.Settings.ToJson());
        float[][] scores = [.. read.Transform(Toy.Rows(_ml, 5)).GetColumn<float[]>("Score")];
        Assert.Equal(
            interpolated.Score([.. Toy.Texts.Take(5).Select(text => interpolated.Encode(text))]).SelectMany(row => row),
            scores.SelectMany(row => row)
        );

        // What Python's classes read.
        using var config = JsonDocument.Parse(File.ReadAllText(Path.Join(_target, "config.json")));
        string architecture = config.RootElement.GetProperty("architectures")[0].GetString()!;
        string expected = kind switch
        {
            "head" => "RobertaForSequenceClassification",
            "token head" => "RobertaModel",
            "t5" => "T5ForConditionalGeneration",
            _ => "RobertaForMaskedLM",
        };
        Assert.Equal(expected, architecture);
        Assert.Equal(kind == "head", config.RootElement.TryGetProperty("id2label", out _));
        string[] files = [.. Directory.GetFiles(_target).Select(file => Path.GetFileName(file)!)];
        string[] needed = kind == "t5" ? ["spiece.model", "skillloc.json"] : ["vocab.json", "merges.txt", "skillloc.json"];
        Assert.All(needed.Append("model.safetensors"), file => Assert.Contains(file, files));
        Assert.Equal(kind is "token head" or "lora", files.Contains("skillloc.safetensors"));
    }

    [Fact]
    public void ACurveAMixtureAndAMeanAreWrittenToo()
    {
        using TextScoringTransformer first = Scorer("head", 1),
            second = Scorer("head", 2),
            third = Scorer("head", 3);
        using var curve = new ParameterPath(first.Classifier, second.Classifier, Endpoint.Second, bends: 1);
        using (torch.no_grad())
        {
            foreach (string name in curve.Names)
            {
                curve.Controls(name)[0].add_(1);
            }
        }

        // Midway on a curve of one bend the control point counts a half: 0.5 more than on the line.
        _ml.SkillLoc().Connectivity.SavePathPoint(first, second, 0.5, _target, curve);
        Assert.Equal(Mean("classifier.dense.weight", 0.5, 0.5, 0) + 0.5, Stored("classifier.dense.weight"), 1e-5);

        var mixture = new CheckpointMixture(first.Classifier, second.Classifier, MixtureGranularity.Weight);
        mixture.SetWeights([.. mixture.Groups.Select(_ => (float)Math.Log(3))]);
        _ml.SkillLoc().Connectivity.SavePathPoint(first, second, mixture, _target);
        Assert.Equal(Mean("classifier.dense.weight", 0.75, 0.25, 0), Stored("classifier.dense.weight"), 1e-5);

        _ml.SkillLoc().Connectivity.SavePathPoint([first, second, third], [0.5, 0.25, 0.25], _target);
        Assert.Equal(Mean("classifier.dense.weight", 0.5, 0.25, 0.25), Stored("classifier.dense.weight"), 1e-5);

        // Curves and mixtures of other models, and weights that are none.
        Assert.Throws<ArgumentException>(() => _ml.SkillLoc().Connectivity.SavePathPoint(second, first, 0.5, _target, curve));
        Assert.Throws<ArgumentException>(() => _ml.SkillLoc().Connectivity.SavePathPoint(first, third, mixture, _target));
        Assert.Throws<ArgumentOutOfRangeException>(() => _ml.SkillLoc().Connectivity.SavePathPoint([first, second], [0.5, 0.6], _target));
        Assert.Throws<ArgumentOutOfRangeException>(() => _ml.SkillLoc().Connectivity.SavePathPoint(first, second, 1.5, _target));

        double Stored(string name)
        {
            using var checkpoint = CheckpointFolder.Open(_target);
            using torch.Tensor value = checkpoint.Weights.Read(name);
            return value.data<float>()[7];
        }

        double Mean(string name, double a, double b, double c) => (a * At(first, name)) + (b * At(second, name)) + (c * At(third, name));

        static double At(TextScoringTransformer model, string name) => model.Classifier.Parameters[name].data<float>()[7];
    }

    [Fact]
    public void FoldersOfTheEndsAreNeverTheTargetAndWhatFailsLeavesNothing()
    {
        string one = Path.Join(_folder, "one"),
            other = Path.Join(_folder, "other");
        using (
            TextScoringTransformer first = Scorer("head", 1),
                second = Scorer("head", 2)
        )
        {
            first.SaveCheckpoint(one);
            second.SaveCheckpoint(other);
            string before = Fingerprint(one);
            foreach (string folder in new[] { one, other, Path.Join(_folder, ".", "one") + "/", Oracles.PathOf("tiny-roberta") })
            {
                Assert.Throws<ArgumentException>(() => _ml.SkillLoc().Connectivity.SavePathPoint(first, second, 0.5, folder));
                var mixture = new CheckpointMixture(first.Classifier, second.Classifier);
                Assert.Throws<ArgumentException>(() => _ml.SkillLoc().Connectivity.SavePathPoint(first, second, mixture, folder));
                Assert.Throws<ArgumentException>(() => _ml.SkillLoc().Connectivity.SavePathPoint([first, second], [0.5, 0.5], folder));
            }

            Assert.Equal(before, Fingerprint(one));
        }

        Assert.Throws<ArgumentException>(() => _ml.SkillLoc().Connectivity.SavePathPoint(one, other, 0.5, other));
        _ml.SkillLoc().Connectivity.SavePathPoint(one, other, 0.5, _target);
        Assert.NotEqual(Fingerprint(one), Fingerprint(_target));

        // A folder of something else stays, and is refused before a model is loaded.
        string notes = Path.Join(_folder, "notes");
        Directory.CreateDirectory(notes);
        File.WriteAllText(Path.Join(notes, "a.txt"), "mine");
        Assert.Throws<IOException>(() => _ml.SkillLoc().Connectivity.SavePathPoint(one, Path.Join(_folder, "missing"), 0.5, notes));
        Assert.Equal(["a.txt"], Directory.GetFileSystemEntries(notes).Select(Path.GetFileName));
        Assert.Throws<ArgumentOutOfRangeException>(() => _ml.SkillLoc().Connectivity.SavePathPoint(one, other, double.NaN, _target));

        static string Fingerprint(string folder)
        {
            using var classifier = TextClassifier.Load(folder);
            return classifier.Fingerprint();
        }
    }

    [Fact]
    public void WhatWasTunedOnABaseAndLiesInFilesIsTakenToo()
    {
        string one = Path.Join(_folder, "one.safetensors"),
            other = Path.Join(_folder, "other.safetensors"),
            root = Oracles.PathOf("tiny-roberta");
        ClassifierSettings settings = Toy.Settings with { Tuning = new LoraOptions { Rank = 2 } };
        double expected = 0;
        foreach ((string file, int seed) in new[] { (one, 1), (other, 2) })
        {
            using var tuned = TextClassifier.Create(root, settings, seed: seed);
            tuned.SaveTuned(file);
            expected += 0.5 * tuned.TunedParameters.Values.First().data<float>()[3];
        }

        _ml.SkillLoc().Connectivity.SavePathPoint(one, other, 0.5, _target, root);
        using var point = TextClassifier.Load(_target);
        Assert.Equal(expected, point.TunedParameters.Values.First().data<float>()[3], 1e-6);
        Assert.Throws<ArgumentException>(() => _ml.SkillLoc().Connectivity.SavePathPoint(one, other, 0.5, root, root));
        Assert.Throws<ArgumentException>(() => _ml.SkillLoc().Connectivity.SavePathPoint(one, other, 0.5, Path.Join(_folder, "without")));
    }

    [Fact]
    public void APerturbedModelIsNoEnd()
    {
        using TextScoringTransformer plain = Scorer("prompt", 1);
        int layers = plain.Classifier.Backbone.Config.Layers,
            width = plain.Classifier.Backbone.Config.FeedForwardSizes[0];
        using NeuronPerturbationTransformer perturbed = _ml.SkillLoc()
            .Neurons.PerturbNeurons(
                plain,
                new NeuronSet([.. Enumerable.Repeat(true, layers * width)], layers, width),
                PerturbationKind.Zero
            );
        Assert.Throws<NotSupportedException>(() => _ml.SkillLoc().Connectivity.SavePathPoint(plain, perturbed, 0.5, _target));
        Assert.Throws<NotSupportedException>(() => _ml.SkillLoc().SaveModel(perturbed, null, Path.Join(_folder, "model.zip")));
        Assert.Empty(Directory.GetFileSystemEntries(_folder));
    }

    private static TextScoringTransformer Scorer(string kind, int seed)
    {
        string folder = Oracles.PathOf(kind == "t5" ? "tiny-t5" : "tiny-roberta");
        ClassifierSettings settings = kind switch
        {
            "head" => new()
            {
                Labels = ["neg", "pos"],
                Head = HeadKind.SequenceClassification,
                MaxLength = 64,
            },
            "token head" => new()
            {
                Labels = ["neg", "pos"],
                Head = HeadKind.FirstTokenLinear,
                MaxLength = 64,
            },
            "lora" => Toy.Settings with { Tuning = new LoraOptions { Rank = 2 } },
            "t5" => new()
            {
                Head = HeadKind.Generation,
                Labels = ["neg", "pos"],
                TextToText = new("toy", TextMetric.Accuracy),
                MaxLength = 64,
            },
            _ => Toy.Settings,
        };
        var classifier = TextClassifier.Create(folder, settings, seed: seed);
        using DisposeScope scope = torch.NewDisposeScope();
        using IDisposable noGradients = torch.no_grad();
        using var generator = new torch.Generator((ulong)seed);
        foreach (torch.Tensor parameter in classifier.Parameters.Values)
        {
            parameter.add_(torch.randn(parameter.shape, generator: generator) * 0.02);
        }

        return new(classifier, new ScoringColumns(), baseCheckpoint: folder);
    }
}
