using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tests.Checkpoints;
using SkillLoc.Models.Tuning;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Backbones;

public sealed class Gpt2ForCausalLMTests
{
    private static readonly ModelConfig Tiny = ModelConfig.Load(Oracles.PathOf("tiny-gpt2", "config.json"));

    [Fact]
    public void NamesWithoutPrefixAndBuffersLoad()
    {
        using var folder = new TemporaryFolder();
        File.Copy(Oracles.PathOf("tiny-gpt2", "config.json"), folder.PathOf("config.json"));
        using var model = LanguageModel.Load(Oracles.PathOf("tiny-gpt2"));
        using (DisposeScope scope = NewDisposeScope())
        {
            var tensors = model.Parameters.Select(pair => (pair.Key["transformer.".Length..], (Tensor)pair.Value)).ToList();
            tensors.Add(("h.0.attn.bias", ones(1, 1, 128, 128, dtype: ScalarType.Byte)));
            tensors.Add(("h.0.attn.masked_bias", tensor(-1e4f)));
            SafetensorsWriter.Write(folder.PathOf("model.safetensors"), tensors);
        }

        using var bare = LanguageModel.Load(folder.Path);
        Assert.Equal(model.Fingerprint(), bare.Fingerprint());
    }

    [Fact]
    public void NothingLaterIsSeen()
    {
        using DisposeScope scope = NewDisposeScope();
        using var model = LanguageModel.Load(Oracles.PathOf("tiny-gpt2"));
        using IDisposable inference = no_grad();
        int[] row = [5, 17, 300, 42, 8, 99];
        using TokenBatch one = Batch(row),
            other = Batch([5, 17, 300, 42, 9, 10]),
            padded = Batch(row, [3, 4, 5, 6, 7, 8, 9, 10, 11]);
        Tensor hidden = model.Encode(one);
        Assert.True(allclose(hidden.narrow(1, 0, 4), model.Encode(other).narrow(1, 0, 4), 1e-5, 1e-6));
        Assert.False(allclose(hidden.narrow(1, 4, 2), model.Encode(other).narrow(1, 4, 2), 1e-2, 1e-2));
        Assert.True(allclose(hidden, model.Encode(padded).narrow(0, 0, 1).narrow(1, 0, 6), 1e-5, 1e-6));
    }

    [Fact]
    public void AnyPositionCanBeScored()
    {
        using DisposeScope scope = NewDisposeScope();
        using var model = LanguageModel.Load(Oracles.PathOf("tiny-gpt2"));
        using IDisposable inference = no_grad();
        using var batch = TokenBatch.Create([new([5, 17, 300, 42], null, 1), new([8, 99], null, 0), new([1, 2, 3], null, 2)], 0);
        Tensor all = model.Encode(batch),
            picked = model.EncodeAt(batch);
        foreach ((int row, int position) in new[] { (0, 1), (1, 0), (2, 2) })
        {
            Assert.True(allclose(all[row, position], picked[row], 1e-5, 1e-6));
        }
    }

    [Theory]
    [InlineData("gelu_new")]
    [InlineData("gelu")]
    [InlineData("relu")]
    [InlineData("silu")]
    public void ActivationsAreTheirFormulas(string name)
    {
        // One layer whose feed-forward part gives out its neurons: with zero weights before it, they are the activations of c_fc's bias.
        using DisposeScope scope = NewDisposeScope();
        using var model = LanguageModel.Create(Tiny.With("activation_function", name).With("n_layer", 1), seed: 1);
        float[] inputs = [.. Enumerable.Range(0, 192).Select(i => ((i - 96) / 12f) + 0.01f)];
        model.Parameters["transformer.h.0.mlp.c_fc.weight"].zero_();
        model.Parameters["transformer.h.0.mlp.c_fc.bias"].copy_(tensor(inputs));
        var recording = new Recording(model, scope);
        using TokenBatch batch = Batch([1]);
        model.Encode(batch, hooks: recording.Hooks);
        Assert.All(inputs.Zip(recording.FeedForward[0].data<float>()), pair => Assert.Equal(Formula(pair.First), pair.Second, 2e-6));

        double Formula(double x) =>
            name switch
            {
                "gelu_new" => 0.5 * x * (1 + Math.Tanh(Math.Sqrt(2 / Math.PI) * (x + (0.044715 * x * x * x)))),
                "gelu" => x * NormalDistribution(x),
                "relu" => Math.Max(0, x),
                _ => x / (1 + Math.Exp(-x)),
            };

        // The integral of the density from 0 by Simpson's rule.
        static double NormalDistribution(double x)
        {
            const int Steps = 2000;
            double width = x / Steps,
                sum = 0;
            for (int i = 0; i <= Steps; i++)
            {
                double at = i * width;
                sum +=
                    Math.Exp(-at * at / 2)
                    * (
                        i == 0 || i == Steps ? 1
                        : i % 2 == 1 ? 4
                        : 2
                    );
            }

            return 0.5 + (sum * width / 3 / Math.Sqrt(2 * Math.PI));
        }
    }

    [Fact]
    public void UnknownActivationsAreNamedWithTheKnown()
    {
        NotSupportedException error = Assert.Throws<NotSupportedException>(() =>
            LanguageModel.Create(Tiny.With("activation_function", "laplace"), seed: 1)
        );
        Assert.Contains("'laplace'", error.Message, StringComparison.Ordinal);
        Assert.Contains("'gelu_new'", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void RobertaTakesTheSameActivations()
    {
        ModelConfig config = ModelConfig.Roberta(16, 1, 2, 32, 50, 20, 0).With("hidden_act", "gelu_new");
        using var model = LanguageModel.Create(config, seed: 1);
        using var exact = LanguageModel.Create(config.With("hidden_act", "gelu"), seed: 1);
        using DisposeScope scope = NewDisposeScope();
        using TokenBatch batch = Batch([3, 4, 5]);
        using IDisposable inference = no_grad();
        Assert.True(allclose(model.Encode(batch), exact.Encode(batch), 1e-2, 1e-2));
        Assert.False(model.Encode(batch).Equals(exact.Encode(batch)));
    }

    [Fact]
    public void AFreshModelIsInitialisedAsInTransformers()
    {
        using DisposeScope scope = NewDisposeScope();
        ModelConfig config = Tiny.With("n_layer", 8).With("initializer_range", 0.02);
        using var model = LanguageModel.Create(config, seed: 3);
        foreach ((string name, Parameter? value) in model.Parameters)
        {
            if (value.dim() == 1)
            {
                float wanted = name.Contains("ln_", StringComparison.Ordinal) && name.EndsWith("weight", StringComparison.Ordinal) ? 1 : 0;
                Assert.True(value.Equals(full_like(value, wanted)), name);
                continue;
            }

            // Projections onto the residual stream: 0.02 / sqrt(2 x 8).
            double deviation = name.EndsWith("c_proj.weight", StringComparison.Ordinal) ? 0.005 : 0.02;
            Assert.InRange(value.detach().std().ToDouble(), 0.93 * deviation, 1.07 * deviation);
        }
    }

    [Fact]
    public void AnUntiedHeadIsItsOwn()
    {
        using DisposeScope scope = NewDisposeScope();
        ModelConfig untied = Tiny.With("tie_word_embeddings", false).With("n_inner", 100).With("n_layer", 1);
        using LanguageModel model = LanguageModel.Create(untied, seed: 3),
            headless = LanguageModel.Create(untied, seed: 3, withHead: false);
        Assert.Equal("lm_head.weight", model.Parameters.Keys.Last());
        Assert.Equal([48, 100], model.Parameters["transformer.h.0.mlp.c_fc.weight"].shape);
        using TokenBatch batch = Batch([1, 2], [3]);
        Assert.Equal([2, 48], headless.EncodeAt(batch).shape);
        Tensor hidden = randn(2, 48);
        Tensor wanted = hidden.matmul(model.Parameters["lm_head.weight"].detach().transpose(0, 1));
        using IDisposable inference = no_grad();
        Assert.True(allclose(wanted, model.WordScores(hidden), 1e-4, 1e-5));
        Assert.True(
            allclose(wanted.index_select(1, tensor(new long[] { 7, 3 })), model.WordScores(hidden, tensor(new long[] { 7, 3 })), 1e-4, 1e-5)
        );
        Assert.False(headless.HasHead);
        Assert.Throws<InvalidOperationException>(() => headless.WordScores(hidden));
    }

    [Fact]
    public void DropoutIsForTrainingOnly()
    {
        using DisposeScope scope = NewDisposeScope();
        using var model = LanguageModel.Load(Oracles.PathOf("tiny-gpt2"));
        using TokenBatch batch = Batch([5, 17, 300]);
        using IDisposable inference = no_grad();
        Tensor plain = model.EncodeAt(batch);
        Assert.False(allclose(plain, model.EncodeAt(batch, training: true), 1e-3, 1e-3));
        model.Dropout = 0;
        Assert.True(allclose(plain, model.EncodeAt(batch, training: true), 1e-5, 1e-6));
    }

    [Fact]
    public void ARowLongerThanThePositionTableIsRefused()
    {
        using var model = LanguageModel.Load(Oracles.PathOf("tiny-gpt2"));
        using TokenBatch batch = Batch(new int[129]);
        Assert.Equal(128, model.MaxLength);
        Assert.Contains("129", Assert.Throws<ArgumentException>(() => model.Encode(batch)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ParametersHaveTheirPlaces()
    {
        Assert.Equal(
            new ParameterPlace(ParameterRegion.Layer, 11, "attn.c_attn.weight"),
            ParameterPlace.Of("transformer.h.11.attn.c_attn.weight")
        );
        Assert.Equal(ParameterRegion.Embeddings, ParameterPlace.Of("transformer.wte.weight").Region);
        Assert.Equal(ParameterRegion.Embeddings, ParameterPlace.Of("transformer.wpe.weight").Region);
        Assert.Equal(ParameterRegion.Head, ParameterPlace.Of("transformer.ln_f.bias").Region);
        Assert.Equal(ParameterRegion.Head, ParameterPlace.Of("lm_head.weight").Region);

        using var model = LanguageModel.Load(Oracles.PathOf("tiny-gpt2"));
        Assert.Equal(3 * 12, new ParameterSelection().Of(model).Count);
        Assert.Equal(
            2 * 6,
            new ParameterSelection { BiasOnly = true, FixLayers = 1 }
                .Of(model)
                .Count
        );
        Assert.Equal(
            ["transformer.ln_f.weight", "transformer.ln_f.bias"],
            new ParameterSelection { FixHead = false, FixLayers = 3 }.Of(model)
        );
        Assert.Equal(
            ["transformer.wte.weight", "transformer.wpe.weight"],
            new ParameterSelection { FixEmbeddings = false, FixLayers = 3 }.Of(model)
        );
    }

    [Fact]
    public void NothingStaysAlive()
    {
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        using (var model = LanguageModel.Load(Oracles.PathOf("tiny-gpt2")))
        using (TokenBatch batch = Batch([1, 2, 3], [4]))
        using (no_grad())
        {
            model.EncodeAt(batch).Dispose();
            using Tensor hidden = model.Encode(batch);
            model.WordScores(hidden).Dispose();
        }

        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    private static TokenBatch Batch(params int[][] rows) =>
        TokenBatch.Create([.. rows.Select(row => new EncodedText(row, null, row.Length - 1))], padId: 0);
}
