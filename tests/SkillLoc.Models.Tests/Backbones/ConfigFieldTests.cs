using System.Text.Json;
using System.Text.Json.Nodes;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tests.Checkpoints;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Backbones;

/// <summary>
/// Every field of <c>config.json</c> that changes what a model computes is honoured as transformers does (tests/oracles/config-fields: one
/// set of weights an architecture, and configurations that differ from its own in one field) or refused by its name.
/// </summary>
public sealed class ConfigFieldTests
{
    // Weights of these models are large, so that logits are up to 10.
    private const double Tolerance = 1e-4;

    public static TheoryData<string, string> Variants()
    {
        var data = new TheoryData<string, string>();
        foreach (string architecture in new[] { "bert", "roberta", "gpt2", "t5" })
        {
            foreach (JsonNode? variant in Listed(architecture))
            {
                data.Add(architecture, variant!["name"]!.GetValue<string>());
            }
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Variants))]
    public void AFieldIsHonoured(string architecture, string name)
    {
        using var folder = new TemporaryFolder();
        Write(folder, architecture, Listed(architecture).First(variant => variant!["name"]!.GetValue<string>() == name)!);
        using DisposeScope scope = NewDisposeScope();
        using IDisposable inference = no_grad();
        using var expected = SafetensorsFile.Open(Oracles.PathOf("config-fields", architecture, "expected.safetensors"));
        using var model = LanguageModel.Load(folder.Path);
        using TokenBatch batch = Batch(expected, name);
        Tensor hidden = model.Encode(batch);
        AssertClose(expected.Read(name + ".hidden"), hidden, expected);
        if (model is T5ForConditionalGeneration t5)
        {
            int start = model.Config.DecoderStartTokenId!.Value;
            AssertClose(
                expected.Read(name + ".logits"),
                t5.Logits(
                    batch,
                    tensor(
                        new long[,]
                        {
                            { start, 7, 9 },
                            { start, 11, 8 },
                        }
                    )
                )
            );
            return;
        }

        AssertClose(expected.Read(name + ".logits"), model.WordScores(hidden), expected);
        Assert.True(
            allclose(hidden.gather(1, batch.Positions.view(-1, 1, 1).expand(-1, 1, 16)).squeeze(1), model.EncodeAt(batch), 1e-4, 1e-4)
        );
    }

    [Theory]
    [MemberData(nameof(Variants))]
    public void WhatIsWrittenIsReadAlike(string architecture, string name)
    {
        // Logits that transformers gives must come from a folder that we wrote from this one, too.
        using var folder = new TemporaryFolder();
        Write(folder, architecture, Listed(architecture).First(variant => variant!["name"]!.GetValue<string>() == name)!);
        using var model = LanguageModel.Load(folder.Path);
        string copy = folder.PathOf("copy");
        CheckpointFolder.Save(copy, model.Config, model.Parameters.Select(pair => (pair.Key, (Tensor)pair.Value)), []);
        using var read = LanguageModel.Load(copy);
        Assert.Equal(model.Fingerprint(), read.Fingerprint());
        Assert.Equal(model.Config.ToJson(), read.Config.ToJson());
    }

    [Theory]
    [InlineData("bert", "position_embedding_type", "\"relative_key\"")]
    [InlineData("roberta", "position_embedding_type", "\"relative_key_query\"")]
    [InlineData("bert", "add_cross_attention", "true")]
    [InlineData("roberta", "add_cross_attention", "true")]
    [InlineData("gpt2", "add_cross_attention", "true")]
    [InlineData("bert", "is_encoder_decoder", "true")]
    [InlineData("bert", "pruned_heads", "{\"0\": [1]}")]
    [InlineData("roberta", "quantization_config", "{\"quant_method\": \"bitsandbytes\"}")]
    [InlineData("bert", "auto_map", "{\"AutoModel\": \"modeling.MyBert\"}")]
    [InlineData("t5", "tie_encoder_decoder", "true")]
    [InlineData("roberta", "pad_token_id", "null")]
    [InlineData("bert", "hidden_act", "\"laplace\"")]
    [InlineData("gpt2", "activation_function", "\"xielu\"")]
    [InlineData("t5", "feed_forward_proj", "\"gelu-gated\"")]
    [InlineData("t5", "dense_act_fn", "\"prelu\"")]
    public void AFieldIsRefusedByName(string architecture, string key, string value)
    {
        using var folder = new TemporaryFolder();
        var fields = new JsonObject { [key] = JsonNode.Parse(value) };
        JsonArray absent = key == "feed_forward_proj" ? ["dense_act_fn"] : [];
        Write(
            folder,
            architecture,
            new JsonObject
            {
                ["fields"] = fields,
                ["absent"] = absent,
                ["add"] = new JsonArray(),
                ["drop"] = new JsonArray(),
            }
        );
        NotSupportedException error = Assert.Throws<NotSupportedException>(() => LanguageModel.Load(folder.Path));
        Assert.Contains(key, error.Message, StringComparison.Ordinal);
        Assert.Contains(folder.PathOf("config.json"), error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("bert", "position_embedding_type", "\"absolute\"")]
    [InlineData("bert", "pruned_heads", "{}")]
    [InlineData("bert", "quantization_config", "null")]
    [InlineData("bert", "auto_map", "{\"AutoTokenizer\": [\"tokenization.My\", null]}")]
    [InlineData("bert", "chunk_size_feed_forward", "3")]
    [InlineData("bert", "use_cache", "false")]
    [InlineData("gpt2", "summary_type", "\"last\"")]
    public void WhatChangesNothingIsPassedOver(string architecture, string key, string value)
    {
        using var folder = new TemporaryFolder();
        var fields = new JsonObject { [key] = JsonNode.Parse(value) };
        Write(
            folder,
            architecture,
            new JsonObject
            {
                ["fields"] = fields,
                ["absent"] = new JsonArray(),
                ["add"] = new JsonArray(),
                ["drop"] = new JsonArray(),
            }
        );
        using var model = LanguageModel.Load(folder.Path);
        Assert.True(model.HasHead);
    }

    [Fact]
    public void T5WithTwoWordEmbeddingsIsRefused()
    {
        using var folder = new TemporaryFolder();
        Write(folder, "t5", Listed("t5")[0]!, ("encoder.embed_tokens.weight", () => ones(40, 16)));
        Assert.Contains(
            "encoder.embed_tokens.weight",
            Assert.Throws<NotSupportedException>(() => LanguageModel.Load(folder.Path)).Message,
            StringComparison.Ordinal
        );
    }

    [Theory]
    [InlineData("bert-decoder")]
    [InlineData("roberta-untied")]
    [InlineData("gpt2-defaultbos")]
    public void FoldersThatLoadedWronglyAreTransformers(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable inference = no_grad();
        using var expected = SafetensorsFile.Open(Oracles.PathOf("bugs", "checkpoints", name, "expected.safetensors"));
        using var model = LanguageModel.Load(Oracles.PathOf("bugs", "checkpoints", name));
        using TokenBatch batch = Batch(expected, null);
        AssertClose(expected.Read("logits"), model.WordScores(model.Encode(batch)), expected.Contains("attention_mask") ? expected : null);
    }

    [Theory]
    [InlineData("deberta-v2", "DeBERTa")]
    [InlineData("modernbert", "ModernBERT")]
    [InlineData("llama", "Llama")]
    [InlineData("albert", "ALBERT")]
    [InlineData("my-own", "another architecture")]
    public void AnotherArchitectureIsCalledByItsName(string type, string name)
    {
        // Keys that mean something else there, DeBERTa's type_vocab_size of 0 for one, are not looked at.
        var config = ModelConfig.Parse(
            $$"""{"model_type": "{{type}}", "architectures": ["X"], "type_vocab_size": 0, "hidden_size": "wide", "id2label": []}""",
            "there/config.json"
        );
        string message = Assert.Throws<NotSupportedException>(() => LanguageModel.CheckArchitecture(config)).Message;
        Assert.Contains("there/config.json", message, StringComparison.Ordinal);
        Assert.Contains(name, message, StringComparison.Ordinal);
        Assert.Contains($"'{type}'", message, StringComparison.Ordinal);
        Assert.Contains("RoBERTa, BERT, GPT-2, T5, DistilBERT", message, StringComparison.Ordinal);
    }

    private static JsonArray Listed(string architecture) =>
        JsonNode.Parse(File.ReadAllText(Oracles.PathOf("config-fields", architecture, "variants.json")))!.AsArray();

    private static void Write(
        TemporaryFolder folder,
        string architecture,
        JsonNode variant,
        params (string Name, Func<Tensor> Value)[] more
    )
    {
        JsonNode config = JsonNode.Parse(File.ReadAllText(Oracles.PathOf("config-fields", architecture, "config.json")))!;
        foreach ((string key, JsonNode? value) in variant["fields"]!.AsObject())
        {
            config[key] = value?.DeepClone();
        }

        foreach (JsonNode? key in variant["absent"]!.AsArray())
        {
            config.AsObject().Remove(key!.GetValue<string>());
        }

        File.WriteAllText(folder.PathOf("config.json"), config.ToJsonString());
        using DisposeScope scope = NewDisposeScope();
        using var weights = SafetensorsFile.Open(Oracles.PathOf("config-fields", architecture, "model.safetensors"));
        string extra = Oracles.PathOf("config-fields", architecture, "extra.safetensors");
        using var added = SafetensorsFile.Open(extra);
        string[] dropped = variant["drop"]!.AsArray().Deserialize<string[]>()!;
        SafetensorsWriter.Write(
            folder.PathOf("model.safetensors"),
            [
                .. weights.Tensors.Where(info => !dropped.Contains(info.Name)).Select(info => (info.Name, weights.Read(info.Name))),
                .. variant["add"]!.AsArray().Deserialize<string[]>()!.Select(name => (name, added.Read(name))),
                .. more.Select(tensor => (tensor.Name, tensor.Value())),
            ]
        );
    }

    private static TokenBatch Batch(SafetensorsFile expected, string? variant)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor ids = expected.Read(variant is null ? "input_ids" : variant + ".input_ids");
        Tensor mask = expected.Contains("attention_mask") ? expected.Read("attention_mask") : ones_like(ids);
        Tensor? types = expected.Contains("token_type_ids") ? expected.Read("token_type_ids") : null;
        return TokenBatch.Create(
            [
                .. Enumerable
                    .Range(0, (int)ids.size(0))
                    .Select(row => new EncodedText(
                        Row(ids, row),
                        types is null ? null : Row(types, row),
                        Math.Min(row + 2, (int)mask[row].sum().item<long>() - 1)
                    )),
            ],
            padId: 0
        );

        int[] Row(Tensor values, int row) =>
            [.. values[row].data<long>().Take((int)mask[row].sum().item<long>()).Select(value => (int)value)];
    }

    private static void AssertClose(Tensor wanted, Tensor actual, SafetensorsFile? mask = null)
    {
        Assert.Equal(wanted.shape, actual.shape);
        Tensor difference = (wanted - actual).abs();
        if (mask is not null && mask.Contains("attention_mask"))
        {
            difference *= mask.Read("attention_mask").unsqueeze(-1);
        }

        Assert.True(difference.max().item<float>() <= Tolerance, $"{difference.max().item<float>():E2}");
    }
}
