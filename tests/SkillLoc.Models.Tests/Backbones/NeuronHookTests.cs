using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Prompts;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Backbones;

/// <summary>Feed-forward neurons can be watched, changed and cut away.</summary>
public sealed class NeuronHookTests
{
    [Fact]
    public void ZeroedNeuronsEqualZeroedColumnsOfTheDownProjection()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Toy(1);
        using LanguageModel cut = model.Clone();
        using TokenBatch batch = Batch();
        using IDisposable inference = no_grad();
        Tensor plain = model.EncodeAt(batch);
        for (int layer = 0; layer < 2; layer++)
        {
            cut.Parameters[$"roberta.encoder.layer.{layer}.output.dense.weight"].narrow(1, 3, 4).zero_();
        }

        IDisposable added = model.Hooks.Add(
            point => point.Name.EndsWith("mlp.hook_post", StringComparison.Ordinal),
            (activations, _) =>
            {
                activations.narrow(2, 3, 4).zero_();
                return activations;
            }
        );
        Assert.True(allclose(cut.Encode(batch), model.Encode(batch), 1e-6, 1e-7));
        Assert.True(allclose(cut.EncodeAt(batch), model.EncodeAt(batch), 1e-6, 1e-7));
        Assert.False(allclose(plain, model.EncodeAt(batch), 1e-3, 1e-3));
        added.Dispose();
        Assert.True(plain.Equals(model.EncodeAt(batch)));
    }

    [Fact]
    public void TheLastLayerIsSeenAtTheScoredPositions()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Toy(2);
        using TokenBatch batch = Batch();
        using IDisposable inference = no_grad();
        var all = new Recording(model, scope);
        var scored = new Recording(model, scope);
        model.Encode(batch, hooks: all.Hooks);
        model.EncodeAt(batch, hooks: scored.Hooks);
        Assert.Equal(all.Seen.Keys, scored.Seen.Keys);
        foreach ((string name, Tensor value) in all.Seen)
        {
            bool isWhole =
                !name.StartsWith("blocks.1.", StringComparison.Ordinal)
                || name is "blocks.1.hook_resid_pre" or "blocks.1.attn.hook_k" or "blocks.1.attn.hook_v";
            Tensor expected = isWhole ? value : stack([value[0, 2], value[1, 0]]).unsqueeze(1);
            Assert.True(allclose(expected, scored.Seen[name], 1e-5, 1e-6), name);
        }
    }

    [Fact]
    public void LayersOfDifferentWidthsRun()
    {
        using DisposeScope scope = NewDisposeScope();
        using var model = LanguageModel.Create(Config.WithFeedForwardSizes([12, 5]), 3);
        Assert.Equal([5, 8], model.Parameters["roberta.encoder.layer.1.intermediate.dense.weight"].shape);
        Assert.Equal([8, 12], model.Parameters["roberta.encoder.layer.0.output.dense.weight"].shape);
        using TokenBatch batch = Batch();
        using IDisposable inference = no_grad();
        Assert.Equal([2, 8], model.EncodeAt(batch).shape);
    }

    private static ModelConfig Config { get; } =
        ModelConfig
            .Roberta(hiddenSize: 8, layers: 2, heads: 2, feedForwardSize: 12, vocabularySize: 30, maxPositions: 20)
            .With("initializer_range", 0.5);

    private static LanguageModel Toy(int seed) => LanguageModel.Create(Config, seed);

    private static TokenBatch Batch() => TokenBatch.Create([new([0, 7, 4, 9, 2], null, 2), new([0, 5, 2], null, 0)], 1);
}
