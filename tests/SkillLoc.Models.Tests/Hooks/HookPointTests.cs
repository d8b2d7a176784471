using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Hooks;
using SkillLoc.Models.Tests.Tuning;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Hooks;

/// <summary>What is where: activations at the points are related as the architectures say.</summary>
public sealed class HookPointTests
{
    public static TheoryData<string> Models => ["roberta", "bert", "gpt2", "t5", "t5_gated"];

    [Theory]
    [MemberData(nameof(Models))]
    public void APassComesByEveryPointOnceAndInTheirOrder(string type)
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Toy.Model(type);
        using TokenBatch batch = Toy.Batch(model);
        Recording recording = Record(model, batch, scope);
        Assert.Equal(model.HookPoints.Count, recording.Seen.Count);
        Assert.Equal(model.HookPoints.Select(point => point.Name).Order(), recording.Seen.Keys.Order());
        Assert.All(model.HookPoints, point => Assert.Equal(point.Size, recording.Seen[point.Name].size(2)));
        Assert.All(model.HookPoints, point => Assert.Equal($"{point.Name} [batch, positions, {point.Size}]", point.ToString()));
        Assert.All(model.HookPoints, point => Assert.Equal(point.Name.StartsWith("decoder", StringComparison.Ordinal), point.IsDecoder));

        // Which linear map comes first is each architecture's own affair, and T5's text is read before the answer's first words.
        Assert.Equal(WithoutMaps(model.HookPoints.Select(point => point.Name)), WithoutMaps(recording.Seen.Keys));

        static IEnumerable<string> WithoutMaps(IEnumerable<string> names) =>
            names.Where(name =>
                !name.Contains("attn.hook_", StringComparison.Ordinal) && !name.Contains("hook_pre", StringComparison.Ordinal)
            );
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void ResidualStreamsAreTheSumsOfTheirParts(string type)
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Toy.Model(type);
        using TokenBatch batch = Toy.Batch(model);
        OrderedDictionary<string, Tensor> seen = Record(model, batch, scope).Seen;
        string[] blocks =
        [
            .. seen
                .Keys.Where(name => name.EndsWith(".hook_resid_pre", StringComparison.Ordinal))
                .Select(name => name[..^"hook_resid_pre".Length]),
        ];
        Assert.Equal(model.Config.Layers + model.Config.DecoderLayers, blocks.Length);
        foreach (string block in blocks)
        {
            Toy.AssertClose(seen[block + "hook_resid_pre"] + seen[block + "hook_attn_out"], seen[block + "hook_resid_mid"], 1e-6);
            string middle = block + "hook_resid_mid";
            if (block.StartsWith("decoder", StringComparison.Ordinal))
            {
                Toy.AssertClose(seen[middle] + seen[block + "hook_cross_attn_out"], seen[block + "hook_resid_mid_cross"], 1e-6);
                middle = block + "hook_resid_mid_cross";
            }

            Tensor added = seen[block + "hook_resid_post"] - seen[block + "hook_mlp_out"];
            if (model is MaskedLanguageModel)
            {
                string layer = $"{type}.encoder.layer.{block.Split('.')[1]}.";
                Toy.AssertClose(Norm(seen[middle], layer + "attention.output.LayerNorm"), added, 1e-5);
                Toy.AssertClose(
                    Norm(seen[block + "hook_resid_post"], layer + "output.LayerNorm"),
                    seen[block + "hook_normalized_resid_post"],
                    1e-5
                );
            }
            else
            {
                Toy.AssertClose(seen[middle], added, 1e-5);
            }
        }

        Tensor Norm(Tensor x, string name) =>
            nn.functional.layer_norm(
                x,
                [x.size(-1)],
                model.Parameters[name + ".weight"],
                model.Parameters[name + ".bias"],
                model.Config.LayerNormEpsilon
            );
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void WhatMapsReadAndGiveIsBetweenTheirPoints(string type)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable inference = no_grad();
        using LanguageModel model = Toy.Model(type);
        using TokenBatch batch = Toy.Batch(model);
        OrderedDictionary<string, Tensor> seen = Record(model, batch, scope).Seen;
        foreach (
            (string from, string map, string to) in type switch
            {
                "gpt2" =>
                [
                    ("attn.hook_z", "transformer.h.1.attn.c_proj", "hook_attn_out"),
                    ("mlp.hook_post", "transformer.h.1.mlp.c_proj", "hook_mlp_out"),
                ],
                "t5" or "t5_gated" =>
                [
                    ("attn.hook_z", "decoder.block.1.layer.0.SelfAttention.o", "hook_attn_out"),
                    ("cross_attn.hook_z", "decoder.block.1.layer.1.EncDecAttention.o", "hook_cross_attn_out"),
                    ("mlp.hook_post", "decoder.block.1.layer.2.DenseReluDense.wo", "hook_mlp_out"),
                ],
                _ => new[]
                {
                    ("hook_resid_pre", $"{type}.encoder.layer.1.attention.self.query", "attn.hook_q"),
                    ("hook_resid_pre", $"{type}.encoder.layer.1.attention.self.key", "attn.hook_k"),
                    ("hook_resid_pre", $"{type}.encoder.layer.1.attention.self.value", "attn.hook_v"),
                    ("attn.hook_z", $"{type}.encoder.layer.1.attention.output.dense", "hook_attn_out"),
                    ("mlp.hook_post", $"{type}.encoder.layer.1.output.dense", "hook_mlp_out"),
                },
            }
        )
        {
            string block = type.StartsWith("t5", StringComparison.Ordinal) ? "decoder.1." : "blocks.1.";
            Tensor weight = model.Parameters[map + ".weight"];
            Tensor mapped = seen[block + from].matmul(type == "gpt2" ? weight : weight.transpose(0, 1));
            Toy.AssertClose(
                model.Parameters.TryGetValue(map + ".bias", out Parameter? bias) ? mapped + bias : mapped,
                seen[block + to],
                1e-5
            );
        }

        string first = type.StartsWith("t5", StringComparison.Ordinal) ? "encoder.0." : "blocks.0.";
        Tensor pre = seen[first + "mlp.hook_pre"];
        Tensor activated = type switch
        {
            "t5" => pre.relu(),
            "t5_gated" => nn.functional.gelu(pre) * seen[first + "mlp.hook_pre_linear"],
            _ => nn.functional.gelu(pre),
        };
        Assert.True(allclose(activated, seen[first + "mlp.hook_post"], 1e-2, 2e-3));
    }

    [Fact]
    public void WidthsOfAPrunedModelAreItsLayers()
    {
        using var model = LanguageModel.Create(ModelConfig.Roberta(8, 2, 2, 12, 30, 20).WithFeedForwardSizes([12, 5]), 3);
        Assert.Equal(
            [12, 5],
            model.HookPoints.Where(point => point.Name.EndsWith("mlp.hook_post", StringComparison.Ordinal)).Select(point => point.Size)
        );
    }

    [Fact]
    public void AnUnknownNameIsRefusedWithTheKnownOnes()
    {
        using LanguageModel model = Toy.Model("t5");
        string message = Assert.Throws<ArgumentException>(() => model.Hooks.Add("blocks.0.mlp.hook_post", (_, _) => null)).Message;
        Assert.Contains("'blocks.0.mlp.hook_post'", message, StringComparison.Ordinal);
        Assert.Contains("encoder.{i}.mlp.hook_post (i from 0 to 1)", message, StringComparison.Ordinal);
        Assert.Contains("decoder.{i}.cross_attn.hook_z (i from 0 to 2)", message, StringComparison.Ordinal);
        Assert.Contains("hook_embed", message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => model.Hooks.Add(point => point.Size == 7777, (_, _) => null));
    }

    private static Recording Record(LanguageModel model, TokenBatch batch, DisposeScope scope)
    {
        using IDisposable inference = no_grad();
        var recording = new Recording(model, scope);
        if (model is T5ForConditionalGeneration t5)
        {
            t5.Decode(batch, tensor(new long[] { 0, 8, 3, 0, 2, 29 }, 2, 3), hooks: recording.Hooks);
        }
        else
        {
            model.Encode(batch, hooks: recording.Hooks);
        }

        return recording;
    }
}
