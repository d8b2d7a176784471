using System.Text;
using System.Text.Json;
using SkillLoc.Models.Tokenization;

namespace SkillLoc.Models.Tests.Tokenization;

/// <summary>The special tokens around texts, the steps, and the kind of tokenizer, from all that files may say of them.</summary>
public sealed class TokenizerPartsTests
{
    private const string ClsSep = """ "special_tokens": {"C": {"ids": [2]}, "S": {"ids": [3, 4]}} """;

    [Theory]
    [InlineData(null, null)]
    [InlineData("null", null)]
    [InlineData("1", "x: its post_processor is a JSON Number; it should be an object or null.")]
    [InlineData("""{"type": "ByteLevel", "trim_offsets": true}""", "A0 / A0 B1")]
    [InlineData("""{"type": "Sequence", "processors": []}""", "A0 / A0 B1")]
    [InlineData("""{"type": "BertProcessing", "cls": ["C", 2], "sep": ["S", 3]}""", "2-0 A0 3-0 / 2-0 A0 3-0 B1 3-1")]
    [InlineData("""{"type": "RobertaProcessing", "cls": ["C", 2], "sep": ["S", 3]}""", "2-0 A0 3-0 / 2-0 A0 3-0 3-0 B0 3-0")]
    [InlineData(
        """{"type": "Sequence", "processors": [{"type": "ByteLevel"}, {"type": "BertProcessing", "cls": ["C", 2], "sep": ["S", 0]}]}""",
        "2-0 A0 0-0 / 2-0 A0 0-0 B1 0-1"
    )]
    [InlineData(
        """{"type": "Sequence", "processors": [{"type": "BertProcessing"}, {"type": "RobertaProcessing"}]}""",
        "x has the post-processors 'BertProcessing', 'RobertaProcessing', one after another, which is not supported."
    )]
    [InlineData("""{"type": "Sequence"}""", "x, post_processor: a step of type 'Sequence' has no valid 'processors'.")]
    [InlineData("""{"type": "Sequence", "processors": [1]}""", "x, post_processor: a step of type 'Sequence' has no valid 'processors'.")]
    [InlineData(
        "{}",
        "x, post_processor is of type ''; supported are TemplateProcessing, BertProcessing, RobertaProcessing, ByteLevel and"
    )]
    [InlineData("""{"type": "BertProcessing", "x": 1}""", "x, post_processor: the step 'BertProcessing' has the setting 'x', which is not")]
    [InlineData(
        """{"type": "BertProcessing", "cls": ["C", 2]}""",
        "x, post_processor: a step of type 'BertProcessing' has no valid 'sep'."
    )]
    [InlineData(
        """{"type": "BertProcessing", "sep": 1, "cls": ["C", 2]}""",
        "x, post_processor: a step of type 'BertProcessing' has no valid 'sep'."
    )]
    [InlineData("""{"type": "BertProcessing", "cls": ["C"]}""", "x, post_processor: a step of type 'BertProcessing' has no valid 'cls'.")]
    [InlineData(
        """{"type": "BertProcessing", "cls": ["C", 2, 3]}""",
        "x, post_processor: a step of type 'BertProcessing' has no valid 'cls'."
    )]
    [InlineData(
        """{"type": "BertProcessing", "cls": ["C", -1]}""",
        "x, post_processor: a step of type 'BertProcessing' has no valid 'cls'."
    )]
    [InlineData(
        """{"type": "BertProcessing", "cls": ["C", "2"]}""",
        "x, post_processor: a step of type 'BertProcessing' has no valid 'cls'."
    )]
    [InlineData(
        """{"type": "BertProcessing", "cls": ["C", 2.5]}""",
        "x, post_processor: a step of type 'BertProcessing' has no valid 'cls'."
    )]
    [InlineData(
        """{"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "C"}}, {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "S", "type_id": 5}}], "pair": [{"Sequence": {"id": "B", "type_id": 1}}, {"Sequence": {"id": "A"}}],"""
            + ClsSep
            + "}",
        "2-0 A0 3-5 4-5 / B1 A0"
    )]
    public void SpecialTokensStandAroundTexts(string? processor, string? expected) =>
        Assert.Equal(expected, Format(processor is null ? "{}" : $$"""{"post_processor": {{processor}} }""", expected));

    [Theory]
    [InlineData("1", "single")]
    [InlineData("null", "single")]
    [InlineData("[1]", "single")]
    [InlineData("[{}]", "single")]
    [InlineData("""[{"Sequence": {"id": "C"}}]""", "single")]
    [InlineData("""[{"Sequence": {}}]""", "single")]
    [InlineData("""[{"Sequence": {"id": "A", "type_id": -1}}]""", "single")]
    [InlineData("""[{"SpecialToken": {}}]""", "single")]
    [InlineData("""[{"SpecialToken": {"id": "C", "type_id": "0"}}]""", "single")]
    [InlineData("""[{"SpecialToken": {"id": "X"}}]""", "special_tokens")]
    [InlineData("""[{"SpecialToken": {"id": "none"}}]""", "special_tokens")]
    [InlineData("""[{"SpecialToken": {"id": "text"}}]""", "special_tokens")]
    [InlineData("""[{"SpecialToken": {"id": "minus"}}]""", "special_tokens")]
    public void TemplatesAreRefusedByTheirPart(string single, string part)
    {
        string processor =
            """{"type": "TemplateProcessing", "pair": [], "special_tokens": {"C": {"ids": [2]}, "none": {}, "text": {"ids": "2"}, "minus": {"ids": [2, -1]}}, "single": """
            + single
            + "}";
        string expected = $"x, post_processor: a step of type 'TemplateProcessing' has no valid '{part}'.";
        Assert.Equal(expected, Format($$"""{"post_processor": {{processor}} }""", expected));
    }

    [Theory]
    [InlineData("WordPieces", "[CLS] [SEP] [MASK] [PAD] [UNK]", null, null, "[CLS] [SEP] [MASK] [PAD] [UNK] - -")]
    [InlineData("WordPieces", "<s> </s> <mask> <pad> [UNK]", null, null, "<s> </s> <mask> <pad> [UNK] - -")]
    [InlineData("WordPieces", "<s> </s> <mask> <pad> <unk>", null, null, "<s> </s> <mask> <pad> <unk> - -")]
    [InlineData("WordPieces", "[UNK]", null, null, "- - - - [UNK] - -")]
    [InlineData("BytePairs", "<s> </s> <mask> <pad> <unk> [UNK]", null, null, "<s> </s> <mask> <pad> <unk> - -")]
    [InlineData("BytePairs", "<|endoftext|> [CLS]", null, null, "- - - <|endoftext|> <|endoftext|> - -")]
    [InlineData("Unigram", "<s> </s> <mask> <pad> <unk>", null, null, "<s> </s> <mask> <pad> <unk> - -")]
    [InlineData("Unigram", "<s> </s> <pad> <unk>", null, null, "- </s> - <pad> <unk> - -")]
    [InlineData("Unigram", "<mask> </s> <pad> <unk>", null, null, "- </s> - <pad> <unk> - -")]
    // The map goes before the settings, unless the vocabulary lacks what it says.
    [InlineData("BytePairs", "<s> a b", """{"cls_token": "a"}""", """{"cls_token": "b"}""", "a - - - - - -")]
    [InlineData("BytePairs", "<s> a b", """{"cls_token": "x"}""", """{"cls_token": {"content": "b"}}""", "b - - - - - -")]
    [InlineData("BytePairs", "<s> a b", """{"cls_token": {"content": 1}}""", """{"cls_token": {"id": "b"}}""", "<s> - - - - - -")]
    [InlineData("BytePairs", "<s> a b", """{"cls_token": 1}""", """{"cls_token": null}""", "<s> - - - - - -")]
    [InlineData("BytePairs", "<s> a b", """{"bos_token": "a"}""", """{"eos_token": "b"}""", "<s> - - - - a b")]
    public void FamiliesHaveTheirSpecialTokens(string kind, string vocabulary, string? map, string? settings, string expected)
    {
        TokenizerFiles files = Files(("special_tokens_map.json", map), ("tokenizer_config.json", settings));
        var ids = vocabulary.Split(' ').Select((token, id) => (token, id)).ToDictionary(entry => entry.token, entry => entry.id);
        var tokens = SpecialTokens.Find(files, ids, Enum.Parse<TokenizerKind>(kind));
        string?[] all = [tokens.Cls, tokens.Sep, tokens.Mask, tokens.Pad, tokens.Unknown, tokens.Bos, tokens.Eos];
        Assert.Equal(expected, string.Join(' ', all.Select(token => token ?? "-")));
        Assert.Equal(all.OfType<string>(), tokens.All);
    }

    [Theory]
    [InlineData(null, null, "")]
    [InlineData("""{"cls_token": "a", "pad_token": 1, "other": "x"}""", """{"unk_token": {"content": "b"}}""", "a b")]
    [InlineData("""{"additional_special_tokens": ["a", {"content": "b"}, 1, {}]}""", """{"additional_special_tokens": "x"}""", "a b")]
    [InlineData("""{"extra_special_tokens": {"image": "a", "x": 1, "y": {"content": "b"}}}""", """{"extra_special_tokens": null}""", "a b")]
    public void SpecialTokensAreNamed(string? map, string? settings, string expected) =>
        Assert.Equal(
            expected,
            string.Join(' ', SpecialTokens.Named(Files(("special_tokens_map.json", map), ("tokenizer_config.json", settings))))
        );

    [Theory]
    [InlineData("{}", null, false)]
    [InlineData(
        """{"normalizer": {"type": "BertNormalizer"}, "pre_tokenizer": {"type": "BertPreTokenizer"}}""",
        "(True, True, True, True)",
        false
    )]
    [InlineData(
        """{"normalizer": {"type": "BertNormalizer", "clean_text": false, "handle_chinese_chars": false, "lowercase": false}, "pre_tokenizer": {"type": "BertPreTokenizer"}}""",
        "(False, False, False, False)",
        false
    )]
    [InlineData(
        """{"normalizer": {"type": "BertNormalizer", "strip_accents": false}, "pre_tokenizer": {"type": "BertPreTokenizer"}}""",
        "(True, True, False, True)",
        false
    )]
    [InlineData("""{"normalizer": {"type": "NFC"}, "pre_tokenizer": {"type": "BertPreTokenizer"}}""", null, false)]
    [InlineData("""{"normalizer": {"type": "BertNormalizer"}, "pre_tokenizer": {"type": "Whitespace"}}""", null, false)]
    [InlineData("""{"normalizer": {"type": "BertNormalizer"}}""", null, false)]
    [InlineData("""{"pre_tokenizer": {"type": "BertPreTokenizer"}}""", null, false)]
    [InlineData("""{"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false}}""", null, true)]
    [InlineData("""{"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true}}""", null, true)]
    [InlineData("""{"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": false}}""", null, false)]
    [InlineData("""{"pre_tokenizer": {"type": "ByteLevel"}}""", null, false)]
    [InlineData("""{"normalizer": {"type": "NFC"}, "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false}}""", null, false)]
    public void StepsOfAFamilyAreKnown(string json, string? bert, bool isByteLevel)
    {
        var steps = new SerializedSteps(JsonDocument.Parse(json).RootElement, "x");
        Assert.Equal(bert, steps.Bert?.ToString());
        Assert.Equal(isByteLevel, steps.IsByteLevel);
    }

    [Fact]
    public void StepsAreMadeForFamilies()
    {
        Assert.Equal((true, false, true, false), SerializedSteps.OfBert(false, true, false).Bert);
        Assert.False(SerializedSteps.OfBert(false, true, false).IsByteLevel);
        Assert.True(SerializedSteps.ByteLevel(addsPrefixSpace: false).IsByteLevel);
        Assert.False(SerializedSteps.ByteLevel(addsPrefixSpace: true).IsByteLevel);
        Assert.Null(SerializedSteps.ByteLevel(addsPrefixSpace: false).Bert);
        Assert.Equal(["a b"], SerializedSteps.None.Split("a b", 1));
    }

    [Theory]
    [InlineData("first", "", "", 1)]
    [InlineData("always", "\u00bd", "1/2", 1)]
    [InlineData("first", "\u00bda", "1\u20442a", 3)]
    [InlineData("first", "\U0001d504b", "Ab", 1)]
    [InlineData("first", "ab", "xy", 1)]
    public void TheFirstCharacterMayBecomeSeveralLetters(string scheme, string text, string normalized, int expected)
    {
        string json =
            $$$"""{"normalizer": {"type": "NFKC"}, "pre_tokenizer": {"type": "Metaspace", "replacement": "_", "prepend_scheme": "{{{scheme}}}", "split": true} }""";
        Assert.Equal(expected, new SerializedSteps(JsonDocument.Parse(json).RootElement, "x").FirstOf(text, normalized));
    }

    [Theory]
    [InlineData("""{"normalizer": 1}""", "x: its normalizer is a JSON Number; it should be an object or null.")]
    [InlineData("""{"pre_tokenizer": []}""", "x: its pre_tokenizer is a JSON Array; it should be an object or null.")]
    [InlineData("""{"normalizer": {"type": "Prepend", "prepend": 1}}""", "x, normalizer: a step of type 'Prepend' has no valid 'prepend'.")]
    [InlineData("""{"normalizer": {"type": "Prepend"}}""", "x, normalizer: a step of type 'Prepend' has no valid 'prepend'.")]
    [InlineData(
        """{"pre_tokenizer": {"type": "CharDelimiterSplit", "delimiter": "ab"}}""",
        "x, pre_tokenizer: a step of type 'CharDelimiterSplit' has no valid 'delimiter'."
    )]
    [InlineData(
        """{"pre_tokenizer": {"type": "CharDelimiterSplit"}}""",
        "x, pre_tokenizer: a step of type 'CharDelimiterSplit' has no valid 'delimiter'."
    )]
    [InlineData(
        """{"pre_tokenizer": {"type": "CharDelimiterSplit", "delimiter": ""}}""",
        "x, pre_tokenizer: a step of type 'CharDelimiterSplit' has no valid 'delimiter'."
    )]
    [InlineData(
        """{"pre_tokenizer": {"type": "Digits", "individual_digits": 1}}""",
        "x, pre_tokenizer: a step of type 'Digits' has no valid 'individual_digits'."
    )]
    public void StepsAreRefusedByTheirSetting(string json, string expected) =>
        Assert.Equal(
            expected,
            Assert.Throws<InvalidDataException>(() => new SerializedSteps(JsonDocument.Parse(json).RootElement, "x")).Message
        );

    [Theory]
    [InlineData("null", null)]
    [InlineData("3", 3)]
    [InlineData("2", -1)]
    [InlineData("3.5", -1)]
    [InlineData("\"3\"", -1)]
    public void WholeSettingsHaveALeast(string value, int? expected)
    {
        var step = new SerializedStep(JsonDocument.Parse($$"""{"type": "T", "n": {{value}} }""").RootElement, "x");
        if (expected == -1)
        {
            Assert.Equal("x: a step of type 'T' has no valid 'n'.", Assert.Throws<InvalidDataException>(() => step.Whole("n", 3)).Message);
        }
        else
        {
            Assert.Equal(expected, step.Whole("n", 3));
            Assert.Null(step.Whole("other", 3));
        }
    }

    [Theory]
    // Which files there are, the model's type, the class of the tokenizer, and what comes of it.
    [InlineData("vocab.txt", "roberta", null, "WordPieces")]
    [InlineData("vocab.txt vocab.json", "roberta", null, "BytePairs")]
    [InlineData("", "roberta", null, "BytePairs")]
    [InlineData("", "gpt2", null, "BytePairs")]
    [InlineData("", "bert", null, "WordPieces")]
    [InlineData("", "distilbert", null, "WordPieces")]
    [InlineData("", "electra", null, "WordPieces")]
    [InlineData("", "mpnet", null, "WordPieces")]
    [InlineData("sentencepiece.bpe.model", "xlm-roberta", null, "Unigram")]
    [InlineData("sentencepiece.bpe.model", "camembert", null, "Unigram")]
    [InlineData("", "xlm-roberta", null, "'f' holds no tokenizer files and a model of type 'xlm-roberta'; supported are")]
    [InlineData("", "camembert", null, "'f' holds no tokenizer files and a model of type 'camembert'; supported are")]
    [InlineData("spiece.model", "t5", null, "Unigram")]
    [InlineData("spiece.model", "t5", "PreTrainedTokenizerFast", "Unigram")]
    [InlineData("sentencepiece.bpe.model", "t5", null, "'f' holds sentencepiece.bpe.model and a model of type 't5'; supported are")]
    [InlineData("", "t5", null, "'f' holds no tokenizer files and a model of type 't5'; supported are")]
    [InlineData(
        "",
        "t5",
        "T5Tokenizer",
        "'f' holds tokenizer_config.json and a model of type 't5' with the tokenizer_class 'T5Tokenizer'; supported"
    )]
    [InlineData("spiece.model", null, null, "Unigram")]
    [InlineData("sentencepiece.bpe.model", null, null, "Unigram")]
    [InlineData("vocab.json", null, null, "BytePairs")]
    [InlineData("merges.txt", null, null, "BytePairs")]
    [InlineData("vocab.txt", null, null, "WordPieces")]
    [InlineData("vocab.txt spiece.model", null, null, "Unigram")]
    [InlineData("vocab.txt vocab.json", null, null, "BytePairs")]
    [InlineData("", null, null, "'f' holds no tokenizer files; supported are")]
    [InlineData("vocab.txt", "mamba", null, "'f' holds vocab.txt and a model of type 'mamba'; supported are")]
    [InlineData("vocab.txt", "gpt", null, "'f' holds vocab.txt and a model of type 'gpt'; supported are")]
    [InlineData("vocab.txt", "albert", null, "'f' holds vocab.txt and a model of type 'albert'; supported are")]
    [InlineData("vocab.txt", "big_bird", null, "'f' holds vocab.txt and a model of type 'big_bird'; supported are")]
    [InlineData("vocab.txt", "mamba", "BertTokenizer", "'f' holds vocab.txt, tokenizer_config.json and a model of type 'mamba' with the")]
    [InlineData("", null, "BertTokenizerFast", "WordPieces")]
    [InlineData(
        "",
        null,
        "XLMRobertaTokenizer",
        "'f' holds tokenizer_config.json with the tokenizer_class 'XLMRobertaTokenizer'; supported are"
    )]
    [InlineData("spiece.model", null, "XLMRobertaTokenizer", "Unigram")]
    [InlineData("sentencepiece.bpe.model", null, "CamembertTokenizer", "Unigram")]
    [InlineData("Unigram", null, "T5Tokenizer", "Unigram")]
    [InlineData("Unigram", "xlm-roberta", null, "Unigram")]
    [InlineData("Unigram", "t5", null, "Unigram")]
    [InlineData("WordPiece", "t5", null, "'f' holds tokenizer.json and a model of type 't5'; supported are")]
    [InlineData("WordPiece", "xlm-roberta", null, "WordPieces")]
    [InlineData("WordPiece", "gpt2", null, "'f' holds tokenizer.json and a model of type 'gpt2'; supported are")]
    [InlineData("BPE", "gpt2", null, "BytePairs")]
    [InlineData("Unigram", "bert", null, "'f' holds tokenizer.json and a model of type 'bert'; supported are")]
    [InlineData("Unigram", "roberta", null, "'f' holds tokenizer.json and a model of type 'roberta'; supported are")]
    [InlineData("BPE", "distilbert", null, "BytePairs")]
    [InlineData("BPE", "electra", "TokenizersBackend", "BytePairs")]
    [InlineData("BPE", "mpnet", "PreTrainedTokenizer", "BytePairs")]
    [InlineData("BPE", null, null, "BytePairs")]
    [InlineData("BPE", null, "GPT2TokenizerFast", "BytePairs")]
    [InlineData(
        "BPE",
        null,
        "BertTokenizer",
        "'f': tokenizer_class is 'BertTokenizer', and the model of tokenizer.json is of another kind"
    )]
    [InlineData(
        "BPE",
        null,
        "LlamaTokenizerFast",
        "f/tokenizer_config.json: tokenizer_class is 'LlamaTokenizer', which is not supported; supported"
    )]
    public void TheKindComesFromFilesThatAgree(string names, string? model, string? tokenizerClass, string expected)
    {
        (string, string?)[] there =
        [
            .. names
                .Split(' ', StringSplitOptions.RemoveEmptyEntries)
                .Select(name =>
                    name.Contains('.', StringComparison.Ordinal)
                        ? (name, "")
                        : ("tokenizer.json", $$$"""{"model": {"type": "{{{name}}}"} }""")
                ),
            ("config.json", model is null ? null : $$"""{"model_type": "{{model}}"}"""),
            ("tokenizer_config.json", tokenizerClass is null ? null : $$"""{"tokenizer_class": "{{tokenizerClass}}"}"""),
        ];
        TokenizerFiles files = Files(there);
        if (Enum.TryParse(expected, out TokenizerKind kind))
        {
            Assert.Equal(kind, TokenizerChoice.Of(files, "f"));
        }
        else
        {
            string message = Assert.Throws<NotSupportedException>(() => TokenizerChoice.Of(files, "f")).Message;
            Assert.StartsWith(expected.Replace('/', Path.DirectorySeparatorChar), message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void CodeOfATokenizerIsRefused()
    {
        string message = Assert
            .Throws<NotSupportedException>(() =>
                TokenizerChoice.Of(Files(("tokenizer_config.json", """{"auto_map": {"AutoTokenizer": ["a.B", null]}}""")), "f")
            )
            .Message;
        Assert.Equal(
            Path.Combine("f", "tokenizer_config.json") + ": auto_map names the Python code [\"a.B\", null], which is not supported.",
            message
        );
    }

    [Theory]
    [InlineData("TokenizersBackend", true)]
    [InlineData("PreTrainedTokenizer", true)]
    [InlineData("BertTokenizer", false)]
    [InlineData(null, false)]
    public void SomeClassesSayNothing(string? name, bool isGeneric) => Assert.Equal(isGeneric, TokenizerChoice.IsGeneric(name));

    private static TokenizerFiles Files(params (string Name, string? Content)[] files) =>
        new(
            "f",
            files.Where(file => file.Content is not null).ToDictionary(file => file.Name, file => Encoding.UTF8.GetBytes(file.Content!))
        );

    // The two formats, or, where something else is expected, what is said.
    private static string? Format(string json, string? expected)
    {
        try
        {
            var format = SequenceFormat.Read(JsonDocument.Parse(json).RootElement, "x");
            return format is null ? null : $"{Show(format.Single)} / {Show(format.Pair)}";
        }
        catch (Exception e) when (e is InvalidDataException or NotSupportedException)
        {
            return e.Message.StartsWith(expected ?? "-", StringComparison.Ordinal) ? expected : e.Message;
        }

        static string Show(IReadOnlyList<SequenceFormat.Part> parts) =>
            string.Join(' ', parts.Select(part => part.Id is { } id ? $"{id}-{part.Type}" : $"{(part.IsSecond ? "B" : "A")}{part.Type}"));
    }
}
