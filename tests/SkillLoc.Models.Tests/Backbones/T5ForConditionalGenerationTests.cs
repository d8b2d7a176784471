using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tests.Checkpoints;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Backbones;

/// <summary>T5 against what transformers computes (tests/oracles), and what must hold of any T5.</summary>
public sealed class T5ForConditionalGenerationTests
{
    private const double Tolerance = 1e-4;
    private static readonly ModelConfig Tiny = ModelConfig.Load(Oracles.PathOf("tiny-t5", "config.json"));
    private static readonly int[][] Texts =
    [
        [87, 412, 346, 43, 1],
        [240, 61, 1],
        [127, 164, 92, 175, 14, 16, 1],
    ];

    public static TheoryData<string> Checkpoints => ["tiny-t5", "tiny-t5-v11"];

    [Theory]
    [MemberData(nameof(Checkpoints))]
    public void EncoderAndLogitsAreTransformers(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        using T5ForConditionalGeneration model = Load(name);
        using var expected = SafetensorsFile.Open(Oracles.PathOf(name, "expected.safetensors"));
        using TokenBatch batch = OracleBatch(expected);
        using IDisposable inference = no_grad();
        Tensor mask = expected.Read("attention_mask").unsqueeze(-1);
        AssertClose("encoder_last", expected.Read("encoder_last") * mask, model.Encode(batch) * mask);
        Tensor read = model.ShiftRight(expected.Read("labels"));
        AssertClose("logits", expected.Read("logits"), model.Logits(batch, read));
        Tensor first = model.WordScores(model.EncodeAt(batch), tensor(new long[] { 9, 115, 75 }));
        AssertClose("first step", expected.Read("logits").select(1, 0).index_select(1, tensor(new long[] { 9, 115, 75 })), first);
    }

    [Theory]
    [MemberData(nameof(Checkpoints))]
    public void LossAndEveryGradientAreTransformers(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        using T5ForConditionalGeneration model = Load(name);
        using var expected = SafetensorsFile.Open(Oracles.PathOf(name, "expected.safetensors"));
        using TokenBatch batch = OracleBatch(expected);
        foreach (Parameter parameter in model.Parameters.Values)
        {
            parameter.requires_grad_(true);
        }

        Tensor loss = model.Loss(batch, expected.Read("labels"));
        AssertClose("loss", expected.Read("loss"), loss.detach());
        loss.backward();
        Assert.Equal(expected.Tensors.Count(info => info.Name.StartsWith("grad.", StringComparison.Ordinal)), model.Parameters.Count);
        foreach ((string parameter, Parameter? value) in model.Parameters)
        {
            AssertClose("grad." + parameter, expected.Read("grad." + parameter), value.grad ?? zeros_like(value));
        }
    }

    [Theory]
    [MemberData(nameof(Checkpoints))]
    public void GreedyTextIsTransformers(string name)
    {
        using T5ForConditionalGeneration model = Load(name);
        using var expected = SafetensorsFile.Open(Oracles.PathOf(name, "expected.safetensors"));
        using TokenBatch batch = OracleBatch(expected);
        using Tensor ids = expected.Read("generated");
        int[][] wanted =
        [
            .. ids.data<long>()
                .ToArray()
                .Chunk((int)ids.size(1))
                .Select(row => row.Skip(1).Select(id => (int)id).TakeWhile(id => id != model.Config.EosTokenId).ToArray()),
        ];
        Assert.Equal(wanted, model.Generate(batch, (int)ids.size(1) - 1));
    }

    [Theory]
    [InlineData("relu", 1)]
    [InlineData("gated-gelu", 2)]
    public void CachedStepsAreWholePasses(string projection, int seed)
    {
        // What transformers' random checkpoints write is one token over and over; this model's texts differ and some end early.
        using DisposeScope scope = NewDisposeScope();
        using T5ForConditionalGeneration model = Lively(projection, seed);
        using TokenBatch batch = Batch(Texts);
        using IDisposable inference = no_grad();
        IReadOnlyList<int[]> written = model.Generate(batch, 12);
        for (int row = 0; row < Texts.Length; row++)
        {
            using TokenBatch alone = Batch([Texts[row]]);
            List<long> ids = [0];
            while (ids.Count <= 12)
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

    [Fact]
    public void TextsEndAtTheEndToken()
    {
        using DisposeScope scope = NewDisposeScope();
        using T5ForConditionalGeneration model = Lively("relu", 1);
        using TokenBatch batch = Batch(Texts);
        IReadOnlyList<int[]> unending = model.Generate(batch, 8);
        int end = unending[0][2];
        using var ending = (T5ForConditionalGeneration)LanguageModel.Create(model.Config.With("eos_token_id", end), 0);
        foreach ((string name, Parameter? value) in model.Parameters)
        {
            ending.Parameters[name].copy_(value);
        }

        Assert.Equal(unending.Select(row => row.TakeWhile(id => id != end)), ending.Generate(batch, 8));
    }

    [Fact]
    public void LogLikelihoodsAreThoseOfTheLogits()
    {
        using DisposeScope scope = NewDisposeScope();
        using T5ForConditionalGeneration model = Lively("relu", 3);
        using TokenBatch batch = Batch(Texts);
        using IDisposable inference = no_grad();
        int[][] answers =
        [
            [5, 9, 1],
            [7, 1],
        ];
        Tensor targets = T5ForConditionalGeneration.Targets([.. Texts.SelectMany(_ => answers)]);
        float[] scores = model.LogLikelihoods(batch, targets).data<float>().ToArray();
        double sum = 0;
        for (int row = 0; row < Texts.Length; row++)
        {
            for (int option = 0; option < answers.Length; option++)
            {
                using TokenBatch alone = Batch([Texts[row]]);
                long[] read = [0, .. answers[option].SkipLast(1).Select(id => (long)id)];
                Tensor logits = model.Logits(alone, tensor(read, 1, read.Length))[0];
                double expected = answers[option].Select((id, step) => (logits[step, id] - logits[step].logsumexp(0)).item<float>()).Sum();
                Assert.Equal(expected, scores[(row * answers.Length) + option], 1e-3);
                sum += expected;
            }
        }

        Assert.Equal(-sum / 15, model.Loss(batch, targets).item<float>(), 1e-3);
    }

    [Fact]
    public void PaddingChangesNothing()
    {
        using DisposeScope scope = NewDisposeScope();
        using T5ForConditionalGeneration model = Lively("gated-gelu", 4);
        using IDisposable inference = no_grad();
        using TokenBatch all = Batch(Texts),
            one = Batch([Texts[1]]);
        Tensor targets = T5ForConditionalGeneration.Targets([
                [5, 1],
                [7, 8, 9, 1],
                [4, 1],
            ]),
            own = T5ForConditionalGeneration.Targets([
                [7, 8, 9, 1],
            ]);
        Assert.Equal(model.LogLikelihoods(one, own)[0].item<float>(), model.LogLikelihoods(all, targets)[1].item<float>(), 1e-4);
    }

    [Theory]
    [InlineData(12, 8, 19, 16)]
    [InlineData(13, 9, 20, 17)]
    [InlineData(17, 10, 33, 21)]
    [InlineData(91, 14, 113, 30)]
    [InlineData(92, 15, 114, 31)]
    [InlineData(200, 15, 200, 31)]
    public void DistancesFallIntoBuckets(int read, int encoderLargest, int written, int decoderLargest)
    {
        // Only buckets that occur have a gradient. Of b buckets up to distance 128, b / 2 are exact, and the borders of the others lie
        // at (b / 2) (128 / (b / 2))^(i / (b / 2)); the encoder has 16 for what is before and 16 for what is after, the decoder 32.
        using DisposeScope scope = NewDisposeScope();
        ModelConfig config = Tiny.With("relative_attention_num_buckets", 32).With("relative_attention_max_distance", 128);
        using var model = (T5ForConditionalGeneration)LanguageModel.Create(config, 6);
        Tensor[] tables =
        [
            .. new[] { "encoder", "decoder" }.Select(stack =>
                model.Parameters[stack + ".block.0.layer.0.SelfAttention.relative_attention_bias.weight"].requires_grad_(true)
            ),
        ];
        using TokenBatch batch = Batch([
            [.. Enumerable.Range(20, read)],
        ]);
        model
            .Loss(
                batch,
                T5ForConditionalGeneration.Targets([
                    [.. Enumerable.Range(40, written)],
                ])
            )
            .backward();
        Assert.Equal([.. Enumerable.Range(0, encoderLargest + 1), .. Enumerable.Range(17, encoderLargest)], Occurring(tables[0]));
        Assert.Equal(Enumerable.Range(0, decoderLargest + 1), Occurring(tables[1]));

        static IEnumerable<int> Occurring(Tensor table) =>
            table
                .grad!.abs()
                .sum(dim: 1)
                .data<float>()
                .ToArray()
                .Select((size, bucket) => (size, bucket))
                .Where(pair => pair.size > 0)
                .Select(pair => pair.bucket);
    }

    [Fact]
    public void HooksSeeBothStacks()
    {
        using DisposeScope scope = NewDisposeScope();
        using T5ForConditionalGeneration model = Load("tiny-t5-v11");
        using TokenBatch batch = Batch(Texts);
        var seen = new Recording(model, scope);
        model.Decode(batch, zeros([3, 2], ScalarType.Int64), hooks: seen.Hooks);
        Assert.Equal(model.HookPoints.Select(point => point.Name).Order(), seen.Seen.Keys.Order());
        Assert.All(
            model.HookPoints,
            point =>
            {
                bool ofTheText =
                    !point.IsDecoder
                    || point.Name.EndsWith("cross_attn.hook_k", StringComparison.Ordinal)
                    || point.Name.EndsWith("cross_attn.hook_v", StringComparison.Ordinal);
                Assert.Equal([3, ofTheText ? 7 : 2, point.Size], seen.Seen[point.Name].shape);
            }
        );
    }

    [Fact]
    public void DropoutIsDrawnAnew()
    {
        using DisposeScope scope = NewDisposeScope();
        using T5ForConditionalGeneration model = Load("tiny-t5");
        using TokenBatch batch = Batch(Texts);
        Tensor targets = T5ForConditionalGeneration.Targets([
            [5, 1],
            [7, 1],
            [4, 1],
        ]);
        Assert.Equal(model.Loss(batch, targets).item<float>(), model.Loss(batch, targets, training: true).item<float>());
        model.Dropout = 0.5;
        Assert.NotEqual(model.Loss(batch, targets, training: true).item<float>(), model.Loss(batch, targets, training: true).item<float>());
        Assert.Equal(model.Loss(batch, targets).item<float>(), model.Loss(batch, targets).item<float>());
    }

    [Fact]
    public void FreshWeightsAreDrawnAsInTransformers()
    {
        using var model = LanguageModel.Create(Tiny.With("d_ff", 400).With("d_kv", 16), seed: 7);
        Deviates("shared.weight", 1);
        Deviates("encoder.block.1.layer.0.SelfAttention.q.weight", 1 / Math.Sqrt(48 * 16));
        Deviates("decoder.block.0.layer.1.EncDecAttention.k.weight", 1 / Math.Sqrt(48));
        Deviates("decoder.block.0.layer.0.SelfAttention.o.weight", 1 / Math.Sqrt(4 * 16));
        Deviates("decoder.block.1.layer.2.DenseReluDense.wi.weight", 1 / Math.Sqrt(48));
        Deviates("encoder.block.0.layer.1.DenseReluDense.wo.weight", 1 / Math.Sqrt(400));
        Assert.All(
            model.Parameters.Where(pair => pair.Key.EndsWith("norm.weight", StringComparison.Ordinal)),
            pair => Assert.All(pair.Value.data<float>().ToArray(), value => Assert.Equal(1, value))
        );

        void Deviates(string name, double deviation)
        {
            using Tensor squares = model.Parameters[name].square(),
                mean = squares.mean();
            Assert.Equal(deviation, Math.Sqrt(mean.item<float>()), deviation * 0.06);
        }
    }

    [Fact]
    public void HalfPrecisionComesClose()
    {
        using DisposeScope scope = NewDisposeScope();
        using var expected = SafetensorsFile.Open(Oracles.PathOf("tiny-t5-v11", "expected.safetensors"));
        using TokenBatch batch = OracleBatch(expected);
        using var model = (T5ForConditionalGeneration)LanguageModel.Load(Oracles.PathOf("tiny-t5-v11"), dtype: ScalarType.BFloat16);
        Tensor loss = model.Loss(batch, expected.Read("labels"));
        Assert.Equal(ScalarType.Float32, loss.dtype);
        Assert.Equal(expected.Read("loss").item<float>(), loss.item<float>(), 0.1);
        Assert.Equal(6, model.Generate(batch, 2).Count);
    }

    [Fact]
    public void WhatWasSavedLoads()
    {
        using var folder = new TemporaryFolder();
        using var model = LanguageModel.Create(Tiny.With("tie_word_embeddings", false).With("scale_decoder_outputs", null), seed: 5);
        Assert.Contains("lm_head.weight", model.Parameters.Keys);
        CheckpointFolder.Save(folder.PathOf("saved"), model.Config, model.Parameters.Select(pair => (pair.Key, (Tensor)pair.Value)), []);
        using var again = LanguageModel.Load(folder.PathOf("saved"));
        Assert.Equal(model.Fingerprint(), again.Fingerprint());
        using LanguageModel copy = again.Clone();
        Assert.Equal(model.Fingerprint(), copy.Fingerprint());
        using var bare = LanguageModel.Load(folder.PathOf("saved"), withHead: false);
        Assert.False(bare.HasHead);
        Assert.DoesNotContain("lm_head.weight", bare.Parameters.Keys);
    }

    [Fact]
    public void EmbeddingsAreFoundUnderAnyName()
    {
        using var folder = new TemporaryFolder();
        using T5ForConditionalGeneration model = Load("tiny-t5");
        File.Copy(Oracles.PathOf("tiny-t5", "config.json"), folder.PathOf("config.json"));
        List<(string, Tensor)> tensors =
        [
            .. model.Parameters.Select(pair =>
                (pair.Key == "shared.weight" ? "encoder.embed_tokens.weight" : pair.Key, (Tensor)pair.Value)
            ),
        ];
        tensors.Add(("decoder.embed_tokens.weight", model.Parameters["shared.weight"]));
        tensors.Add(("lm_head.weight", model.Parameters["shared.weight"]));
        SafetensorsWriter.Write(folder.PathOf("model.safetensors"), tensors);
        using var again = LanguageModel.Load(folder.Path);
        Assert.Equal(model.Fingerprint(), again.Fingerprint());
    }

    [Fact]
    public void AHeadOfItsOwnCountsWhateverTheConfigurationSays()
    {
        // transformers 5 writes tie_word_embeddings: true for every T5, and leaves the head's weights in the file.
        using DisposeScope scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using T5ForConditionalGeneration model = Load("tiny-t5-v11");
        File.Copy(Oracles.PathOf("tiny-t5-v11", "config.json"), folder.PathOf("config.json"));
        List<(string, Tensor)> tensors = [.. model.Parameters.Select(pair => (pair.Key, (Tensor)pair.Value))];
        tensors.Add(("lm_head.weight", model.Parameters["shared.weight"] * 2));
        SafetensorsWriter.Write(folder.PathOf("model.safetensors"), tensors);
        using var untied = LanguageModel.Load(folder.Path);
        using TokenBatch batch = Batch(Texts);
        using IDisposable inference = no_grad();
        AssertClose("scores", model.WordScores(model.EncodeAt(batch)) * 2, untied.WordScores(untied.EncodeAt(batch)));
    }

    [Fact]
    public void PlacesTellTheStacksApart()
    {
        Assert.Equal(
            new(ParameterRegion.Layer, 3, "encoder.layer.0.SelfAttention.q.weight"),
            ParameterPlace.Of("encoder.block.3.layer.0.SelfAttention.q.weight")
        );
        Assert.Equal(
            new(ParameterRegion.Layer, 11, "decoder.layer.1.EncDecAttention.o.weight"),
            ParameterPlace.Of("decoder.block.11.layer.1.EncDecAttention.o.weight")
        );
        Assert.Equal(ParameterRegion.Embeddings, ParameterPlace.Of("shared.weight").Region);
        Assert.Equal(ParameterRegion.Head, ParameterPlace.Of("decoder.final_layer_norm.weight").Region);
        Assert.Equal(ParameterRegion.Head, ParameterPlace.Of("lm_head.weight").Region);
    }

    [Fact]
    public void WhatCannotBeIsRefused()
    {
        using DisposeScope scope = NewDisposeScope();
        using T5ForConditionalGeneration model = Load("tiny-t5");
        using TokenBatch batch = Batch(Texts);
        Assert.Throws<ArgumentException>(() => model.Logits(batch, zeros([4, 2], ScalarType.Int64)));
        Assert.Throws<ArgumentException>(() => model.Loss(batch, full([3, 2], -100, ScalarType.Int64)));
        Assert.Throws<ArgumentException>(() =>
            T5ForConditionalGeneration.Targets([
                [1],
                [],
            ])
        );
        Assert.Throws<ArgumentOutOfRangeException>(() => model.Generate(batch, 0));
        Assert.Throws<OperationCanceledException>(() => model.Generate(batch, 3, new CancellationToken(canceled: true)));
        Assert.Throws<NotSupportedException>(() => LanguageModel.Create(Tiny.With("relative_attention_max_distance", 8), 1));
        Assert.Throws<NotSupportedException>(() => LanguageModel.Create(Tiny.With("dense_act_fn", "none"), 1));
    }

    [Fact]
    public void NothingStaysAlive()
    {
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        using (T5ForConditionalGeneration model = Load("tiny-t5"))
        using (TokenBatch batch = Batch(Texts))
        using (
            Tensor targets = T5ForConditionalGeneration.Targets([
                [5, 1],
                [7, 6, 1],
                [4, 1],
            ])
        )
        {
            model.Encode(batch).Dispose();
            model.EncodeAt(batch).Dispose();
            model.Loss(batch, targets, training: true).Dispose();
            model.LogLikelihoods(batch, targets).Dispose();
            model.Generate(batch, 3);
        }

        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    private static T5ForConditionalGeneration Load(string name) => (T5ForConditionalGeneration)LanguageModel.Load(Oracles.PathOf(name));

    /// <summary>A random model whose next token depends on its text and on what it has written.</summary>
    private static T5ForConditionalGeneration Lively(string projection, int seed)
    {
        ModelConfig config = Tiny.With("feed_forward_proj", projection)
            .With("vocab_size", 500)
            .With("tie_word_embeddings", false)
            .With("scale_decoder_outputs", null)
            .With("relative_attention_num_buckets", 8)
            .With("relative_attention_max_distance", 10);
        return (T5ForConditionalGeneration)LanguageModel.Create(config, seed);
    }

    private static TokenBatch Batch(int[][] rows) => TokenBatch.Create([.. rows.Select(row => new EncodedText(row, null, 0))], 0);

    private static TokenBatch OracleBatch(SafetensorsFile expected)
    {
        using Tensor ids = expected.Read("input_ids"),
            mask = expected.Read("attention_mask");
        int length = (int)ids.size(1);
        long[][] rows = [.. ids.data<long>().ToArray().Chunk(length)],
            seen = [.. mask.data<long>().ToArray().Chunk(length)];
        return Batch([.. rows.Select((row, i) => row.Take((int)seen[i].Sum()).Select(id => (int)id).ToArray())]);
    }

    private static void AssertClose(string name, Tensor wanted, Tensor actual)
    {
        Assert.Equal(wanted.shape, actual.shape);
        double distance = (actual - wanted).norm().ToDouble(),
            size = wanted.norm().ToDouble();
        Assert.True(distance <= Tolerance * Math.Max(size, 1e-6), $"{name}: relative distance {distance / Math.Max(size, 1e-12):E2}");
    }
}
