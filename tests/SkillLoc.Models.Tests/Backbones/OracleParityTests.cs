using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Prompts;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Backbones;

/// <summary>Hidden states, activations, logits, loss and gradients against what transformers computes (tests/oracles).</summary>
public sealed class OracleParityTests
{
    private const double Tolerance = 1e-4;

    [Theory]
    [InlineData("tiny-roberta")]
    [InlineData("tiny-bert")]
    [InlineData("tiny-gpt2")]
    [InlineData("tiny-distilbert")]
    [InlineData("tiny-electra")]
    [InlineData("tiny-xlm-roberta")]
    [InlineData("tiny-camembert")]
    [InlineData("tiny-mpnet")]
    public void HiddenStatesAndActivationsAreTransformers(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        using var oracle = Oracle.Open(name);
        using TokenBatch batch = oracle.Batch();
        var recorder = new Recording(oracle.Model, scope);
        using (no_grad())
        {
            oracle.Model.Encode(batch, hooks: recorder.Hooks);
        }

        Assert.Equal(oracle.Model.Config.Layers + 1, recorder.Hidden.Count);
        for (int i = 0; i < recorder.Hidden.Count; i++)
        {
            oracle.AssertClose($"hidden.{i}", recorder.Hidden[i], positions: true);
        }

        Assert.Equal(oracle.Model.Config.Layers, recorder.FeedForward.Count);
        for (int i = 0; i < recorder.FeedForward.Count; i++)
        {
            oracle.AssertClose($"ffn.{i}", recorder.FeedForward[i], positions: true);
        }
    }

    [Theory]
    [InlineData("tiny-roberta")]
    [InlineData("tiny-bert")]
    [InlineData("tiny-gpt2")]
    [InlineData("tiny-distilbert")]
    [InlineData("tiny-electra")]
    [InlineData("tiny-xlm-roberta")]
    [InlineData("tiny-camembert")]
    [InlineData("tiny-mpnet")]
    public void VocabularyLogitsAreTransformers(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        using var oracle = Oracle.Open(name);
        using TokenBatch batch = oracle.Batch();
        using IDisposable inference = no_grad();
        Tensor logits = oracle.Model.WordScores(oracle.Model.Encode(batch));
        oracle.AssertClose("logits", logits, positions: true);
    }

    [Theory]
    [InlineData("tiny-roberta", true)]
    [InlineData("tiny-bert", true)]
    [InlineData("tiny-gpt2", true)]
    [InlineData("tiny-distilbert", true)]
    [InlineData("tiny-electra", true)]
    [InlineData("tiny-xlm-roberta", true)]
    [InlineData("tiny-camembert", true)]
    [InlineData("tiny-mpnet", true)]
    [InlineData("tiny-roberta", false)]
    public void LossAndEveryGradientAreTransformers(string name, bool safetensors)
    {
        using DisposeScope scope = NewDisposeScope();
        using var oracle = Oracle.Open(name, safetensors);
        using TokenBatch batch = oracle.Batch();
        foreach (Parameter parameter in oracle.Model.Parameters.Values)
        {
            parameter.requires_grad_(true);
        }

        Tensor logits = oracle.Model.WordScores(oracle.Model.EncodeAt(batch), oracle.Expected.Read("label_words"));
        oracle.AssertClose("label_logits", logits.detach());
        Tensor loss = nn.functional.cross_entropy(logits, oracle.Expected.Read("labels"));
        oracle.AssertClose("loss", loss.detach());
        loss.backward();
        foreach ((string parameter, Parameter? value) in oracle.Model.Parameters)
        {
            Tensor gradient = value.grad ?? zeros_like(value);
            if (
                parameter.EndsWith("key.bias", StringComparison.Ordinal)
                || parameter.EndsWith(".k_lin.bias", StringComparison.Ordinal)
                || parameter.EndsWith(".attn.k.bias", StringComparison.Ordinal)
            )
            {
                // A softmax does not change when all its inputs shift, so this gradient is 0, and both sides hold rounding noise.
                Assert.True(gradient.norm().ToDouble() < 1e-6, parameter);
                continue;
            }

            oracle.AssertClose("grad." + parameter, gradient);
        }
    }

    [Theory]
    [InlineData("tiny-roberta")]
    [InlineData("tiny-bert")]
    [InlineData("tiny-gpt2")]
    [InlineData("tiny-distilbert")]
    [InlineData("tiny-electra")]
    [InlineData("tiny-xlm-roberta")]
    [InlineData("tiny-camembert")]
    [InlineData("tiny-mpnet")]
    public void ScoringOnePositionEqualsScoringAll(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        using var oracle = Oracle.Open(name);
        using TokenBatch batch = oracle.Batch();
        using IDisposable inference = no_grad();
        Tensor all = oracle.Model.Encode(batch);
        Tensor picked = all.gather(1, batch.Positions.view(-1, 1, 1).expand(-1, 1, all.size(2))).squeeze(1);
        Assert.True(allclose(picked, oracle.Model.EncodeAt(batch), 1e-4, 1e-5));
    }

    [Fact]
    public void CopiesAreTheirOwnUnlessShared()
    {
        using var oracle = Oracle.Open("tiny-roberta");
        string before = oracle.Model.Fingerprint();
        LanguageModel copy = oracle.Model.Clone();
        Assert.Equal(before, copy.Fingerprint());
        using (no_grad())
        {
            copy.Parameters["lm_head.bias"].add_(1);
        }

        Assert.Equal(before, oracle.Model.Fingerprint());
        copy.Dispose();
        LanguageModel shared = oracle.Model.Clone(name => name == "lm_head.bias");
        using (no_grad())
        {
            oracle.Model.Parameters["lm_head.bias"].add_(1);
        }

        Assert.Equal(oracle.Model.Fingerprint(), shared.Fingerprint());
        oracle.Model.Dispose();
        Assert.NotEqual(before, shared.Fingerprint());
        shared.Dispose();
    }

    [Fact]
    public void NothingStaysAlive()
    {
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        using (var oracle = Oracle.Open("tiny-bert"))
        using (TokenBatch batch = oracle.Batch())
        using (no_grad())
        {
            oracle.Model.EncodeAt(batch).Dispose();
            oracle.Model.Encode(batch).Dispose();
        }

        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    private sealed class Oracle(LanguageModel model, SafetensorsFile expected) : IDisposable
    {
        public LanguageModel Model => model;

        public SafetensorsFile Expected => expected;

        public static Oracle Open(string name, bool safetensors = true)
        {
            var expected = SafetensorsFile.Open(Oracles.PathOf(name, "expected.safetensors"));
            if (safetensors)
            {
                return new(LanguageModel.Load(Oracles.PathOf(name)), expected);
            }

            string folder = Directory.CreateTempSubdirectory().FullName;
            File.Copy(Oracles.PathOf(name, "config.json"), Path.Join(folder, "config.json"));
            File.Copy(Oracles.PathOf(name, "pytorch_model.bin"), Path.Join(folder, "pytorch_model.bin"));
            var model = LanguageModel.Load(folder);
            Directory.Delete(folder, true);
            return new(model, expected);
        }

        public TokenBatch Batch()
        {
            using DisposeScope scope = NewDisposeScope();
            long[] ids = Read("input_ids"),
                mask = Read("attention_mask");
            long[] positions = Read(expected.Contains("mask_pos") ? "mask_pos" : "last_pos");
            long[]? types = expected.Contains("token_type_ids") ? Read("token_type_ids") : null;
            int length = ids.Length / positions.Length;
            return TokenBatch.Create(
                [
                    .. positions.Select(
                        (position, row) =>
                        {
                            int count = (int)mask.AsSpan(row * length, length).ToArray().Sum();
                            return new EncodedText(Row(ids, row, count), types is null ? null : Row(types, row, count), (int)position);
                        }
                    ),
                ],
                model.Config.PadTokenId ?? 0
            );

            int[] Row(long[] values, int row, int count) => [.. values.Skip(row * length).Take(count).Select(value => (int)value)];
        }

        public long[] Read(string name)
        {
            using Tensor value = expected.Read(name);
            return value.data<long>().ToArray();
        }

        /// <summary>Relative Frobenius distance; with positions, over real tokens only.</summary>
        public void AssertClose(string name, Tensor actual, bool positions = false)
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor wanted = expected.Read(name);
            Assert.Equal(wanted.shape, actual.shape);
            if (positions)
            {
                Tensor mask = expected.Read("attention_mask").to(ScalarType.Float32).unsqueeze(-1);
                wanted *= mask;
                actual = actual * mask;
            }

            double distance = (actual - wanted).norm().ToDouble(),
                size = wanted.norm().ToDouble();
            Assert.True(distance <= Tolerance * Math.Max(size, 1e-6), $"{name}: relative distance {distance / Math.Max(size, 1e-12):E2}");
        }

        public void Dispose()
        {
            model.Dispose();
            expected.Dispose();
        }
    }
}
