using System.Text.Json.Nodes;
using SkillLoc.Models.Checkpoints;

namespace SkillLoc.Models.Tests.Checkpoints;

public class ModelConfigTests
{
    [Fact]
    public void ReadsRoberta()
    {
        var config = ModelConfig.Load(Oracles.PathOf("tiny-roberta", "config.json"));
        Assert.Equal("roberta", config.ModelType);
        Assert.True(config.IsKnown);
        Assert.Equal(["RobertaForMaskedLM"], config.Architectures);
        Assert.Equal((48, 3, 4, 12, 96), (config.HiddenSize, config.Layers, config.Heads, config.HeadSize, config.FeedForwardSize));
        Assert.Equal((900, 130, 1), (config.VocabularySize, config.MaxPositions, config.TypeVocabularySize));
        Assert.Equal((1, 0, 2, null), (config.PadTokenId, config.BosTokenId, config.EosTokenId, config.MaskTokenId));
        Assert.Equal(
            (1e-5, 0.1, 0.1, 0.1),
            (config.LayerNormEpsilon, config.HiddenDropout, config.AttentionDropout, config.ClassifierDropout)
        );
        Assert.Equal(("gelu", true, 0.25), (config.HiddenActivation, config.TieWordEmbeddings, config.InitializerRange));
        Assert.Empty(config.Labels);
    }

    [Fact]
    public void ReadsBertWhoseTextHasNoBeginAndEnd()
    {
        var config = ModelConfig.Load(Oracles.PathOf("tiny-bert", "config.json"));
        Assert.Equal(("bert", 128, 2, 1e-12), (config.ModelType, config.MaxPositions, config.TypeVocabularySize, config.LayerNormEpsilon));
        Assert.Equal((0, null, null), (config.PadTokenId, config.BosTokenId, config.EosTokenId));
    }

    [Fact]
    public void ReadsGpt2ByItsOwnKeys()
    {
        var config = ModelConfig.Parse(
            """
            {"model_type":"gpt2","n_embd":48,"n_layer":3,"n_head":4,"n_inner":null,"n_positions":128,"vocab_size":900,"bos_token_id":0,"eos_token_id":0,
             "pad_token_id":null,"activation_function":"gelu_new","attn_pdrop":0.2,"resid_pdrop":0.3,"embd_pdrop":0.4,"layer_norm_epsilon":1e-05}
            """
        );
        Assert.Equal((48, 3, 4, 192, 128), (config.HiddenSize, config.Layers, config.Heads, config.FeedForwardSize, config.MaxPositions));
        Assert.Equal((0.2, 0.3, 0.4), (config.AttentionDropout, config.HiddenDropout, config.EmbeddingDropout));
        Assert.Equal((null, 0, "gelu_new"), (config.PadTokenId, config.EosTokenId, config.HiddenActivation));
    }

    [Theory]
    [InlineData("tiny-gpt2", "gpt2", 192, 3, 0, "gelu_new")]
    [InlineData("tiny-t5", "t5", 96, 2, 2, "relu")]
    [InlineData("tiny-t5-v11", "t5", 96, 2, 2, "gelu_new")]
    public void ReadsWhatPythonWroteForTheOtherArchitectures(
        string name,
        string type,
        int feedForward,
        int layers,
        int decoderLayers,
        string activation
    )
    {
        string path = Oracles.SharedPathOf("oracles", name, "config.json");
        Assert.SkipUnless(File.Exists(path), $"{path} is not there");
        var config = ModelConfig.Load(path);
        Assert.Equal((type, 48, 4, feedForward), (config.ModelType, config.HiddenSize, config.Heads, config.FeedForwardSize));
        Assert.Equal((layers, decoderLayers, activation), (config.Layers, config.DecoderLayers, config.HiddenActivation));
    }

    [Theory]
    [InlineData("relu", "relu", false)]
    [InlineData("gated-gelu", "gelu_new", true)]
    [InlineData("gated-silu", "silu", true)]
    public void ReadsT5ByItsOwnKeys(string projection, string activation, bool gated)
    {
        var config = ModelConfig.Parse(
            $$"""
            {"model_type":"t5","d_model":48,"d_kv":10,"d_ff":96,"num_layers":2,"num_decoder_layers":3,"num_heads":4,"vocab_size":800,
             "relative_attention_num_buckets":16,"relative_attention_max_distance":32,"feed_forward_proj":"{{projection}}","dropout_rate":0.0,"tie_word_embeddings":false}
            """
        );
        Assert.Equal((48, 10, 96, 2, 3), (config.HiddenSize, config.HeadSize, config.FeedForwardSize, config.Layers, config.DecoderLayers));
        Assert.Equal((16, 32), (config.RelativeAttentionBuckets, config.RelativeAttentionMaxDistance));
        Assert.Equal((activation, gated, false), (config.HiddenActivation, config.HasGatedFeedForward, config.TieWordEmbeddings));
        Assert.Equal((0, 1, 0), (config.PadTokenId, config.EosTokenId, config.DecoderStartTokenId));
    }

    [Fact]
    public void UnknownArchitecturesAreToldApartAndKept()
    {
        var config = ModelConfig.Parse("""{"model_type":"mamba","architectures":["MambaForCausalLM"],"d_state":16}""");
        Assert.False(config.IsKnown);
        Assert.Equal("mamba", config.ModelType);
        Assert.Contains("\"d_state\": 16", config.ToJson(), StringComparison.Ordinal);
    }

    [Fact]
    public void WhatIsNotKnownSurvivesChanges()
    {
        string path = Oracles.PathOf("tiny-roberta", "config.json");
        var original = ModelConfig.Load(path);
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(File.ReadAllText(path)), JsonNode.Parse(original.ToJson())));

        ModelConfig changed = original
            .With("hidden_dropout_prob", 0.25)
            .WithLabels(["bad", "good"])
            .WithArchitecture("RobertaForSequenceClassification");
        var read = ModelConfig.Parse(changed.ToJson());
        Assert.Equal(0.25, read.HiddenDropout);
        Assert.Equal(["bad", "good"], read.Labels);
        Assert.Equal(["RobertaForSequenceClassification"], read.Architectures);
        Assert.Equal("5.12.1", (string?)JsonNode.Parse(changed.ToJson())!["transformers_version"]);
        Assert.Equal(1, (int?)JsonNode.Parse(changed.ToJson())!["label2id"]!["good"]);
        Assert.Equal(0.1, original.HiddenDropout);
    }

    [Fact]
    public void NewConfigurationsHaveTheArchitectureSDefaults()
    {
        var roberta = ModelConfig.Roberta(
            hiddenSize: 64,
            layers: 2,
            heads: 8,
            feedForwardSize: 128,
            vocabularySize: 100,
            maxPositions: 66,
            dropout: 0
        );
        Assert.Equal(
            (64, 2, 8, 128, 100, 66),
            (roberta.HiddenSize, roberta.Layers, roberta.Heads, roberta.FeedForwardSize, roberta.VocabularySize, roberta.MaxPositions)
        );
        Assert.Equal(
            (1, 0, 2, 1, 1e-5, 0),
            (
                roberta.PadTokenId,
                roberta.BosTokenId,
                roberta.EosTokenId,
                roberta.TypeVocabularySize,
                roberta.LayerNormEpsilon,
                roberta.HiddenDropout
            )
        );
        Assert.Equal(
            (768, 12, 30522, 2),
            (
                ModelConfig.Bert().HiddenSize,
                ModelConfig.Bert().Layers,
                ModelConfig.Bert().VocabularySize,
                ModelConfig.Bert().TypeVocabularySize
            )
        );
        Assert.Equal(roberta.ToJson(), ModelConfig.Parse(roberta.ToJson()).ToJson());
    }

    [Theory]
    [InlineData("hidden_size", "50", "multiple of the 4")]
    [InlineData("hidden_size", "-48", "above 0")]
    [InlineData("hidden_size", "null", "missing")]
    [InlineData("hidden_size", "48.5", "whole number")]
    [InlineData("num_attention_heads", "0", "above 0")]
    [InlineData("num_hidden_layers", "\"three\"", "whole number")]
    [InlineData("vocab_size", "99999999999", "whole number")]
    [InlineData("max_position_embeddings", "[]", "whole number")]
    [InlineData("hidden_dropout_prob", "1.5", "below 1")]
    [InlineData("attention_probs_dropout_prob", "-0.1", "at least 0")]
    [InlineData("layer_norm_eps", "0", "above 0")]
    [InlineData("layer_norm_eps", "1e999", "number")]
    [InlineData("pad_token_id", "900", "below the vocabulary size 900")]
    [InlineData("hidden_act", "7", "text")]
    [InlineData("tie_word_embeddings", "\"yes\"", "true or false")]
    [InlineData("architectures", "\"RobertaForMaskedLM\"", "array")]
    [InlineData("model_type", "null", "missing")]
    [InlineData("id2label", """{"0":"a","2":"b"}""", "labels")]
    [InlineData("intermediate_sizes", "[96, 61]", "each of the 3 layers")]
    [InlineData("intermediate_sizes", "[96, 0, 61]", "above 0")]
    [InlineData("intermediate_sizes", "96", "each of the 3 layers")]
    public void AbsurdValuesAreRefusedByFileAndKey(string key, string value, string reason)
    {
        JsonNode json = JsonNode.Parse(File.ReadAllText(Oracles.PathOf("tiny-roberta", "config.json")))!;
        json[key] = JsonNode.Parse(value);
        InvalidDataException error = Assert.Throws<InvalidDataException>(() =>
            ModelConfig.Parse(json.ToJsonString(), "models/x/config.json")
        );
        Assert.StartsWith("models/x/config.json", error.Message, StringComparison.Ordinal);
        Assert.Contains(key, error.Message, StringComparison.Ordinal);
        Assert.Contains(reason, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("null")]
    [InlineData("{\"model_type\":")]
    [InlineData("{\"model_type\":\"bert\",\"model_type\":\"bert\"}")]
    [InlineData("{\"model_type\":\"\\ud800\"}")]
    public void TextThatIsNotAConfigurationIsRefused(string json) =>
        Assert.Contains(
            "x.json",
            Assert.Throws<InvalidDataException>(() => ModelConfig.Parse(json, "x.json")).Message,
            StringComparison.Ordinal
        );

    [Fact]
    public void LayersMayDifferInWidth()
    {
        var config = ModelConfig.Load(Oracles.PathOf("tiny-roberta", "config.json"));
        Assert.Equal([96, 96, 96], config.FeedForwardSizes);
        Assert.Equal([96, 5, 7], ModelConfig.Parse(config.WithFeedForwardSizes([96, 5, 7]).ToJson()).FeedForwardSizes);
        Assert.Throws<InvalidDataException>(() => config.WithFeedForwardSizes([96, 5]));
    }

    [Fact]
    public void AMissingFileIsNamed() =>
        Assert.Contains(
            "nowhere.json",
            Assert.Throws<FileNotFoundException>(() => ModelConfig.Load("nowhere.json")).Message,
            StringComparison.Ordinal
        );
}
