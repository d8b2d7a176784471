using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Connectivity;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tests.Tuning;
using SkillLoc.Models.Tuning;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Interpolation;

/// <summary>Mixtures of tiny-roberta with weights moved by noise.</summary>
public sealed class CheckpointMixtureTests : IDisposable
{
    private static readonly ClassifierSettings Words = new() { Labels = ["neg", "pos"], Words = ["bad", "good"] };

    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;

    private string File => Path.Join(_folder, "mixture.safetensors");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void GroupsAreThoseOfTheSpecification()
    {
        string[] sublayers = [".attention", ".feed_forward"];
        string[] outside =
        [
            "lm_head.bias",
            "lm_head.dense.bias",
            "lm_head.dense.weight",
            "lm_head.layer_norm.bias",
            "lm_head.layer_norm.weight",
            "roberta.embeddings.LayerNorm.bias",
            "roberta.embeddings.LayerNorm.weight",
            "roberta.embeddings.position_embeddings.weight",
            "roberta.embeddings.token_type_embeddings.weight",
            "roberta.embeddings.word_embeddings.weight",
        ];
        string[] layers = ["roberta.encoder.layer.0", "roberta.encoder.layer.1", "roberta.encoder.layer.2"];
        Same(
            "tiny-roberta",
            58,
            [.. outside, .. layers],
            [.. outside, .. layers.SelectMany(layer => sublayers.Select(part => layer + part))]
        );

        outside = ["transformer.ln_f.bias", "transformer.ln_f.weight", "transformer.wpe.weight", "transformer.wte.weight"];
        layers = ["transformer.h.0", "transformer.h.1", "transformer.h.2"];
        Same("tiny-gpt2", 40, [.. outside, .. layers], [.. outside, .. layers.SelectMany(layer => sublayers.Select(part => layer + part))]);

        outside = ["shared.weight", "encoder.final_layer_norm.weight", "decoder.final_layer_norm.weight"];
        string[] encoder = ["encoder.block.0", "encoder.block.1"],
            decoder = ["decoder.block.0", "decoder.block.1"];
        Same(
            "tiny-t5",
            47,
            [.. outside, .. encoder, .. decoder],
            [
                .. outside,
                .. encoder.SelectMany(block => sublayers.Select(part => block + part)),
                .. decoder.SelectMany(block => new[] { ".attention", ".cross_attention", ".feed_forward" }.Select(part => block + part)),
            ]
        );

        static void Same(string folder, int weights, string[] blocks, string[] sublayers)
        {
            using var model = LanguageModel.Load(Oracles.PathOf(folder));
            Assert.Equal(blocks.Order(StringComparer.Ordinal), Groups(MixtureGranularity.Block));
            Assert.Equal(sublayers.Order(StringComparer.Ordinal), Groups(MixtureGranularity.Layer));
            Assert.Equal(weights, Groups(MixtureGranularity.Weight).Count());

            IEnumerable<string> Groups(MixtureGranularity granularity) =>
                model
                    .Parameters.Keys.Select(name => CheckpointMixture.GroupOf(name, granularity))
                    .Distinct(StringComparer.Ordinal)
                    .Order(StringComparer.Ordinal);
        }
    }

    [Theory]
    [InlineData("roberta.encoder.layer.2.attention.output.LayerNorm.bias", "attention")]
    [InlineData("roberta.encoder.layer.2.output.LayerNorm.bias", "feed_forward")]
    [InlineData("bert.encoder.layer.2.intermediate.dense.weight", "feed_forward")]
    [InlineData("roberta.encoder.layer.2.attention.output.dense.adapter.up.weight", "attention")]
    [InlineData("roberta.encoder.layer.2.output.dense.adapter.up.weight", "feed_forward")]
    [InlineData("roberta.encoder.layer.2.attention.self.query.lora_A.weight", "attention")]
    [InlineData("transformer.h.2.ln_1.weight", "attention")]
    [InlineData("transformer.h.2.ln_2.weight", "feed_forward")]
    [InlineData("transformer.h.2.attn.c_proj.bias", "attention")]
    [InlineData("encoder.block.2.layer.0.layer_norm.weight", "attention")]
    [InlineData("encoder.block.2.layer.1.layer_norm.weight", "feed_forward")]
    [InlineData("decoder.block.2.layer.0.SelfAttention.q.weight", "attention")]
    [InlineData("decoder.block.2.layer.1.layer_norm.weight", "cross_attention")]
    [InlineData("decoder.block.2.layer.2.DenseReluDense.wi.weight", "feed_forward")]
    public void EveryTensorHasItsSublayer(string name, string sublayer)
    {
        string group = CheckpointMixture.GroupOf(name, MixtureGranularity.Layer);
        Assert.EndsWith(".2." + sublayer, group, StringComparison.Ordinal);
        Assert.Equal(group[..^(sublayer.Length + 1)], CheckpointMixture.GroupOf(name, MixtureGranularity.Block));
        Assert.Equal(name, CheckpointMixture.GroupOf(name, MixtureGranularity.Weight));
    }

    [Fact]
    public void SharesAreTheSigmoidsAndTheFirstEndsIsS()
    {
        using DisposeScope scope = NewDisposeScope();
        using TextClassifier first = Classifier(),
            second = Classifier(1);
        var mixture = new CheckpointMixture(first, second);
        using TextClassifier interpolated = mixture.CreateWalker();

        // s = 3/4 where w = ln 3, and 1/2 where w = 0.
        mixture.SetWeights([.. mixture.Groups.Select((_, i) => i % 2 == 0 ? MathF.Log(3) : 0)]);
        mixture.ApplyTo(interpolated);
        Assert.Equal(0.75, mixture.Groups[0].FirstShare, 1e-7);
        Assert.Equal(0.25, mixture.Groups[0].SecondShare, 1e-7);
        for (int i = 0; i < mixture.Groups.Count; i++)
        {
            double share = i % 2 == 0 ? 0.75 : 0.5;
            foreach (string name in mixture.Groups[i].Parameters)
            {
                Toy.AssertClose(
                    (first.Parameters[name] * share) + (second.Parameters[name] * (1 - share)),
                    interpolated.Parameters[name],
                    1e-6,
                    name
                );
            }
        }

        using TextClassifier model = mixture.CreateModel();
        Assert.Equal(interpolated.Fingerprint(), model.Fingerprint());
    }

    [Fact]
    public void InfiniteWeightsAreTheEndsAndNothingIsLeft()
    {
        using TextClassifier first = Classifier(),
            second = Classifier(1);
        string[] ends = [first.Fingerprint(), second.Fingerprint()];
        long live = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        var mixture = new CheckpointMixture(first, second, MixtureGranularity.Layer);
        using (TextClassifier interpolated = mixture.CreateWalker())
        {
            Assert.Equal(ends[0], At(float.PositiveInfinity));
            Assert.Equal(ends[1], At(float.NegativeInfinity));
            Assert.DoesNotContain(At(0), ends);
            Assert.Equal(ends[0], At(1e4f));
            Assert.Throws<ArgumentException>(() => mixture.ApplyTo(first));

            string At(float weight)
            {
                mixture.SetWeights([.. mixture.Groups.Select(_ => weight)]);
                mixture.ApplyTo(interpolated);
                return interpolated.Fingerprint();
            }
        }

        mixture.CreateModel().Dispose();
        Assert.Equal(live, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
        Assert.Equal(ends, new[] { first.Fingerprint(), second.Fingerprint() });
        Assert.Throws<ArgumentException>(() => mixture.SetWeights([1]));
        Assert.Throws<ArgumentException>(() => mixture.SetWeights([.. mixture.Groups.Select(_ => float.NaN)]));
    }

    [Theory]
    [InlineData(MixtureGranularity.Block)]
    [InlineData(MixtureGranularity.Layer)]
    public void GradientsAreDifferencesOfTheLoss(MixtureGranularity granularity)
    {
        using TextClassifier first = Classifier(),
            second = Classifier(1);
        var mixture = new CheckpointMixture(first, second, granularity);
        using TextClassifier interpolated = mixture.CreateWalker();
        float[] weights = [.. mixture.Groups.Select((_, i) => (0.7f * (i % 5)) - 1.3f)];
        foreach (MixtureGroup group in mixture.Groups)
        {
            foreach (string name in group.Parameters)
            {
                interpolated.Parameters[name].requires_grad_(true);
            }
        }

        _ = Loss(weights);
        double[] gradients = mixture.Gradients(interpolated);
        Assert.Equal(mixture.Groups.Count, gradients.Length);
        const float Step = 0.03f;
        double largest = gradients.Max(Math.Abs);
        Assert.True(largest > 0.01, $"{largest}");
        for (int i = 0; i < gradients.Length; i++)
        {
            double slope = (Loss(Moved(Step)) - Loss(Moved(-Step))) / (2 * Step);
            Assert.Equal(slope, gradients[i], 0.005 * largest);

            float[] Moved(float by) => [.. weights.Select((weight, j) => j == i ? weight + by : weight)];
        }

        double Loss(float[] at)
        {
            mixture.SetWeights(at);
            mixture.ApplyTo(interpolated);
            foreach (Parameter parameter in interpolated.Parameters.Values)
            {
                parameter.grad = null!;
            }

            using DisposeScope scope = NewDisposeScope();
            using TokenBatch batch = interpolated.Batch([
                .. new[] { "a good film", "the man was bad", "it" }.Select(text => interpolated.Encode(text)),
            ]);
            Tensor loss = nn.functional.cross_entropy(interpolated.Logits(batch), tensor(new long[] { 1, 0, 0 }));
            loss.backward();
            return loss.item<float>();
        }
    }

    [Fact]
    public void OfOtherLabelsTheHeadIsChosen()
    {
        using DisposeScope scope = NewDisposeScope();
        using TextClassifier first = Classifier(0, new() { Head = HeadKind.SequenceClassification, Labels = ["a", "b", "c"] });
        using TextClassifier second = Classifier(1, new() { Head = HeadKind.SequenceClassification, Labels = ["x", "y"] });
        var mixture = new CheckpointMixture(first, second, MixtureGranularity.Weight, Endpoint.Second);
        Assert.DoesNotContain(mixture.Groups, group => group.Name.StartsWith("classifier.out_proj", StringComparison.Ordinal));
        using TextClassifier model = mixture.CreateModel();
        Assert.Equal(["x", "y"], model.Settings.Labels);
        Toy.AssertClose(second.Parameters["classifier.out_proj.weight"], model.Parameters["classifier.out_proj.weight"], 0);
        Toy.AssertClose(
            (first.Parameters["classifier.dense.weight"] + second.Parameters["classifier.dense.weight"]) / 2,
            model.Parameters["classifier.dense.weight"],
            1e-7
        );
    }

    [Fact]
    public void OnlyWhatATuningMethodMovedIsMixed()
    {
        ClassifierSettings settings = Words with { Tuning = new LoraOptions { Rank = 2 } };
        using TextClassifier first = Classifier(settings: settings),
            second = Classifier(settings: settings);
        Toy.Shake(second.TunedParameters.Values);
        var mixture = new CheckpointMixture(first, second, MixtureGranularity.Layer);
        Assert.Equal(
            ["roberta.encoder.layer.0.attention", "roberta.encoder.layer.1.attention", "roberta.encoder.layer.2.attention"],
            mixture.Groups.Select(group => group.Name)
        );
        Assert.Equal(first.TunedParameters.Keys, mixture.Groups.SelectMany(group => group.Parameters));
    }

    [Fact]
    public void WhatIsSavedIsLoaded()
    {
        using TextClassifier first = Classifier(),
            second = Classifier(1);
        var mixture = new CheckpointMixture(first, second, MixtureGranularity.Layer, Endpoint.Second);
        mixture.SetWeights([.. mixture.Groups.Select((_, i) => i == 0 ? float.PositiveInfinity : (i / 3f) - 1)]);
        long live = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        mixture.Save(File);
        var loaded = CheckpointMixture.Load(File, first, second);
        Assert.Equal(live, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
        Assert.Equal((Endpoint.Second, MixtureGranularity.Layer), (loaded.Task, loaded.Granularity));
        Assert.Equal(mixture.Groups.Select(group => (group.Name, group.Weight)), loaded.Groups.Select(group => (group.Name, group.Weight)));
    }

    [Fact]
    public void WhatDoesNotFitIsNamed()
    {
        using TextClassifier first = Classifier(),
            second = Classifier(1),
            third = Classifier(2),
            bert = Bert();
        new CheckpointMixture(first, second).Save(File);
        Assert.Contains(
            $"'second_fingerprint' is {second.Fingerprint()}, and theirs is {third.Fingerprint()}",
            Refused(first, third),
            StringComparison.Ordinal
        );
        Assert.Contains("'first_fingerprint'", Refused(second, first), StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => CheckpointMixture.Load(File, first, bert));
        using (TextClassifier other = Classifier(0, Words with { Template = "*cls*_It_was*mask*.*sent_0**sep+*" }))
        {
            Assert.Contains("'settings' is", Refused(other, second), StringComparison.Ordinal);
        }

        Rewrite((metadata, _) => metadata["groups"] = "[\"a\"]");
        Assert.Contains("groups [\"a\"]", Refused(first, second), StringComparison.Ordinal);
        Rewrite((metadata, _) => metadata["granularity"] = "Word");
        Assert.Contains("'Word'; it must be one of Block, Layer, Weight", Refused(first, second), StringComparison.Ordinal);
        Rewrite((metadata, _) => metadata["version"] = "9");
        Assert.Contains("version 9", Refused(first, second), StringComparison.Ordinal);
        Rewrite((metadata, _) => metadata.Remove("task"));
        Assert.Contains("lacks 'task'", Refused(first, second), StringComparison.Ordinal);
        Rewrite((_, weights) => weights[^1] = float.NaN);
        Assert.Contains("must hold 13 numbers", Refused(first, second), StringComparison.Ordinal);
        Rewrite((metadata, _) => metadata["format"] = "other");
        Assert.Contains("no mixture", Refused(first, second), StringComparison.Ordinal);
        System.IO.File.WriteAllBytes(File, System.IO.File.ReadAllBytes(File)[..^3]);
        Refused(first, second);
        Assert.Throws<FileNotFoundException>(() => CheckpointMixture.Load(File + ".none", first, second));

        string Refused(TextClassifier one, TextClassifier other) =>
            Assert.Throws<InvalidDataException>(() => CheckpointMixture.Load(File, one, other)).Message;

        void Rewrite(Action<Dictionary<string, string>, float[]> change)
        {
            var mixture = new CheckpointMixture(first, second);
            mixture.Save(File);
            Dictionary<string, string> metadata;
            using (var file = SafetensorsFile.Open(File))
            {
                metadata = new(file.Metadata, StringComparer.Ordinal);
            }

            float[] weights = new float[mixture.Groups.Count];
            change(metadata, weights);
            using Tensor values = tensor(weights);
            SafetensorsWriter.Write(File, [("weights", values)], metadata);
        }
    }

    /// <summary>Seed 0 is the checkpoint; another moves every weight.</summary>
    private static TextClassifier Classifier(int seed = 0, ClassifierSettings? settings = null)
    {
        var classifier = TextClassifier.Create(
            Oracles.PathOf("tiny-roberta"),
            settings ?? (Words with { Template = "*cls**sent_0*_It_was*mask*.*sep+*" }),
            seed: seed
        );
        if (seed > 0)
        {
            using DisposeScope scope = NewDisposeScope();
            using IDisposable noGradients = no_grad();
            using var generator = new Generator((ulong)seed);
            foreach (Parameter parameter in classifier.Parameters.Values)
            {
                parameter.add_(randn(parameter.shape, generator: generator) * 0.05);
            }
        }

        return classifier;
    }

    private static TextClassifier Bert() =>
        TextClassifier.Create(Oracles.PathOf("tiny-bert"), Words with { Template = "*cls**sent_0**mask**sep+*" });
}
