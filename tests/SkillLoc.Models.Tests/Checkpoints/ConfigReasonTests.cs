using System.Collections;
using System.Text;
using System.Text.Json.Nodes;
using SkillLoc.Models.Checkpoints;

namespace SkillLoc.Models.Tests.Checkpoints;

/// <summary>Every kind of value of a <c>config.json</c>, and what is said of another.</summary>
public sealed class ConfigReasonTests
{
    private const string Gpt2 =
        """ "model_type": "gpt2", "n_embd": 8, "n_layer": 1, "n_head": 2, "n_positions": 16, "vocab_size": 10, "eos_token_id": 1, "bos_token_id": 1""";

    private const string Bert =
        """ "model_type": "bert", "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16, "max_position_embeddings": 16, "type_vocab_size": 2, "vocab_size": 10""";

    [Theory]
    [InlineData("""{"k": 3}""", 3)]
    [InlineData("{}", null)]
    [InlineData("""{"k": null}""", null)]
    [InlineData("""{"k": -1}""", null)]
    [InlineData("""{"k": [4, 5]}""", 4)]
    public void TokensHaveIds(string json, int? expected) => Assert.Equal(expected, Json(json).TokenId("k", null, 10));

    [Fact]
    public void TokensMayHaveADefault()
    {
        Assert.Equal(99, Json("{}").TokenId("k", 99, 10));
        Assert.Equal(3, Json("""{"k": 3}""").TokenId("k", 99, 10));
        Assert.Equal(1000, Json("""{"k": 1000}""").TokenId("k", null));
        Assert.Null(Json("""{"k": null}""").TokenId("k", 99));
    }

    [Theory]
    [InlineData("""{"k": -2}""", 10, "x: k is -2; expected a token id below the vocabulary size 10.")]
    [InlineData("""{"k": 10}""", 10, "x: k is 10; expected a token id below the vocabulary size 10.")]
    [InlineData("""{"k": -2}""", null, "x: k is -2; expected a token id.")]
    [InlineData("""{"k": []}""", 10, "x: k is []; expected a whole number.")]
    [InlineData("""{"k": [null]}""", 10, "x: k is [null]; expected a whole number.")]
    [InlineData("""{"k": ["a"]}""", 10, "x: k is [\"a\"]; expected a whole number.")]
    [InlineData("""{"k": [[1]]}""", 10, "x: k is [[1]]; expected a whole number.")]
    [InlineData("""{"k": {"a": 1}}""", 10, "x: k is {\"a\":1}; expected a whole number.")]
    public void OtherIdsAreRefused(string json, int? vocabulary, string expected) =>
        Assert.Equal(expected, Assert.Throws<InvalidDataException>(() => Json(json).TokenId("k", null, vocabulary)).Message);

    [Fact]
    public void ValuesHaveTheirKinds()
    {
        ConfigJson json = Json(
            """{"zero": 0, "one": 1, "half": 0.5, "minus": -0.5, "text": "a", "flag": true, "texts": ["a", "b"], "odd": ["a", 1], "none": null}"""
        );
        Assert.Equal((1, 0, 7), (json.Size("one"), json.Size("other", 0), json.Size("none", 7)));
        Assert.Equal(0, json.Size("zero", 0));
        Assert.Equal((0.5, 2.0), (json.Positive("half", 1), json.Positive("other", 2)));
        Assert.Equal((0.5, 0.0, 0.1), (json.Probability("half", 0), json.Probability("zero", 1), json.Probability("none", 0.1)));
        Assert.Equal((true, true, false), (json.Flag("flag", false), json.Flag("none", true), json.Flag("other", false)));
        Assert.Equal(("a", null, null), (json.Text("text"), json.Text("none"), json.Text("other")));
        Assert.Equal(["a", "b"], json.Texts("texts"));
        Assert.Empty(json.Texts("other"));
        Assert.Equal((1, null), (json.Integer("one"), json.Integer("other")));
        (Action, string)[] refused =
        [
            (() => json.Size("other"), "x: other is missing; expected a whole number above 0."),
            (() => json.Size("zero"), "x: zero is 0; expected a whole number above 0."),
            (() => json.Size("zero", 1), "x: zero is 0; expected a whole number above 0."),
            (() => json.Size("half"), "x: half is 0.5; expected a whole number."),
            (() => json.Integer("texts"), "x: texts is [\"a\",\"b\"]; expected a whole number."),
            (() => json.Positive("zero", 1), "x: zero is 0; expected a number above 0."),
            (() => json.Positive("minus", 1), "x: minus is -0.5; expected a number above 0."),
            (() => json.Positive("text", 1), "x: text is \"a\"; expected a number."),
            (() => json.Positive("texts", 1), "x: texts is [\"a\",\"b\"]; expected a number."),
            (() => json.Probability("one", 0), "x: one is 1; expected a probability, at least 0 and below 1."),
            (() => json.Probability("minus", 0), "x: minus is -0.5; expected a probability, at least 0 and below 1."),
            (() => json.Flag("one", true), "x: one is 1; expected true or false."),
            (() => json.Flag("texts", true), "x: texts is [\"a\",\"b\"]; expected true or false."),
            (() => json.Text("one"), "x: one is 1; expected a text."),
            (() => json.Text("texts"), "x: texts is [\"a\",\"b\"]; expected a text."),
            (() => json.Texts("text"), "x: text is \"a\"; expected an array of texts."),
            (() => json.Texts("odd"), "x: odd is [\"a\",1]; expected an array of texts."),
        ];
        foreach ((Action read, string message) in refused)
        {
            Assert.Equal(message, Assert.Throws<InvalidDataException>(read).Message);
        }

        json.SharedNames = new Dictionary<string, string>
        {
            ["own"] = "one",
            ["zero"] = "none",
            ["half"] = "other",
        };
        Assert.Equal((1, 0), (json.Integer("own"), json.Integer("zero")));
    }

    [Theory]
    [InlineData("""{"model_type": "mamba"}""", "")]
    [InlineData("{" + Bert + """, "eos_token_id": [3, "a", 5]}""", "3 -1 5")]
    [InlineData("{" + Bert + """, "eos_token_id": [3, [4]]}""", "3 -1")]
    [InlineData("{" + Bert + """, "eos_token_id": 3}""", "3")]
    [InlineData("{" + Bert + "}", "")]
    public void TokensThatEndATextMayBeSeveral(string json, string expected) =>
        Assert.Equal(expected, string.Join(' ', ModelConfig.Parse(json).EosTokenIds));

    [Fact]
    public void AttentionLooksBackInSomeModels()
    {
        Assert.True(ModelConfig.Parse("{" + Gpt2 + "}").AttendsBackwardsOnly);
        Assert.False(ModelConfig.Parse("{" + Bert + "}").AttendsBackwardsOnly);
        Assert.True(ModelConfig.Parse("{" + Bert + """, "is_decoder": true}""").AttendsBackwardsOnly);
        Assert.False(ModelConfig.Parse("""{"model_type": "mamba", "is_decoder": true}""").AttendsBackwardsOnly);
        Assert.False(ModelConfig.Load(Oracles.PathOf("tiny-t5", "config.json")).With("is_decoder", true).AttendsBackwardsOnly);
    }

    [Theory]
    [InlineData(", \"pad_token_id\": 50256", null)]
    [InlineData(", \"pad_token_id\": 10", null)]
    [InlineData(", \"pad_token_id\": 9", 9)]
    [InlineData("", null)]
    public void PaddingThatIsNotEmbeddedIsNoneInCausalModels(string more, int? expected) =>
        Assert.Equal(expected, ModelConfig.Parse("{" + Gpt2 + more + "}").PadTokenId);

    [Fact]
    public void EmbeddingsMayBeNarrower()
    {
        Assert.Equal(8, ModelConfig.Parse("{" + Bert + "}").EmbeddingSize);
        string electra = "{" + Bert.Replace("bert", "electra", StringComparison.Ordinal) + """, "embedding_size": 4}""";
        Assert.Equal((4, 8), (ModelConfig.Parse(electra).EmbeddingSize, ModelConfig.Parse(electra).HiddenSize));
    }

    [Theory]
    [InlineData("[\"a\"]", "x: id2label is [\"a\"]; expected an object from \"0\", \"1\", ... to the labels.")]
    [InlineData(
        """{"0": "a", "1": null}""",
        "x: id2label is {\"0\":\"a\",\"1\":null}; expected an object from \"0\", \"1\", ... to the labels."
    )]
    [InlineData("""{"0": ["a"]}""", "x: id2label is {\"0\":[\"a\"]}; expected an object from \"0\", \"1\", ... to the labels.")]
    [InlineData("""{"1": "a"}""", "x: id2label is {\"1\":\"a\"}; expected an object from \"0\", \"1\", ... to the labels.")]
    [InlineData("""{"0": "a", "1": 2, "2": true}""", "a 2 true")]
    [InlineData("{}", "")]
    public void LabelsAreInTheOrderOfTheirIds(string labels, string expected)
    {
        string json = "{" + Bert + ", \"id2label\": " + labels + "}";
        Assert.Equal(
            expected,
            expected.StartsWith("x:", StringComparison.Ordinal)
                ? Assert.Throws<InvalidDataException>(() => ModelConfig.Parse(json, "x")).Message
                : string.Join(' ', ModelConfig.Parse(json, "x").Labels)
        );
    }

    [Fact]
    public void AClassifierHasLabels()
    {
        const string Classifier = "{" + Bert + ", \"architectures\": [\"BertForSequenceClassification\"]";
        Assert.Equal(["LABEL_0", "LABEL_1"], ModelConfig.Parse(Classifier + "}").Labels);
        Assert.Equal(["LABEL_0", "LABEL_1", "LABEL_2"], ModelConfig.Parse(Classifier + ", \"num_labels\": 3}").Labels);
        Assert.False(ModelConfig.Parse(Classifier + "}").NamesLabels);
        Assert.True(ModelConfig.Parse(Classifier + ", \"id2label\": {\"0\": \"a\"}}").NamesLabels);
        Assert.Empty(ModelConfig.Parse("{" + Bert + "}").Labels);
    }

    [Fact]
    public void LayersThatAreAlikeAreAList()
    {
        IReadOnlyList<int> sizes = ModelConfig.Parse("{" + Bert + "}").FeedForwardSizes;
        Assert.Equal((2, 16, 16), (sizes.Count, sizes[0], sizes[1]));
        Assert.Equal([16, 16], sizes);
        Assert.Equal(2, ((IEnumerable)sizes).Cast<int>().Count());
        foreach (int index in new[] { -1, 2 })
        {
            Assert.StartsWith(
                "There are 2 layers.",
                Assert.Throws<ArgumentOutOfRangeException>(() => sizes[index]).Message,
                StringComparison.Ordinal
            );
        }

        foreach (string wrong in new[] { "16", "[16]", "[16, 0]", "[16, \"a\"]", "[16, [1]]" })
        {
            Assert.Equal(
                $"x: intermediate_sizes is {JsonNode.Parse(wrong)!.ToJsonString()}; expected a number above 0 for each of the 2 layers.",
                Assert
                    .Throws<InvalidDataException>(() => ModelConfig.Parse("{" + Bert + $", \"intermediate_sizes\": {wrong}}}", "x"))
                    .Message
            );
        }
    }

    [Fact]
    public void KeysMayBeSetAndRemoved()
    {
        var config = ModelConfig.Parse("{" + Bert + """, "more": 1}""");
        Assert.Equal(1, config.Field("more")!.GetValue<int>());
        Assert.Null(config.With("more", null).Field("more"));
        Assert.Null(config.With("other", null).Field("other"));
        Assert.Equal("a", config.With("more", "a").Text("more"));
        Assert.Equal(
            "config.json: hidden_size is 8; expected a multiple of the 3 attention heads.",
            Assert.Throws<InvalidDataException>(() => config.With("num_attention_heads", 3)).Message
        );
        Assert.Equal(
            "config.json: n_embd is 8; expected a multiple of the 3 attention heads.",
            Assert
                .Throws<InvalidDataException>(() =>
                    ModelConfig.Parse("{" + Gpt2.Replace("\"n_head\": 2", "\"n_head\": 3", StringComparison.Ordinal) + "}")
                )
                .Message
        );
        Assert.StartsWith(
            "x: Unable to translate Unicode character",
            Assert.Throws<InvalidDataException>(() => ModelConfig.Parse("\ud800", "x")).Message,
            StringComparison.Ordinal
        );
    }

    private static ConfigJson Json(string json) => new(JsonNode.Parse(Encoding.UTF8.GetBytes(json))!.AsObject(), "x");
}
