using System.Text.RegularExpressions;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tests.Checkpoints;
using SkillLoc.Models.Tokenization;
using SkillLoc.Models.Tuning;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Tuning;

/// <summary>Classifiers with a tuning method: what they read, save and load.</summary>
public sealed class TunedClassifierTests
{
    private static readonly string Base = Oracles.PathOf("tiny-roberta");

    public static TheoryData<string, HeadKind, string> Cases
    {
        get
        {
            var cases = new TheoryData<string, HeadKind, string>();
            foreach (string method in new[] { "soft_prompt", "bit_fit", "pfeiffer", "houlsby", "lora_all", "low_rank_bias_mlp", "prefix" })
            {
                cases.Add(method, HeadKind.LabelWords, "tiny-roberta");
            }

            cases.Add("lora", HeadKind.SequenceClassification, "tiny-roberta");
            cases.Add("soft_prompt", HeadKind.FirstTokenLinear, "tiny-bert");
            cases.Add("bit_fit", HeadKind.SequenceClassification, "tiny-bert");
            cases.Add("soft_prompt", HeadKind.LabelWords, "tiny-gpt2");
            cases.Add("houlsby", HeadKind.SequenceClassification, "tiny-gpt2");
            cases.Add("lora_mlp_bias", HeadKind.SequenceClassification, "tiny-gpt2");
            return cases;
        }
    }

    [Theory]
    [InlineData("lora", "\"rank\":2000000000", "lora_A.weight' the tuned weights have shape [")]
    [InlineData("low_rank_bias", "\"rank\":2000000000", "the tuned weights have shape [")]
    [InlineData("prefix", "\"length\":2000000000", "the tuned weights have shape [")]
    [InlineData("pfeiffer", "\"bottleneck_size\":2000000000", "the tuned weights have shape [")]
    [InlineData("soft_prompt", "\"size\":2000000000", "Size is 2000000000")]
    public void ASizeThatTheTensorsDoNotHaveIsNotMadeRoomFor(string method, string huge, string said)
    {
        using var folder = new TemporaryFolder();
        string path = folder.PathOf("tuned.safetensors"),
            whole = folder.PathOf("whole"),
            name = huge[..(huge.IndexOf(':', StringComparison.Ordinal) + 1)];
        using var classifier = TextClassifier.Create(Base, Settings(method, HeadKind.LabelWords, "tiny-roberta"), seed: 3);
        TunedWeights tuned = classifier.Tuned();
        string Enlarged(string json) => Regex.Replace(json, Regex.Escape(name) + @"\s*\d+", huge);
        string options = Enlarged(tuned.Options.ToJson());
        Assert.Contains("2000000000", options);
        new TunedWeights
        {
            BaseFingerprint = tuned.BaseFingerprint,
            Tensors = tuned.Tensors,
            Options = TuningOptions.FromJson(options, "options"),
            Settings = Enlarged(tuned.Settings),
        }.Save(path);
        Assert.Contains(said, Assert.Throws<InvalidDataException>(() => TextClassifier.LoadTuned(Base, path)).Message);

        // The same of a folder, whose settings and tensors are two files.
        classifier.Save(whole);
        string file = Path.Join(whole, ClassifierSettings.FileName);
        File.WriteAllText(file, Enlarged(File.ReadAllText(file)));
        Assert.Contains("2000000000", File.ReadAllText(file));
        Assert.Contains("2000000000", Assert.Throws<InvalidDataException>(() => TextClassifier.Load(whole)).Message);
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void WhatWasTunedTravelsWithoutTheBase(string method, HeadKind head, string checkpoint)
    {
        using DisposeScope scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        string path = folder.PathOf("tuned.safetensors");
        using var classifier = TextClassifier.Create(Oracles.PathOf(checkpoint), Settings(method, head, checkpoint), seed: 3);
        Toy.Shake(classifier.TunedParameters.Values);
        string untouched = classifier.Tuned().BaseFingerprint;
        float[][] expected = Scores(classifier);
        classifier.SaveTuned(path);
        using (var file = SafetensorsFile.Open(path))
        {
            Assert.Equal(classifier.TunedParameters.Keys.Order(), file.Tensors.Select(info => info.Name).Order());
            Assert.True(new FileInfo(path).Length < (file.Tensors.Sum(info => info.ByteLength) + 20_000));
        }

        using var restored = TextClassifier.LoadTuned(Oracles.PathOf(checkpoint), path);
        Assert.Equal(classifier.Settings.ToJson(), restored.Settings.ToJson());
        Assert.Equal(expected, Scores(restored));
        Assert.Equal(untouched, restored.Tuned().BaseFingerprint);

        string whole = folder.PathOf("whole");
        classifier.Save(whole);
        using var loaded = TextClassifier.Load(whole);
        Assert.Equal(expected, Scores(loaded));
        Assert.Equal(classifier.Fingerprint(), loaded.Fingerprint());

        using TextClassifier copy = classifier.Clone();
        Assert.Equal(expected, Scores(copy));
        Toy.Shake(copy.TunedParameters.Values);
        Assert.NotEqual(expected, Scores(copy));
        Assert.Equal(expected, Scores(classifier));
        Assert.NotEqual(classifier.Fingerprint(), copy.Fingerprint());
    }

    [Theory]
    [InlineData("bit_fit")]
    [InlineData("lora_all")]
    [InlineData("lora_bias")]
    [InlineData("low_rank_bias_mlp")]
    public void FoldedItIsAnOrdinaryCheckpoint(string method)
    {
        using DisposeScope scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using var classifier = TextClassifier.Create(Base, Settings(method, HeadKind.LabelWords));
        Toy.Shake(classifier.TunedParameters.Values);
        string before = classifier.Backbone.Fingerprint();
        using (TextClassifier folded = classifier.Folded(_ => true))
        {
            folded.Save(folder.PathOf("folded"));
        }

        Assert.Equal(before, classifier.Backbone.Fingerprint());
        using var loaded = TextClassifier.Load(folder.PathOf("folded"));
        Assert.Null(loaded.Settings.Tuning);
        using (
            SafetensorsFile original = SafetensorsFile.Open(Path.Combine(Base, "model.safetensors")),
                written = SafetensorsFile.Open(folder.PathOf("folded/model.safetensors"))
        )
        {
            Assert.Equal(original.Tensors.Select(info => info.Name).Order(), written.Tensors.Select(info => info.Name).Order());
        }

        float[][] expected = Scores(classifier),
            actual = Scores(loaded);
        for (int i = 0; i < expected.Length; i++)
        {
            Assert.Equal(expected[i][0], actual[i][0], 1e-5);
        }
    }

    [Fact]
    public void ABaseWithOtherWeightsIsRefused()
    {
        using var folder = new TemporaryFolder();
        string path = folder.PathOf("tuned.safetensors"),
            other = folder.PathOf("other");
        using (var classifier = TextClassifier.Create(Base, Settings("lora", HeadKind.LabelWords)))
        {
            classifier.SaveTuned(path);
        }

        string wrong;
        using (var classifier = TextClassifier.Create(Base, Settings("bit_fit", HeadKind.LabelWords)))
        {
            using IDisposable noGradients = no_grad();
            classifier.Backbone.Parameters["roberta.encoder.layer.0.output.dense.weight"].mul_(1.001f);
            classifier.Save(other);
            wrong = classifier.Backbone.Fingerprint();
        }

        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        InvalidDataException error = Assert.Throws<InvalidDataException>(() => TextClassifier.LoadTuned(other, path));
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
        Assert.Contains(TunedWeights.Load(path).BaseFingerprint, error.Message, StringComparison.Ordinal);
        Assert.Contains(wrong, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void WeightsThatDoNotFitAreRefused()
    {
        using var classifier = TextClassifier.Create(Base, Settings("lora", HeadKind.LabelWords));
        TunedWeights tuned = classifier.Tuned();
        const string Name = "roberta.encoder.layer.1.attention.self.value.lora_B.weight";
        Refused(With((long[])[48, 2], new float[96]), Name);
        Refused(With(null, []), "no such tensor");
        Refused(
            new()
            {
                BaseFingerprint = tuned.BaseFingerprint,
                Options = new LoraOptions(),
                Tensors = tuned.Tensors,
            },
            "Rank = 8"
        );
        classifier.Apply(tuned);

        void Refused(TunedWeights wrong, string reason) =>
            Assert.Contains(reason, Assert.Throws<InvalidDataException>(() => classifier.Apply(wrong)).Message, StringComparison.Ordinal);

        TunedWeights With(long[]? shape, float[] values)
        {
            var tensors = tuned.Tensors.ToDictionary();
            tensors.Remove(Name);
            if (shape is not null)
            {
                tensors.Add(Name, new(shape, values));
            }

            return new()
            {
                BaseFingerprint = tuned.BaseFingerprint,
                Options = tuned.Options,
                Tensors = tensors,
            };
        }
    }

    [Fact]
    public void FilesOfAnotherKindAreRefused()
    {
        using var folder = new TemporaryFolder();
        InvalidDataException error = Assert.Throws<InvalidDataException>(() => TunedWeights.Load(Path.Combine(Base, "model.safetensors")));
        Assert.Contains("skillloc-tuned", error.Message, StringComparison.Ordinal);
        string path = folder.PathOf("wrong.safetensors");
        SafetensorsWriter.Write(path, [], new Dictionary<string, string> { ["format"] = "skillloc-tuned", ["version"] = "7" });
        Assert.Contains("version 7", Assert.Throws<InvalidDataException>(() => TunedWeights.Load(path)).Message, StringComparison.Ordinal);
        SafetensorsWriter.Write(path, [], new Dictionary<string, string> { ["format"] = "skillloc-tuned", ["version"] = "1" });
        Assert.Contains(
            "base_fingerprint",
            Assert.Throws<InvalidDataException>(() => TunedWeights.Load(path)).Message,
            StringComparison.Ordinal
        );
        using var plain = TextClassifier.Create(Base, Settings("none", HeadKind.LabelWords));
        Assert.Throws<InvalidOperationException>(plain.Tuned);
        Assert.Empty(plain.TunedParameters);
    }

    /// <summary>Label words are read at the first token without a template, and at its mask with one (methods, B.4).</summary>
    [Theory]
    [InlineData(null)]
    [InlineData("*cls**sent_0*_It_was*mask*.*sep+*")]
    public void LabelWordsAreReadAtTheFirstTokenOrTheMask(string? template)
    {
        using DisposeScope scope = NewDisposeScope();
        using var classifier = TextClassifier.Create(Base, Settings("pfeiffer", HeadKind.LabelWords) with { Template = template });
        Toy.Shake(classifier.TunedParameters.Values);
        EncodedText row = classifier.Encode("a good film");
        Assert.Equal(template is null ? 0 : 4, row.Ids[row.Position]);
        using TokenBatch batch = classifier.Batch([row]);
        using IDisposable inference = no_grad();
        int[] ids = classifier.Settings.LabelWords().Resolve(CheckpointTokenizer.Load(Base));
        Tensor words = tensor(ids.Select(id => (long)id).ToArray());
        Tensor expected = classifier
            .Backbone.WordScores(classifier.Backbone.Encode(batch)[0, row.Position].unsqueeze(0))
            .index_select(1, words);
        Toy.AssertClose(expected, classifier.Logits(batch), 1e-4);
    }

    [Fact]
    public void ASoftPromptTakesItsShareOfThePositionsAndTheTokenizersMask()
    {
        using DisposeScope scope = NewDisposeScope();
        ClassifierSettings settings = Settings("none", HeadKind.LabelWords) with { MaxLength = 10_000 };
        using var plain = TextClassifier.Create(Base, settings);
        using var prompted = TextClassifier.Create(Base, settings with { Tuning = new SoftPromptOptions { Size = 8 } });
        Assert.Equal(4, ((SoftPromptOptions)prompted.Settings.Tuning!).MaskTokenId);
        Assert.Equal(plain.Settings.MaxLength - 8, prompted.Settings.MaxLength);
        EncodedText longest = prompted.Encode(string.Concat(Enumerable.Repeat(" film", 1000)));
        Assert.Equal(prompted.Settings.MaxLength, longest.Ids.Length);
        Assert.Equal(longest.Ids.Length + 8, prompted.TokensOf(longest));
        Assert.Single(prompted.Score([longest]));

        // Two texts have a separator between them (methods, B.1).
        EncodedText pair = prompted.Encode("one", "two");
        Assert.Equal(3, pair.Ids.Count(id => id is 0 or 2));

        ArgumentException error = Assert.Throws<ArgumentException>(() =>
            TextClassifier.Create(Base, prompted.Settings with { Template = "*cls**sent_0*_It_was*mask*.*sep+*" })
        );
        Assert.Contains("its own mask", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(" a film", " a movie")]
    [InlineData(" the film", " a movie")]
    public void ASoftPromptCannotScoreWholeOptions(string first, string second)
    {
        ClassifierSettings settings = Settings("soft_prompt", HeadKind.LabelWords, "tiny-gpt2") with { Words = [first, second] };
        settings = settings with { OptionScoring = first[1] == second[1] ? settings.OptionScoring : OptionScoring.WholeOption };
        ArgumentException error = Assert.Throws<ArgumentException>(() => TextClassifier.Create(Oracles.PathOf("tiny-gpt2"), settings));
        Assert.Contains("FirstToken", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ParametersOfTheCheckpointAreTakenOver()
    {
        using var folder = new TemporaryFolder();
        string path = folder.PathOf("tuned");
        using var classifier = TextClassifier.Create(Base, Settings("lora", HeadKind.LabelWords));
        Toy.Shake(classifier.TunedParameters.Values);
        classifier.Save(path);
        using var more = TextClassifier.Create(path, classifier.Settings, seed: 9);
        Assert.Equal(classifier.Fingerprint(), more.Fingerprint());
        InvalidDataException error = Assert.Throws<InvalidDataException>(() =>
            TextClassifier.Create(path, classifier.Settings with { Tuning = new LoraOptions { Rank = 5 } })
        );
        Assert.Contains("lora_A", error.Message, StringComparison.Ordinal);
        Assert.Contains("[5, 48]", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("soft_prompt")]
    [InlineData("bit_fit")]
    [InlineData("houlsby")]
    [InlineData("lora")]
    [InlineData("prefix")]
    public void NothingStaysAlive(string method)
    {
        using var folder = new TemporaryFolder();
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        using (var classifier = TextClassifier.Create(Base, Settings(method, HeadKind.LabelWords)))
        {
            classifier.SaveTuned(folder.PathOf("tuned.safetensors"));
            using TextClassifier copy = classifier.Clone(dtype: ScalarType.BFloat16);
            Assert.All(copy.TunedParameters.Values, value => Assert.Equal(ScalarType.BFloat16, value.dtype));
            using TextClassifier folded = classifier.Folded(_ => true);
            Scores(folded);
        }

        TextClassifier.LoadTuned(Base, folder.PathOf("tuned.safetensors")).Dispose();
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    private static ClassifierSettings Settings(string method, HeadKind head, string checkpoint = "tiny-roberta") =>
        new()
        {
            Head = head,
            Labels = ["0", "1"],
            Words =
                head != HeadKind.LabelWords ? null
                : checkpoint == "tiny-gpt2" ? [" a", " the"]
                : ["a", "the"],
            AutoregressiveTemplate = checkpoint == "tiny-gpt2" && head == HeadKind.LabelWords ? "{0}" : null,
            MaxLength = 40,
            Tuning = method switch
            {
                "none" => null,
                "bit_fit" => new BitFitOptions(),
                "soft_prompt" => new SoftPromptOptions { Size = 4 },
                _ => Toy.Options(method),
            },
        };

    private static float[][] Scores(TextClassifier classifier) =>
        classifier.Score([classifier.Encode("a good film"), classifier.Encode("one of the worst"), classifier.Encode("x")]);
}
