using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Connectivity;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Tests.Checkpoints;
using SkillLoc.Models.Tests.Tuning;
using SkillLoc.Models.Tuning;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Classification;

/// <summary>Rows of a trained head go by the names of their labels, wherever one is taken over.</summary>
public sealed class HeadMatchTests
{
    private static readonly string[] Labels = ["low", "middle", "high"],
        Other = ["high", "low", "middle"];

    public static TheoryData<string, HeadKind> Heads =>
        new()
        {
            { "tiny-roberta", HeadKind.SequenceClassification },
            { "tiny-roberta", HeadKind.FirstTokenLinear },
            { "tiny-roberta", HeadKind.MaskTokenLinear },
            { "tiny-bert", HeadKind.SequenceClassification },
            { "tiny-bert", HeadKind.FirstTokenLinear },
            { "tiny-gpt2", HeadKind.SequenceClassification },
        };

    [Theory]
    [MemberData(nameof(Heads))]
    public void ASavedHeadIsTakenByName(string checkpoint, HeadKind head)
    {
        using var folder = new TemporaryFolder();
        using TextClassifier trained = Trained(checkpoint, head);
        trained.Save(folder.PathOf("trained"));
        using var next = TextClassifier.Create(folder.PathOf("trained"), Settings(head, Other));
        Assert.Equal(Other, next.Settings.Labels);
        AssertSameByName(trained, next);
        Assert.True(next.Head.Match!.IsWhole);
        Assert.Equal(Other, next.Head.Match.Kept);
        using var same = TextClassifier.Load(folder.PathOf("trained"));
        Assert.Equal(trained.Fingerprint(), same.Fingerprint());

        // A multi-task model's tasks lie over one backbone.
        using var stored = CheckpointFolder.Open(folder.PathOf("trained"));
        using TextClassifier task = same.ForTask(Settings(head, Other), stored: stored);
        AssertSameByName(trained, task);
    }

    [Theory]
    [MemberData(nameof(Heads))]
    public void ANewLabelIsFreshAndTheOthersAreKept(string checkpoint, HeadKind head)
    {
        using TorchSharp.DisposeScope scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using TextClassifier trained = Trained(checkpoint, head);
        trained.Save(folder.PathOf("trained"));
        string[] labels = ["high", "new", "low"];
        using var next = TextClassifier.Create(folder.PathOf("trained"), Settings(head, labels), seed: 3);
        using var fresh = TextClassifier.Create(Oracles.PathOf(checkpoint), Settings(head, labels), seed: 3);
        Assert.Equal(["high", "low"], next.Head.Match!.Kept);
        Assert.Equal(["new"], next.Head.Match.Fresh);
        Assert.Equal(["middle"], next.Head.Match.Dropped);
        foreach (string name in Output(checkpoint, head).Where(next.Parameters.ContainsKey))
        {
            Tensor was = trained.Parameters[name].detach(),
                now = next.Parameters[name].detach();
            Assert.Equal(3, now.shape[0]);
            Assert.True(now[0].Equals(was[2]), name);
            Assert.True(now[2].Equals(was[0]), name);
            Assert.False(now[1].Equals(was[1]), name);

            // The row is drawn as in a head that is fresh as a whole, where that draws no hidden layer before.
            if (head != HeadKind.SequenceClassification || checkpoint == "tiny-gpt2")
            {
                Assert.True(now[1].Equals(fresh.Parameters[name].detach()[1]), name);
            }
        }
    }

    /// <summary>The names and their order are those of the folder's config.json, as transformers wrote it.</summary>
    [Theory]
    [InlineData("Negative,Neutral,Positive", "Positive,Neutral,Negative")]
    [InlineData("LABEL_0,LABEL_1,LABEL_2", "2,0,1")]
    public void AHuggingFaceHeadIsTakenByName(string names, string labels)
    {
        using var folder = new TemporaryFolder();
        string[] named = names.Split(','),
            asked = labels.Split(',');
        using TextClassifier trained = Trained("tiny-roberta", HeadKind.SequenceClassification, named);
        trained.Save(folder.PathOf("python"));
        File.Delete(folder.PathOf(Path.Join("python", ClassifierSettings.FileName)));
        using var next = TextClassifier.Create(folder.PathOf("python"), Settings(HeadKind.SequenceClassification, asked));
        Assert.True(next.Head.Match!.IsWhole);
        AssertSameByName(trained, next, label => char.IsAsciiDigit(label[0]) ? $"LABEL_{label}" : label);

        // Where transformers leaves id2label out, rows are numbered.
        string config = folder.PathOf(Path.Join("python", "config.json"));
        File.WriteAllText(config, ModelConfig.Load(config).With("id2label", null).With("label2id", null).ToJson());
        using var unnamed = TextClassifier.Create(folder.PathOf("python"), Settings(HeadKind.SequenceClassification, ["2", "0", "1"]));
        AssertSameByName(trained, unnamed, label => named[label[0] - '0']);
        using var strange = TextClassifier.Create(folder.PathOf("python"), Settings(HeadKind.SequenceClassification, ["a", "b"]));
        Assert.Empty(strange.Head.Match!.Kept);
        Assert.Equal(["a", "b"], strange.Head.Match.Fresh);
        Assert.Equal(["LABEL_0", "LABEL_1", "LABEL_2"], strange.Head.Match.Dropped);
    }

    [Fact]
    public void AHeadOfAnotherKindIsNoHead()
    {
        // BERT's two heads have a projection of the same name; the one reads the pooler, the other the hidden state.
        using var folder = new TemporaryFolder();
        using TextClassifier trained = Trained("tiny-bert", HeadKind.SequenceClassification);
        trained.Save(folder.PathOf("trained"));
        using var next = TextClassifier.Create(folder.PathOf("trained"), Settings(HeadKind.FirstTokenLinear, Labels));
        Assert.Null(next.Head.Match);
        Assert.False(trained.Parameters["classifier.weight"].Equals(next.Parameters["classifier.weight"]));
    }

    [Fact]
    public void AFolderThatSaysMoreThanItHoldsIsRefused()
    {
        using var folder = new TemporaryFolder();
        using TextClassifier trained = Trained("tiny-roberta", HeadKind.SequenceClassification);
        foreach (string lost in new[] { "classifier.out_proj.weight", "classifier.out_proj.bias", "classifier.dense.weight" })
        {
            trained.Save(folder.PathOf("trained"));
            SafetensorsWriter.Write(
                folder.PathOf(Path.Join("trained", "model.safetensors")),
                trained.Parameters.Where(pair => pair.Key != lost).Select(pair => (pair.Key, (Tensor)pair.Value))
            );
            Says(lost, () => TextClassifier.Load(folder.PathOf("trained")));
            Says(lost, () => TextClassifier.Create(folder.PathOf("trained"), Settings(HeadKind.SequenceClassification, Other)));
        }

        // One name too few for the rows, and names that a program changed which does not know skillloc.json.
        trained.Save(folder.PathOf("trained"));
        string settings = folder.PathOf(Path.Join("trained", ClassifierSettings.FileName));
        string config = folder.PathOf(Path.Join("trained", "config.json"));
        File.WriteAllText(config, ModelConfig.Load(config).WithLabels(Other).ToJson());
        Says("high, low, middle", () => TextClassifier.Load(folder.PathOf("trained")));
        File.Delete(settings);
        File.WriteAllText(config, ModelConfig.Load(config).WithLabels(["low", "high"]).ToJson());
        Says("3 rows", () => TextClassifier.Load(folder.PathOf("trained")));

        static void Says(string text, Func<object> work) =>
            Assert.Contains(text, Assert.Throws<InvalidDataException>(work).Message, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Heads))]
    public void AGraftsHeadIsTakenByName(string checkpoint, HeadKind head)
    {
        using TextClassifier trained = Trained(checkpoint, head);
        Graft graft = new Graft { BaseFingerprint = trained.Backbone.Fingerprint(), Parts = [] }.WithValuesOf(trained);
        using var next = TextClassifier.Create(Oracles.PathOf(checkpoint), Settings(head, Other), seed: 9);
        Assert.True(next.ApplyHead(graft)!.IsWhole);
        AssertSameByName(trained, next);

        using var more = TextClassifier.Create(Oracles.PathOf(checkpoint), Settings(head, ["new", .. Other]), seed: 9);
        Dictionary<string, float[]> before = Rows(more, "new", checkpoint, head);
        HeadMatch match = more.ApplyHead(graft)!;
        Assert.Equal(["new"], match.Fresh);
        Assert.Equal(before, Rows(more, "new", checkpoint, head));
        Assert.Equal(Rows(trained, "high", checkpoint, head), Rows(more, "high", checkpoint, head));
    }

    [Fact]
    public void TunedWeightsBringTheirHeadByName()
    {
        using var folder = new TemporaryFolder();
        TuningOptions tuning = Toy.Options("lora");
        using var trained = TextClassifier.Create(
            Oracles.PathOf("tiny-roberta"),
            Settings(HeadKind.SequenceClassification, Labels) with
            {
                Tuning = tuning,
            },
            seed: 1
        );
        Toy.Shake(trained.TunedParameters.Values);
        using var next = TextClassifier.Create(
            Oracles.PathOf("tiny-roberta"),
            Settings(HeadKind.SequenceClassification, Other) with
            {
                Tuning = tuning,
            },
            seed: 2
        );
        next.Apply(trained.Tuned());
        AssertSameByName(trained, next);
        using var strange = TextClassifier.Create(
            Oracles.PathOf("tiny-roberta"),
            Settings(HeadKind.SequenceClassification, ["low", "middle", "top"]) with
            {
                Tuning = tuning,
            }
        );
        Assert.Contains("top", Assert.Throws<InvalidDataException>(() => strange.Apply(trained.Tuned())).Message, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Heads))]
    public void EndsOfAPathAreMatchedByName(string checkpoint, HeadKind head)
    {
        using TorchSharp.DisposeScope scope = NewDisposeScope();
        using TextClassifier first = Trained(checkpoint, head),
            second = Trained(checkpoint, head, Other, seed: 8);
        foreach (Endpoint task in Enum.GetValues<Endpoint>())
        {
            TextClassifier end = task == Endpoint.First ? first : second;
            using var path = new ParameterPath(first, second, task, bends: 1);
            using TextClassifier interpolated = path.CreateWalker();
            path.MoveTo(interpolated, 0);
            AssertSameByName(first, interpolated);
            path.MoveTo(interpolated, 1);
            AssertSameByName(second, interpolated);
            path.MoveTo(interpolated, 0.5);
            Assert.Equal(end.Settings.Labels, interpolated.Settings.Labels);
            AssertMean(interpolated);

            var mixture = new CheckpointMixture(first, second, task: task);
            using TextClassifier mixed = mixture.CreateModel();
            AssertMean(mixed);

            // The gradient of the sum of the projections' rows, each with a weight of its own, by a weight that both ends share.
            foreach (string name in Output(checkpoint, head).Where(mixed.Parameters.ContainsKey))
            {
                var all = new CheckpointMixture(first, second, MixtureGranularity.Weight, task);
                using TextClassifier at = all.CreateWalker();
                all.ApplyTo(at);
                long[] column = name.EndsWith("bias", StringComparison.Ordinal) ? [3] : [3, 1];
                at.Parameters[name].grad = ones_like(at.Parameters[name]) * tensor(new[] { 1f, 10f, 100f }).view(column);
                double expected = end
                    .Settings.Labels.Index()
                    .Sum(label =>
                        Math.Pow(10, label.Index)
                        * 0.25
                        * Row(first, name, label.Item).Zip(Row(second, name, label.Item), (one, other) => (double)one - other).Sum()
                    );
                int group = all.Groups.Index().Single(each => each.Item.Name == name).Index;
                Assert.Equal(expected, all.Gradients(at)[group], 1e-4 * (1 + Math.Abs(expected)));
            }
        }

        void AssertMean(TextClassifier model)
        {
            foreach (string name in Output(checkpoint, head).Where(model.Parameters.ContainsKey))
            {
                foreach (string label in Labels)
                {
                    float[] one = Row(first, name, label),
                        other = Row(second, name, label),
                        now = Row(model, name, label);
                    Assert.All(now.Index(), value => Assert.Equal((one[value.Index] + other[value.Index]) / 2, value.Item, 1e-6f));
                }
            }
        }
    }

    [Fact]
    public void ASavedCurveOfEndsWithOtherOrdersComesBack()
    {
        using var folder = new TemporaryFolder();
        using TextClassifier first = Trained("tiny-roberta", HeadKind.SequenceClassification);
        using TextClassifier second = Trained("tiny-roberta", HeadKind.SequenceClassification, Other, seed: 8);
        using var path = new ParameterPath(first, second, Endpoint.Second, bends: 2);
        Toy.Shake(path.Names.SelectMany(path.Controls));
        path.Save(folder.PathOf("curve.safetensors"));
        using var loaded = ParameterPath.Load(folder.PathOf("curve.safetensors"), first, second);
        using TextClassifier one = path.CreateWalker(),
            other = loaded.CreateWalker();
        path.MoveTo(one, 0.3);
        loaded.MoveTo(other, 0.3);
        Assert.Equal(one.Fingerprint(), other.Fingerprint());
    }

    [Fact]
    public void DistancesGoByName()
    {
        using var folder = new TemporaryFolder();
        using TextClassifier trained = Trained("tiny-roberta", HeadKind.SequenceClassification);
        trained.Save(folder.PathOf("one"));
        using var reordered = TextClassifier.Create(folder.PathOf("one"), Settings(HeadKind.SequenceClassification, Other));
        reordered.Save(folder.PathOf("other"));
        using CheckpointFolder one = CheckpointFolder.Open(folder.PathOf("one")),
            other = CheckpointFolder.Open(folder.PathOf("other"));
        Assert.All(CheckpointDistance.Between(trained, reordered), pair => Assert.Equal(0, pair.Value.L2));
        Assert.All(CheckpointDistance.Between(one, other), pair => Assert.Equal(0, pair.Value.L2));
        Assert.NotEqual(0, CheckpointDistance.Between(one.Weights, other.Weights)["classifier.out_proj.weight"].L2);
    }

    private static ClassifierSettings Settings(HeadKind head, string[] labels) =>
        new()
        {
            Head = head,
            Labels = labels,
            Template = head == HeadKind.MaskTokenLinear ? "*cls**sent_0*_It_was*mask*.*sep+*" : null,
        };

    /// <summary>A classifier whose head is far from a fresh one, and different in each row.</summary>
    private static TextClassifier Trained(string checkpoint, HeadKind head, string[]? labels = null, int seed = 6)
    {
        var classifier = TextClassifier.Create(Oracles.PathOf(checkpoint), Settings(head, labels ?? Labels), seed: 1);
        Toy.Shake(classifier.Head.Parameters.Values, seed);
        return classifier;
    }

    private static string[] Output(string checkpoint, HeadKind head) =>
        (checkpoint, head) switch
        {
            ("tiny-gpt2", _) => ["score.weight"],
            ("tiny-roberta", HeadKind.SequenceClassification) => ["classifier.out_proj.weight", "classifier.out_proj.bias"],
            _ => ["classifier.weight", "classifier.bias"],
        };

    private static float[] Row(TextClassifier classifier, string name, string label)
    {
        using TorchSharp.DisposeScope scope = NewDisposeScope();
        return classifier.Parameters[name].detach()[classifier.Settings.Labels.ToList().IndexOf(label)].reshape(-1).data<float>().ToArray();
    }

    private static Dictionary<string, float[]> Rows(TextClassifier classifier, string label, string checkpoint, HeadKind head) =>
        Output(checkpoint, head).Where(classifier.Parameters.ContainsKey).ToDictionary(name => name, name => Row(classifier, name, label));

    /// <summary>Both give each label the same logit, and these differ enough that another order would show.</summary>
    private static void AssertSameByName(TextClassifier expected, TextClassifier actual, Func<string, string>? nameOf = null)
    {
        float[] one = Logits(expected),
            other = Logits(actual);
        Assert.True(
            one.Order().Zip(one.Order().Skip(1)).All(pair => pair.Second - pair.First > 1e-2),
            $"The test needs different logits: {string.Join(", ", one)}."
        );
        foreach ((string label, int i) in actual.Settings.Labels.Select((label, i) => (label, i)))
        {
            Assert.Equal(one[expected.Settings.Labels.ToList().IndexOf(nameOf?.Invoke(label) ?? label)], other[i], 1e-4f);
        }

        static float[] Logits(TextClassifier classifier)
        {
            ScoringBatch[] batches = [.. classifier.Batches([classifier.Encode("the film was good and it was a story")])];
            float[] logits = classifier.Logits(batches)[0];
            batches[0].Dispose();
            return logits;
        }
    }
}
