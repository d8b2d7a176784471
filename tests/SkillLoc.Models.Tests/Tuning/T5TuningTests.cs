using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Connectivity;
using SkillLoc.Models.Hooks;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tests.Checkpoints;
using SkillLoc.Models.Tuning;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Tuning;

/// <summary>The methods on T5 (methods, C.3): both stacks, attention to the text, and writing with a cache.</summary>
public sealed class T5TuningTests
{
    private static readonly int[][] Texts =
    [
        [7, 4, 9, 11, 1],
        [5, 6, 1],
    ];

    private static AdapterOptions Study =>
        new()
        {
            Placement = AdapterPlacement.Houlsby,
            BottleneckSize = 4,
            Activation = AdapterActivation.Swish,
            Bias = false,
            InitialUpDeviation = 0.02,
        };

    [Theory]
    [MemberData(nameof(Toy.Methods), MemberType = typeof(Toy))]
    public void T5WithItIsThePapersFormulas(string method)
    {
        IsThePapersFormulas("t5", method);
        IsThePapersFormulas("t5_gated", method);
    }

    [Theory]
    [InlineData("t5")]
    [InlineData("t5_gated")]
    public void AFreshAdapterOrLoraChangesNoBit(string type)
    {
        using DisposeScope scope = NewDisposeScope();
        using var model = (T5ForConditionalGeneration)Toy.Model(type);
        using TokenBatch batch = Toy.Batch(model);
        using IDisposable inference = no_grad();
        Tensor read = tensor(new long[] { 0, 8, 3, 0, 2, 29 }, 2, 3),
            plain = model.Logits(batch, read);
        foreach (string method in Toy.StartingFromTheModel)
        {
            using PeftModule adaptation = Toy.Options(method).Create(model)!;
            model.PeftModule = adaptation;
            Assert.True(plain.Equals(model.Logits(batch, read)), method);
        }
    }

    [Fact]
    public void ThereAreAsManyTensorsAsInTheReference()
    {
        using LanguageModel model = LanguageModel.Create(Toy.T5(12, 12, gated: false), 1),
            gated = LanguageModel.Create(Toy.T5(12, 12, gated: true), 1);
        Count(model, Study, 120, 2.0 / 5);
        Count(model, Study with { Bias = true }, 240, 2.0 / 5);
        Count(model, Study with { Placement = AdapterPlacement.Pfeiffer }, 48, 1.0 / 2);
        Count(model, new LoraOptions { Rank = 2 }, 144, 1.0 / 3);
        Count(model, new LoraOptions { Rank = 2, Targets = Toy.AllMaps }, 2 * ((12 * 6) + (12 * 10)), 6.0 / 16);
        Count(model, new LoraOptions { Rank = 2, Bias = true }, 288, 1.0 / 3);
        Count(model, new LoraOptions { Rank = 2, Mlp = true }, 216, 1.0 / 3);
        Count(model, new LowRankBiasOptions { Rank = 2 }, 144, 1.0 / 3);
        Count(model, new LowRankBiasOptions { Rank = 2, Mlp = true }, 216, 1.0 / 3);
        Count(gated, new LoraOptions { Rank = 2, Targets = Toy.AllMaps }, 2 * ((12 * 7) + (12 * 11)), 7.0 / 18);
        Count(model, new PrefixOptions { Length = 5, ProjectionSize = 3 }, 6, 1.0 / 2);

        static void Count(LanguageModel model, TuningOptions options, int tensors, double encoderShare)
        {
            using PeftModule adaptation = options.Create(model)!;
            Assert.Equal(tensors, adaptation.Parameters.Count);

            // The encoder's come first, as in the flat vectors of the paper's code.
            int encoder = (int)Math.Round(tensors * encoderShare);
            Assert.All(adaptation.Parameters.Keys.Take(encoder), name => Assert.StartsWith("encoder.", name, StringComparison.Ordinal));
            Assert.All(adaptation.Parameters.Keys.Skip(encoder), name => Assert.StartsWith("decoder.", name, StringComparison.Ordinal));
        }
    }

    [Fact]
    public void NamesTellStackLayerAndKind()
    {
        using LanguageModel model = Toy.Model("t5_gated");
        using PeftModule adapters = Study.Create(model)!,
            lora = Toy.Options("lora_all").Create(model)!,
            prefix = Toy.Options("prefix").Create(model)!;
        Has(
            adapters,
            "encoder.block.1.layer.0.SelfAttention.o.adapter.down.weight",
            1,
            "encoder.layer.0.SelfAttention.o.adapter.down.weight",
            4,
            8
        );
        Has(
            adapters,
            "encoder.block.0.layer.1.DenseReluDense.wo.adapter.up.weight",
            0,
            "encoder.layer.1.DenseReluDense.wo.adapter.up.weight",
            8,
            4
        );
        Has(
            adapters,
            "decoder.block.2.layer.1.EncDecAttention.o.adapter.up.weight",
            2,
            "decoder.layer.1.EncDecAttention.o.adapter.up.weight",
            8,
            4
        );
        Has(lora, "decoder.block.0.layer.1.EncDecAttention.v.lora_B.weight", 0, "decoder.layer.1.EncDecAttention.v.lora_B.weight", 6, 2);
        Has(
            lora,
            "decoder.block.1.layer.2.DenseReluDense.wi_0.lora_A.weight",
            1,
            "decoder.layer.2.DenseReluDense.wi_0.lora_A.weight",
            2,
            8
        );
        Has(prefix, "encoder.prefix.embedding.weight", -1, "encoder.prefix.embedding.weight", 3, 8);
        Has(prefix, "encoder.prefix.transform.2.weight", -1, "encoder.prefix.transform.2.weight", 2 * 2 * 6, 6);
        Has(prefix, "decoder.prefix.transform.2.weight", -1, "decoder.prefix.transform.2.weight", 3 * 2 * 6, 6);

        static void Has(PeftModule adaptation, string name, int layer, string kind, params long[] shape)
        {
            Assert.Equal(shape, adaptation.Parameters[name].shape);
            Assert.Equal(new(layer < 0 ? ParameterRegion.Head : ParameterRegion.Layer, layer, kind), ParameterPlace.Of(name));
        }
    }

    [Theory]
    [MemberData(nameof(Toy.Methods), MemberType = typeof(Toy))]
    public void GradientsReachTheTunedParametersAndNoOthers(string method)
    {
        foreach (string type in new[] { "t5", "t5_gated" })
        {
            using DisposeScope scope = NewDisposeScope();
            using T5ForConditionalGeneration model = Tuned(type, method);
            IReadOnlyDictionary<string, Parameter> tuned = Toy.Options(method).ParametersOf(model);
            foreach (Parameter parameter in tuned.Values)
            {
                parameter.requires_grad_(true);
            }

            using TokenBatch batch = Toy.Batch(model);
            model
                .Loss(
                    batch,
                    T5ForConditionalGeneration.Targets([
                        [8, 3, 1],
                        [2, 1],
                    ]),
                    training: true
                )
                .backward();
            Assert.All(tuned, pair => Assert.True(pair.Value.grad?.norm().ToDouble() > 1e-9, pair.Key));
            Assert.All(model.Parameters.Values, parameter => Assert.Null(parameter.grad));
        }
    }

    [Fact]
    public void RoomForStepsGrowsAsTheyAreWritten()
    {
        using DisposeScope scope = NewDisposeScope();
        ModelConfig config = ModelConfig
            .Load(Oracles.PathOf("tiny-t5", "config.json"))
            .With("vocab_size", 500)
            .With("tie_word_embeddings", false)
            .With("scale_decoder_outputs", null)
            .With("eos_token_id", null)
            .With("relative_attention_num_buckets", 8);
        using var model = (T5ForConditionalGeneration)LanguageModel.Create(config, 1);
        model.PeftModule = Toy.Options("prefix").Create(model);
        Toy.Shake(model.Parameters.Values);
        using IDisposable inference = no_grad();
        using TokenBatch batch = Batch([
                [87, 412, 346, 43, 1],
                [240, 61, 1],
            ]),
            first = Batch([
                [87, 412, 346, 43, 1],
            ]);
        IReadOnlyList<int[]> written = model.Generate(batch, 140);
        Assert.True(written[0].Distinct().Count() > 2, string.Join(' ', written[0].Distinct()));
        using Tensor logits = model.Logits(first, tensor(written[0].Select(id => (long)id).Prepend(0).SkipLast(1).ToArray(), 1, 140));
        Assert.Equal(written[0].Select(id => (long)id), logits[0].argmax(1).data<long>().ToArray());
        Assert.Equal(written[1][..50], model.Generate(batch, 50)[1]);

        // A limit that no memory has room for costs none before it is come near to.
        using var cancellation = new CancellationTokenSource(TimeSpan.FromMilliseconds(200));
        Assert.Throws<OperationCanceledException>(() => model.Generate(batch, int.MaxValue, cancellation.Token));
    }

    [Theory]
    [MemberData(nameof(Toy.Methods), MemberType = typeof(Toy))]
    public void CachedStepsAreWholePasses(string method)
    {
        using DisposeScope scope = NewDisposeScope();
        ModelConfig config = ModelConfig
            .Load(Oracles.PathOf("tiny-t5", "config.json"))
            .With("vocab_size", 500)
            .With("tie_word_embeddings", false)
            .With("scale_decoder_outputs", null)
            .With("relative_attention_num_buckets", 8)
            .With("relative_attention_max_distance", 10);
        using var model = (T5ForConditionalGeneration)LanguageModel.Create(config, 1);
        model.PeftModule = Toy.Options(method).Create(model);
        Toy.Shake(model.PeftModule!.Parameters.Values);
        using IDisposable inference = no_grad();
        int[][] texts =
        [
            [87, 412, 346, 43, 1],
            [240, 61, 1],
            [127, 164, 92, 175, 14, 16, 1],
        ];
        using TokenBatch batch = Batch(texts);
        IReadOnlyList<int[]> written = model.Generate(batch, 10);
        for (int row = 0; row < texts.Length; row++)
        {
            using TokenBatch alone = Batch([texts[row]]);
            List<long> ids = [0];
            while (ids.Count <= 10)
            {
                long next = model.Logits(alone, tensor(ids.ToArray(), 1, ids.Count))[0, ids.Count - 1].argmax().item<long>();
                if (next == 1)
                {
                    break;
                }

                ids.Add(next);
            }

            Assert.Equal(ids.Skip(1).Select(id => (int)id), written[row]);
        }

        Assert.True(written.SelectMany(row => row).Distinct().Count() > 3, "The texts should not be one token over and over.");
    }

    [Theory]
    [InlineData("t5")]
    [InlineData("t5_gated")]
    public void FoldedLoraIsOrdinaryWeights(string type)
    {
        using DisposeScope scope = NewDisposeScope();
        using var model = (T5ForConditionalGeneration)Toy.Model(type);
        using var plain = (T5ForConditionalGeneration)model.Clone();
        using TokenBatch batch = Toy.Batch(model);
        using IDisposable inference = no_grad();
        Tensor read = tensor(new long[] { 0, 8, 3, 0, 2, 29 }, 2, 3);
        string before = model.Fingerprint();
        model.PeftModule = new LoraOptions
        {
            Rank = 2,
            Alpha = 3,
            Targets = Toy.AllMaps,
        }.Create(model);
        Toy.Shake(model.PeftModule!.Parameters.Values);
        IReadOnlyDictionary<string, Parameter> added = model.PeftModule.Parameters;
        foreach (
            string name in added
                .Keys.Where(name => name.EndsWith(".lora_A.weight", StringComparison.Ordinal))
                .Select(name => name[..^".lora_A.weight".Length])
        )
        {
            plain.Parameters[name + ".weight"].add_(added[name + ".lora_B.weight"].mm(added[name + ".lora_A.weight"]) * 1.5);
        }

        Tensor wanted = plain.Logits(batch, read);
        Toy.AssertClose(wanted, model.Logits(batch, read), 1e-4);
        Assert.Equal(before, model.Fingerprint());
        model.FoldAdaptation();
        Assert.Null(model.PeftModule);
        Toy.AssertClose(wanted, model.Logits(batch, read), 1e-4);
        Assert.All(plain.Parameters, pair => Toy.AssertClose(pair.Value, model.Parameters[pair.Key], 1e-6, pair.Key));
    }

    [Fact]
    public void AFoldedPrefixIsKeysAndValuesOfBothStacks()
    {
        using DisposeScope scope = NewDisposeScope();
        using T5ForConditionalGeneration model = Tuned("t5", "prefix");
        using TokenBatch batch = Toy.Batch(model);
        using IDisposable inference = no_grad();
        Tensor read = tensor(new long[] { 0, 8, 3, 0, 2, 29 }, 2, 3),
            wanted = model.Logits(batch, read);
        model.FoldAdaptation();
        Assert.Equal(["encoder.prefix.key_values", "decoder.prefix.key_values"], model.PeftModule!.Parameters.Keys);
        Assert.Equal([2, 2, 2, 3, 3], model.PeftModule.Parameters["encoder.prefix.key_values"].shape);
        Assert.Equal([3, 2, 2, 3, 3], model.PeftModule.Parameters["decoder.prefix.key_values"].shape);
        Toy.AssertClose(wanted, model.Logits(batch, read), 1e-6);
    }

    /// <summary>Prompt vectors that are words' embeddings do what those words before the text would.</summary>
    [Fact]
    public void VectorsOfWordsAreWords()
    {
        using DisposeScope scope = NewDisposeScope();
        using var model = (T5ForConditionalGeneration)Toy.Model("t5");
        using IDisposable inference = no_grad();
        using TokenBatch plain = Batch([.. Texts.Select(text => (int[])[21, 8, 13, .. text])]),
            prompted = Batch(Texts);
        Tensor read = tensor(new long[] { 0, 8, 3, 0, 2, 29 }, 2, 3),
            wanted = model.Logits(plain, read),
            all = model.Encode(plain);
        IReadOnlyList<int[]> written = model.Generate(plain, 6);
        model.PeftModule = new SoftPromptOptions { Size = 3 }.Create(model);
        model.PeftModule!.Parameters["prompt"].copy_(model.Parameters["shared.weight"][tensor(new long[] { 21, 8, 13 })].unsqueeze(0));
        Toy.AssertClose(wanted, model.Logits(prompted, read), 1e-5);
        Toy.AssertClose(all[0], model.Encode(prompted)[0], 1e-5);
        Assert.Equal(written, model.Generate(prompted, 6));
    }

    /// <summary>With everything dropped a layer adds nothing to 0, biases of adapters included: they come before dropout.</summary>
    [Fact]
    public void AdaptersComeBeforeDropout()
    {
        using DisposeScope scope = NewDisposeScope();
        using T5ForConditionalGeneration model = Tuned("t5", "houlsby");
        using TokenBatch batch = Toy.Batch(model);
        using IDisposable inference = no_grad();
        model.Dropout = 1;
        var dropped = new Recording(model, scope, IsHidden);
        model.Decode(batch, zeros([2, 3], ScalarType.Int64), training: true, dropped.Hooks);
        Assert.Equal(7, dropped.Seen.Count);
        Assert.All(dropped.Seen.Values, hidden => Assert.Equal(0, hidden.abs().max().ToDouble()));
        model.Dropout = 0;
        var kept = new Recording(model, scope, IsHidden);
        model.Decode(batch, zeros([2, 3], ScalarType.Int64), training: true, kept.Hooks);
        Assert.All(kept.Seen.Values, hidden => Assert.True(hidden.abs().max().ToDouble() > 0));

        static bool IsHidden(HookPoint point) =>
            point.Name.EndsWith("hook_resid_pre", StringComparison.Ordinal)
            || point.Name.EndsWith("hook_normalized", StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Toy.Methods), MemberType = typeof(Toy))]
    public void WhatWasTunedTravelsWithoutTheBase(string method)
    {
        using DisposeScope scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using T5ForConditionalGeneration model = Tuned("t5_gated", method);
        using TokenBatch batch = Toy.Batch(model);
        using IDisposable inference = no_grad();
        Tensor read = tensor(new long[] { 0, 8, 3, 0, 2, 29 }, 2, 3),
            wanted = model.Logits(batch, read);
        new TunedWeights
        {
            BaseFingerprint = model.Fingerprint(),
            Options = model.PeftModule!.Options,
            Tensors = model.PeftModule.Parameters.ToDictionary(
                pair => pair.Key,
                pair => (pair.Value.shape, pair.Value.data<float>().ToArray())
            ),
        }.Save(folder.PathOf("tuned.safetensors"));

        var tuned = TunedWeights.Load(folder.PathOf("tuned.safetensors"));
        using var other = (T5ForConditionalGeneration)Toy.Model("t5_gated");
        Assert.Equal(other.Fingerprint(), tuned.BaseFingerprint);
        other.PeftModule = tuned.Options.Create(other, seed: 8);
        Assert.Equal(other.PeftModule!.Parameters.Keys.Order(), tuned.Tensors.Keys.Order());
        foreach ((string name, Parameter parameter) in other.PeftModule.Parameters)
        {
            parameter.copy_(tensor(tuned.Tensors[name].Values).view(tuned.Tensors[name].Shape));
        }

        Assert.True(wanted.Equals(other.Logits(batch, read)));
        Assert.All(CheckpointDistance.Between(Tensors(model), Tensors(other)), pair => Assert.Equal(0, pair.Value.L2));

        static Dictionary<string, Tensor> Tensors(LanguageModel model) =>
            model.PeftModule!.Parameters.ToDictionary(pair => pair.Key, pair => (Tensor)pair.Value);
    }

    [Theory]
    [MemberData(nameof(Toy.Methods), MemberType = typeof(Toy))]
    public void HalfPrecisionComesClose(string method)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable inference = no_grad();
        using T5ForConditionalGeneration model = Tuned("t5_gated", method);
        foreach (Parameter parameter in model.PeftModule!.Parameters.Values)
        {
            // So that the toy's scores, which nothing scales, do not magnify the rounding.
            parameter.mul_(0.2f);
        }

        using var half = (T5ForConditionalGeneration)model.Clone(dtype: ScalarType.BFloat16);
        using TokenBatch batch = Toy.Batch(model);
        Assert.All(half.PeftModule!.Parameters.Values, parameter => Assert.Equal(ScalarType.BFloat16, parameter.dtype));
        using Tensor targets = T5ForConditionalGeneration.Targets([
            [8, 3, 1],
            [2, 1],
        ]);
        Assert.Equal(model.Loss(batch, targets).item<float>(), half.Loss(batch, targets).item<float>(), 0.1);
        Assert.Equal(2, half.Generate(batch, 2).Count);
    }

    [Fact]
    public void AModelOfOtherSizesRefusesIt()
    {
        using LanguageModel model = Toy.Model("t5");
        using PeftModule adaptation = new LoraOptions { Rank = 2 }.Create(model)!;
        Refuses(model.Config.With("num_decoder_layers", 2), "2 decoder layers");
        Refuses(model.Config.With("d_kv", 4), "of size 4");
        Refuses(model.Config.With("feed_forward_proj", "gated-gelu"), "gated");
        Refuses(ModelConfig.Roberta(8, 2, 2, 12, 30, 20), "roberta");

        void Refuses(ModelConfig config, string said)
        {
            using var other = LanguageModel.Create(config, 1);
            string message = Assert.Throws<ArgumentException>(() => other.PeftModule = adaptation).Message;
            Assert.Contains(said, message, StringComparison.Ordinal);
            Assert.Contains("3 decoder layers", message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void BitFitIsRefused()
    {
        using LanguageModel model = Toy.Model("t5");
        Assert.Contains(
            "biases",
            Assert.Throws<NotSupportedException>(() => new BitFitOptions().Create(model)).Message,
            StringComparison.Ordinal
        );
        Assert.Throws<NotSupportedException>(() => new BitFitOptions().ParametersOf(model));
    }

    [Theory]
    [MemberData(nameof(Toy.Methods), MemberType = typeof(Toy))]
    public void CopiesAreTheirOwnAndNothingStaysAlive(string method)
    {
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        using (T5ForConditionalGeneration model = Tuned("t5_gated", method))
        using (TokenBatch batch = Toy.Batch(model))
        using (
            Tensor targets = T5ForConditionalGeneration.Targets([
                [8, 3, 1],
                [2, 1],
            ])
        )
        using (IDisposable inference = no_grad())
        using (Tensor first = model.LogLikelihoods(batch, targets))
        {
            model.Loss(batch, targets, training: true).Dispose();
            model.EncodeAt(batch).Dispose();
            model.Generate(batch, 3);
            using var copy = (T5ForConditionalGeneration)model.Clone();
            using Tensor same = copy.LogLikelihoods(batch, targets);
            Assert.True(first.Equals(same));
            Toy.Shake(copy.PeftModule!.Parameters.Values, 9);
            using Tensor other = copy.LogLikelihoods(batch, targets),
                again = model.LogLikelihoods(batch, targets);
            Assert.False(first.Equals(other));
            Assert.True(first.Equals(again));
            copy.FoldAdaptation();
            copy.Generate(batch, 3);
        }

        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    private static void IsThePapersFormulas(string type, string method)
    {
        using DisposeScope scope = NewDisposeScope();
        using T5ForConditionalGeneration model = Tuned(type, method);
        using TokenBatch batch = Toy.Batch(model);
        using IDisposable inference = no_grad();
        var reference = new T5ReferencePass(model);
        int[][] read =
        [
            [0, 8, 3, 12],
            [0, 2, 29, 4],
        ];
        Tensor encoded = model.Encode(batch),
            first = model.EncodeAt(batch);

        // Each text with both.
        Tensor decoded = model.Decode(batch, tensor(read.Concat(read).SelectMany(row => row).Select(id => (long)id).ToArray(), 4, 4));
        for (int i = 0; i < Texts.Length; i++)
        {
            Tensor text = reference.Encode(Texts[i]);
            Close(text, encoded[i].narrow(0, 0, text.size(0)), "encoder");
            Close(reference.Decode(Texts[i], [0])[0], first[i], "first step");
            for (int j = 0; j < read.Length; j++)
            {
                Close(reference.Decode(Texts[i], read[j]), decoded[(2 * i) + j], "decoder");
            }
        }

        static void Close(Tensor wanted, Tensor actual, string what) => Toy.AssertClose(wanted, actual.to(ScalarType.Float64), 3e-4, what);
    }

    private static T5ForConditionalGeneration Tuned(string type, string method)
    {
        LanguageModel model = Toy.Model(type);
        model.PeftModule = Toy.Options(method).Create(model);
        Toy.Shake(model.PeftModule!.Parameters.Values);
        return (T5ForConditionalGeneration)model;
    }

    private static TokenBatch Batch(int[][] rows) => TokenBatch.Create([.. rows.Select(row => new EncodedText(row, null, 0))], 0);
}
