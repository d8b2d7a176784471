using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Embeddings;
using SkillLoc.Models.Tests.Checkpoints;
using SkillLoc.Models.Tuning;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Tuning;

/// <summary>A folder says how it was tuned, and whoever reads it heeds that or refuses; Python never gets a half of it.</summary>
public sealed class TunedFolderTests : IDisposable
{
    private static readonly string Base = Oracles.PathOf("tiny-roberta");

    private readonly TemporaryFolder _folder = new();

    private string Tuned => _folder.PathOf("tuned");

    public static TheoryData<string, HeadKind> Cases
    {
        get
        {
            var cases = new TheoryData<string, HeadKind>();
            foreach (string method in Toy.Names)
            {
                cases.Add(method, HeadKind.LabelWords);
            }

            cases.Add("lora", HeadKind.SequenceClassification);
            cases.Add("houlsby", HeadKind.SequenceClassification);
            cases.Add("prefix", HeadKind.FirstTokenLinear);
            return cases;
        }
    }

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(Cases))]
    public void WhatIsAskedForWithoutTheMethodIsHonouredOrRefused(string method, HeadKind head)
    {
        using TextClassifier tuned = Save(method, head);
        ClassifierSettings plain = Settings(null, head);
        float[] expected = Score(tuned);
        using (var untuned = TextClassifier.Create(Base, plain, seed: 3))
        {
            Assert.NotEqual(expected[0], Score(untuned)[0], 1e-2f);
        }

        if (method.StartsWith("lo", StringComparison.Ordinal) && method is not ("lora_mlp" or "lora_mlp_bias"))
        {
            using var folded = TextClassifier.Create(Tuned, plain);
            Assert.Null(folded.Settings.Tuning);
            Assert.Equal(tuned.Settings.Tuning, folded.FoldedTuning);

            // Folded weights are rounded once more, by up to 6e-8 of themselves, in every map of three layers.
            Assert.Equal(expected, Score(folded), (one, other) => Math.Abs(one - other) < 1e-3);

            // Beside a twin, whose memory it may share, that stays as it is.
            using var twin = TextClassifier.Create(Base, plain, seed: 3);
            float[] before = Score(twin);
            using var beside = TextClassifier.Create(Tuned, plain, shareWeightsWith: twin, canShare: _ => true);
            Assert.Equal(Score(folded), Score(beside));
            Assert.Equal(before, Score(twin));
        }
        else
        {
            ArgumentException error = Assert.Throws<ArgumentException>(() => TextClassifier.Create(Tuned, plain));
            Assert.Contains(tuned.Settings.Tuning!.GetType().Name, error.Message, StringComparison.Ordinal);
            Assert.Throws<ArgumentException>(() => TextClassifier.Create(Tuned, Settings(new LoraOptions { Rank = 7 }, head)));
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void WhatIsAskedForWithTheMethodGoesOn(string method, HeadKind head)
    {
        using TextClassifier tuned = Save(method, head);
        using var next = TextClassifier.Create(Tuned, Settings(Toy.Options(method), head));
        Assert.Equal(Score(tuned), Score(next));
        Assert.Null(next.FoldedTuning);

        // How parameters were drawn is of no matter.
        if (method is "pfeiffer" or "prefix")
        {
            TuningOptions drawn = Toy.Options(method) is AdapterOptions adapter
                ? adapter with
                {
                    InitialDeviation = 0.5,
                }
                : (PrefixOptions)Toy.Options(method) with
                {
                    InitialDeviation = 0.5,
                };
            using var other = TextClassifier.Create(Tuned, Settings(drawn, head));
            Assert.Equal(Score(tuned), Score(other));
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void PythonReadsTheModelThatWasTuned(string method, HeadKind head)
    {
        using TorchSharp.DisposeScope scope = NewDisposeScope();
        using TextClassifier tuned = Save(method, head);
        using var weights = SafetensorsFile.Open(Path.Join(Tuned, "model.safetensors"));
        using var original = CheckpointFolder.Open(Base);
        ModelConfig config = CheckpointFolder.ReadConfig(Tuned);
        Assert.Equal([head == HeadKind.LabelWords ? "RobertaForMaskedLM" : "RobertaModel"], config.Architectures);
        Assert.Empty(config.Labels);
        foreach (TensorInfo info in weights.Tensors)
        {
            Assert.True(weights.Read(info.Name).Equals(original.Weights.Read(info.Name)), info.Name);
        }

        string[] missing = [.. original.Weights.Tensors.Select(info => info.Name).Except(weights.Tensors.Select(info => info.Name))];
        Assert.All(missing, name => Assert.True(head != HeadKind.LabelWords && name.StartsWith("lm_head", StringComparison.Ordinal), name));

        // What Python has no place for lies beside it, and the two are one for us.
        using var own = SafetensorsFile.Open(Path.Join(Tuned, "skillloc.safetensors"));
        Assert.Equal(tuned.TunedParameters.Keys.Order(), own.Tensors.Select(info => info.Name).Order());
        using var both = CheckpointFolder.Open(Tuned);
        Assert.Equal(tuned.Parameters.Keys.Order(), both.Weights.Tensors.Select(info => info.Name).Order());
    }

    [Theory]
    [InlineData("tiny-roberta", HeadKind.FirstTokenLinear, "RobertaModel")]
    [InlineData("tiny-roberta", HeadKind.SequenceClassification, "RobertaForSequenceClassification")]
    [InlineData("tiny-bert", HeadKind.FirstTokenLinear, "BertModel")]
    [InlineData("tiny-bert", HeadKind.SequenceClassification, "BertForSequenceClassification")]
    [InlineData("tiny-gpt2", HeadKind.SequenceClassification, "GPT2ForSequenceClassification")]
    public void AHeadThatPythonLacksIsNoneOfItsWeights(string checkpoint, HeadKind head, string architecture)
    {
        using var classifier = TextClassifier.Create(Oracles.PathOf(checkpoint), new() { Head = head, Labels = ["x", "y", "z"] });
        Toy.Shake(classifier.Head.Parameters.Values);
        classifier.Save(Tuned);
        bool isPythons = architecture.EndsWith("Classification", StringComparison.Ordinal);
        ModelConfig config = CheckpointFolder.ReadConfig(Tuned);
        Assert.Equal([architecture], config.Architectures);
        Assert.Equal(isPythons ? ["x", "y", "z"] : [], config.Labels);
        Assert.Equal(!isPythons, File.Exists(Path.Join(Tuned, "skillloc.safetensors")));
        using var weights = SafetensorsFile.Open(Path.Join(Tuned, "model.safetensors"));
        Assert.Equal(isPythons, classifier.Head.Parameters.Keys.All(weights.Contains));
        using var loaded = TextClassifier.Load(Tuned);
        Assert.Equal(classifier.Fingerprint(), loaded.Fingerprint());
    }

    [Theory]
    [InlineData("pfeiffer", false)]
    [InlineData("lora_all", false)]
    [InlineData("prefix", false)]
    [InlineData("soft_prompt", true)]
    public void EmbeddingsAreOfTheTunedModel(string method, bool isRefused)
    {
        using TextClassifier tuned = Save(method, HeadKind.LabelWords);
        if (isRefused)
        {
            Assert.Throws<NotSupportedException>(() => new TextEmbedder(Tuned));
            return;
        }

        using var plain = new TextEmbedder(Base);
        using var embedder = new TextEmbedder(Tuned);
        float[] before = plain.Embed([plain.Encode("the film was it")])[0],
            after = embedder.Embed([embedder.Encode("the film was it")])[0];
        using TorchSharp.DisposeScope scope = NewDisposeScope();
        using var model = LanguageModel.Load(Tuned);
        Assert.Equal(tuned.Settings.Tuning, model.PeftModule!.Options);
        using var batch = TokenBatch.Create([embedder.Encode("the film was it")], 1);
        float[] expected = model.Encode(batch).mean([1])[0].data<float>().ToArray();
        Assert.Equal(expected, after, (one, other) => Math.Abs(one - other) < 1e-5);
        Assert.NotEqual(before[0], after[0], 1e-3f);
    }

    [Fact]
    public void AFolderThatLacksWhatItWasTunedWithIsRefused()
    {
        using TextClassifier tuned = Save("lora", HeadKind.LabelWords);
        File.Delete(Path.Join(Tuned, "skillloc.safetensors"));
        foreach (
            Func<object> read in new Func<object>[]
            {
                () => TextClassifier.Load(Tuned),
                () => TextClassifier.Create(Tuned, Settings(null, HeadKind.LabelWords)),
                () => LanguageModel.Load(Tuned),
            }
        )
        {
            Assert.Contains("lora_A", Assert.Throws<InvalidDataException>(read).Message, StringComparison.Ordinal);
        }

        // One that was damaged is named, as is a tensor that is in both files.
        File.WriteAllText(Path.Join(Tuned, "skillloc.safetensors"), "no tensors");
        Assert.Contains(
            "skillloc.safetensors",
            Assert.Throws<InvalidDataException>(() => TextClassifier.Load(Tuned)).Message,
            StringComparison.Ordinal
        );
        File.Copy(Path.Join(Tuned, "model.safetensors"), Path.Join(Tuned, "skillloc.safetensors"), overwrite: true);
        Assert.Contains(
            "one of them",
            Assert.Throws<InvalidDataException>(() => TextClassifier.Load(Tuned)).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void APlainModelLeavesNothingOfATunedOneBehind()
    {
        using TextClassifier tuned = Save("houlsby", HeadKind.LabelWords);
        using var plain = TextClassifier.Create(Base, Settings(null, HeadKind.LabelWords));
        plain.Save(Tuned);
        Assert.False(File.Exists(Path.Join(Tuned, "skillloc.safetensors")));
        using var loaded = TextClassifier.Load(Tuned);
        Assert.Equal(Score(plain), Score(loaded));
    }

    private static ClassifierSettings Settings(TuningOptions? tuning, HeadKind head) =>
        new()
        {
            Head = head,
            Labels = ["neg", "pos"],
            Words = head == HeadKind.LabelWords ? ["bad", "good"] : null,
            Template = head == HeadKind.LabelWords && tuning is not SoftPromptOptions ? "*cls**sent_0*_It_was*mask*.*sep+*" : null,
            Tuning = tuning,
        };

    /// <summary>The labels' logits, less their mean.</summary>
    private static float[] Score(TextClassifier classifier)
    {
        ScoringBatch[] batches = [.. classifier.Batches([classifier.Encode("the film was good and it was a story")])];
        float[] logits = classifier.Logits(batches)[0];
        batches[0].Dispose();
        return [(logits[0] - logits[1]) / 2, (logits[1] - logits[0]) / 2];
    }

    private TextClassifier Save(string method, HeadKind head)
    {
        var classifier = TextClassifier.Create(Base, Settings(Toy.Options(method), head), seed: 3);
        Toy.Shake(classifier.TunedParameters.Values);
        classifier.Save(Tuned);
        return classifier;
    }
}
