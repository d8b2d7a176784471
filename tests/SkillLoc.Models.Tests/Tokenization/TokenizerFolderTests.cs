using System.Text.Json;
using System.Text.Json.Nodes;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tokenization;

namespace SkillLoc.Models.Tests.Tokenization;

/// <summary>What a folder's tokenizer files say is done as Hugging Face's tokenizers do, or refused by file and name; nothing is passed
/// over.</summary>
public sealed class TokenizerFolderTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("wp-max20")]
    [InlineData("wp-seqnorm")]
    [InlineData("wp-whitespace")]
    [InlineData("gpt2-noregex")]
    [InlineData("gpt2-seq1")]
    [InlineData("bert-added")]
    public void GivenFoldersHaveTransformersIds(string name)
    {
        string path = Oracles.PathOf("bugs", "checkpoints", name);
        var tokenizer = CheckpointTokenizer.Load(path);
        string[] texts = Read<string[]>("texts.json");
        int[][] expected = Read<int[][]>(name, "expected-ids.json");
        Assert.Equal(texts.Length, expected.Length);

        // The upper-case spellings of special tokens stay text here.
        string[] special = ["[MASK]", "[CLS]", "[SEP]", "[PAD]", "[UNK]"];
        int compared = 0;
        for (int i = 0; i < texts.Length; i++)
        {
            if (
                name.StartsWith("gpt2", StringComparison.Ordinal)
                || !special.Any(token => texts[i].Contains(token, StringComparison.Ordinal))
            )
            {
                Assert.True(expected[i].SequenceEqual(tokenizer.Encode(texts[i])), $"'{texts[i]}'");
                compared++;
            }
            else
            {
                Assert.DoesNotContain(tokenizer.MaskId, tokenizer.Encode(texts[i]));
            }
        }

        Assert.True(compared >= 72);
        if (name == "bert-added")
        {
            Assert.Equal(Read<int[][]>(name, "expected-added-ids.json"), Read<string[]>("texts-added.json").Select(tokenizer.Encode));
        }

        static T Read<T>(params string[] parts) =>
            JsonSerializer.Deserialize<T>(File.ReadAllText(Oracles.PathOf(["bugs", "checkpoints", .. parts])))!;
    }

    [Theory]
    [InlineData("wp", """{"normalizer": {"type": "ByteLevel"}}""", "'ByteLevel'")]
    [InlineData(
        "wp",
        """{"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Transliterate"}]}}""",
        "'Transliterate'"
    )]
    [InlineData("wp", """{"normalizer": {"type": "BertNormalizer", "lowercase": true, "strip_digits": true}}""", "'strip_digits'")]
    [InlineData("wp", """{"pre_tokenizer": {"type": "UnicodeScripts"}}""", "'UnicodeScripts'")]
    [InlineData("wp", """{"pre_tokenizer": {"type": "FixedLength", "length": 3}}""", "'FixedLength'")]
    [InlineData(
        "wp",
        """{"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "\\p{Han}"}, "behavior": "Isolated", "invert": false}}""",
        "\\p{Han}"
    )]
    [InlineData(
        "wp",
        """{"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "[[:alpha:]]+"}, "behavior": "Isolated", "invert": false}}""",
        "[[:alpha:]]"
    )]
    [InlineData(
        "wp",
        """{"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "\\bfilm"}, "behavior": "Isolated", "invert": false}}""",
        "\\b"
    )]
    [InlineData(
        "wp",
        """{"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "a++"}, "behavior": "Isolated", "invert": false}}""",
        "a++"
    )]
    [InlineData(
        "wp",
        """{"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "\\h"}, "behavior": "Isolated", "invert": false}}""",
        "\\h"
    )]
    [InlineData("wp", """{"post_processor": {"type": "Reverse"}}""", "'Reverse'")]
    [InlineData("wp", """{"model": {"type": "WordLevel"}}""", "WordLevel")]
    [InlineData("wp", """{"model": {"max_input_chars_per_word": 1000000}}""", "max_input_chars_per_word")]
    [InlineData("wp", """{"model": {"byte_fallback": true}}""", "'byte_fallback'")]
    [InlineData("bpe", """{"model": {"dropout": 0.1}}""", "dropout")]
    [InlineData("bpe", """{"model": {"end_of_word_suffix": "</w>"}}""", "end_of_word_suffix")]
    [InlineData("bpe", """{"model": {"continuing_subword_prefix": "@@"}}""", "continuing_subword_prefix")]
    [InlineData("bpe", """{"pre_tokenizer": {"type": "Whitespace"}}""", "'ByteLevel'")]
    [InlineData("bpe", """{"pre_tokenizer": null}""", "'ByteLevel'")]
    [InlineData(
        "bpe",
        """{"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "ByteLevel"}, {"type": "Digits"}]}}""",
        "'Digits'"
    )]
    [InlineData("uni", """{"model": {"alpha": 0.1}}""", "'alpha'")]
    public void StepsAreRefusedByName(string basis, string patch, string said) =>
        Refused<NotSupportedException>(basis, patch, null, "tokenizer.json", said);

    [Theory]
    [InlineData("wp", """{"normalizer": {"type": "Replace", "content": "x"}}""", "pattern")]
    [InlineData("wp", """{"normalizer": {"type": "Sequence", "normalizers": null}}""", "normalizers")]
    [InlineData("wp", """{"normalizer": []}""", "normalizer")]
    [InlineData("wp", """{"pre_tokenizer": {"type": "Punctuation", "behavior": "Gone"}}""", "behavior")]
    [InlineData("wp", """{"pre_tokenizer": {"type": "Sequence", "pretokenizers": [null]}}""", "pretokenizers")]
    [InlineData("wp", """{"model": {"max_input_chars_per_word": 0}}""", "max_input_chars_per_word")]
    [InlineData("wp", """{"model": {"unk_token": "<none>"}}""", "<none>")]
    [InlineData("bpe", """{"model": {"unk_token": "<none>"}}""", "unk_token")]
    [InlineData("bpe", """{"pre_tokenizer": {"type": "ByteLevel", "use_regex": "no"}}""", "use_regex")]
    [InlineData("bpe", """{"added_tokens": [{"id": 3, "content": "film", "lstrip": 1}]}""", "lstrip")]
    [InlineData("bpe", """{"added_tokens": [{"id": 3, "content": "brandnew"}]}""", "'brandnew'")]
    [InlineData("bpe", """{"added_tokens": {"a": 1}}""", "added_tokens")]
    [InlineData("bpe", """{"post_processor": {"type": "BertProcessing", "sep": ["a"], "cls": ["b", 1]}}""", "sep")]
    [InlineData(
        "bpe",
        """{"post_processor": {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "C", "type_id": 0}}], "pair": [], "special_tokens": {}}}""",
        "single"
    )]
    public void WhatIsNotValidIsNamed(string basis, string patch, string said) =>
        Refused<InvalidDataException>(basis, patch, null, "tokenizer.json", said);

    [Theory]
    [InlineData("wp", """{"tokenizer_class": "BertJapaneseTokenizer"}""", "'BertJapaneseTokenizer'")]
    [InlineData("wp", """{"tokenizer_class": "XLMRobertaTokenizerFast"}""", "tokenizer_class")]
    [InlineData("wp", """{"tokenizer_class": "RobertaTokenizer"}""", "'RobertaTokenizer'")]
    [InlineData("bpe", """{"tokenizer_class": "T5Tokenizer"}""", "'T5Tokenizer'")]
    [InlineData("wp", """{"auto_map": {"AutoTokenizer": ["tokenization.My", null]}}""", "auto_map")]
    [InlineData("wp", """{"do_lower_case": false}""", "do_lower_case")]
    [InlineData("wp", """{"strip_accents": false}""", "strip_accents")]
    [InlineData("wp", """{"tokenize_chinese_chars": false}""", "tokenize_chinese_chars")]
    [InlineData("bpe", """{"add_prefix_space": true}""", "add_prefix_space")]
    public void SettingsThatSayOtherwiseAreRefusedByName(string basis, string settings, string said) =>
        Refused<NotSupportedException>(basis, "{}", settings, "", said);

    [Theory]
    [InlineData("""{"do_basic_tokenize": false}""", "do_basic_tokenize")]
    [InlineData("""{"never_split": ["film"]}""", "never_split")]
    [InlineData("""{"wordpieces_prefix": "@@"}""", "wordpieces_prefix")]
    public void SettingsOfAVocabularyAloneAreRefusedByName(string settings, string said)
    {
        _folder.With("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n").With("tokenizer_config.json", settings);
        string message = Assert.Throws<NotSupportedException>(() => CheckpointTokenizer.Load(_folder.Path)).Message;
        Assert.Contains("tokenizer_config.json", message, StringComparison.Ordinal);
        Assert.Contains(said, message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(
        "wp",
        """{"tokenizer_class": "BertTokenizerFast", "do_lower_case": true, "strip_accents": null, "model_max_length": 5, "padding_side": "left"}"""
    )]
    [InlineData("wp", """{"tokenizer_class": "PreTrainedTokenizerFast"}""")]
    [InlineData("bpe", """{"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": false, "errors": "replace"}""")]
    public void SettingsThatSayTheSameArePassedOver(string basis, string settings)
    {
        Write(basis, "{}", settings);
        Assert.NotEmpty(CheckpointTokenizer.Load(_folder.Path).Encode("the film"));
    }

    [Theory]
    [InlineData("gpt2", "wp")]
    [InlineData("t5", "bpe")]
    [InlineData("roberta", "uni")]
    [InlineData("llama", "bpe")]
    public void ATokenizerThatDoesNotGoWithTheModelIsRefused(string model, string basis)
    {
        Write(basis, "{}", null);
        _folder.With("config.json", $$"""{"model_type": "{{model}}"}""");
        Assert.Contains(
            $"'{model}'",
            Assert.Throws<NotSupportedException>(() => CheckpointTokenizer.Load(_folder.Path)).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void TokensAddedBesideAVocabularyAreFound()
    {
        // As Python's slow tokenizers saved them: ids in one file, what they are in another.
        _folder
            .With("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nnew\ntoken\na\n##token\n")
            .With("added_tokens.json", """{"newtoken": 9, "<ent>": 10, "[X]": 11}""")
            .With(
                "tokenizer_config.json",
                """{"additional_special_tokens": ["[X]"], "added_tokens_decoder": {"10": {"content": "<ent>", "special": false, "normalized": false, "single_word": true, "lstrip": false, "rstrip": false}}}"""
            );
        var tokenizer = CheckpointTokenizer.Load(_folder.Path);
        Assert.Equal([7, 9, 7, 10, 7], tokenizer.Encode("a NewToken a <ent> a"));
        Assert.Equal([7, 7, 8], tokenizer.Encode("a atoken"));
        Assert.DoesNotContain(11, tokenizer.Encode("[X] a"));
        Assert.Equal(12, tokenizer.VocabularySize);
        Assert.Equal("a newtoken", tokenizer.Decode([7, 9]));
    }

    [Theory]
    [InlineData("wp", null, null, "0", "0|1")]
    [InlineData(
        "wp",
        """{"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}], "pair": [{"Sequence": {"id": "B", "type_id": 1}}, {"SpecialToken": {"id": "[SEP]", "type_id": 1}}, {"Sequence": {"id": "A", "type_id": 0}}], "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [2, 3], "tokens": ["[CLS]", "[SEP]"]}, "[SEP]": {"id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]}}}""",
        null,
        "2 3 0",
        "1 3 0"
    )]
    [InlineData("wp", """{"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}""", null, "2 0 3", "2 0 3 1 3")]
    [InlineData("bpe", """{"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false, "use_regex": true}""", null, "0", "0|1")]
    [InlineData(
        "bpe",
        """{"type": "RobertaProcessing", "sep": ["</s>", 5], "cls": ["<s>", 6], "trim_offsets": true, "add_prefix_space": false}""",
        null,
        "6 0 5",
        "6 0 5 5 1 5"
    )]
    [InlineData(
        "bpe",
        """{"type": "Sequence", "processors": [{"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false, "use_regex": true}, {"type": "BertProcessing", "sep": ["b", 3], "cls": ["a", 2]}]}""",
        null,
        "2 0 3",
        "2 0 3 1 3"
    )]
    [InlineData("bpe", null, """{"add_bos_token": true, "bos_token": "<|endoftext|>"}""", "9 0", "9 0 9 1")]
    [InlineData("bpe", null, """{"add_eos_token": true, "add_bos_token": false, "eos_token": "<|endoftext|>"}""", "0 9", "0 9 1 9")]
    public void SpecialTokensStandWhereTheFilesSay(string basis, string? processor, string? settings, string single, string pair)
    {
        // 0 and 1 stand for the texts, and 9 for the end of a text.
        Write(basis, $$"""{"post_processor": {{processor ?? "null"}}}""", settings ?? """{"tokenizer_class": "PreTrainedTokenizerFast"}""");
        var tokenizer = CheckpointTokenizer.Load(_folder.Path);
        var encoder = new SequenceEncoder(tokenizer, 60, SpecialTokenLayout.Checkpoint);
        Assert.Equal(Expand(single), encoder.Encode("the film", null).Ids);
        Assert.Equal(Expand(pair.Replace('|', ' ')), encoder.Encode("the film", "good").Ids);

        int[] Expand(string layout) =>
            [
                .. layout
                    .Split(' ')
                    .SelectMany(part =>
                        part switch
                        {
                            "0" => tokenizer.Encode("the film"),
                            "1" => tokenizer.Encode("good"),
                            "9" => [tokenizer.TokenId("<|endoftext|>")!.Value],
                            _ => [int.Parse(part, System.Globalization.CultureInfo.InvariantCulture)],
                        }
                    ),
            ];
    }

    [Fact]
    public void FamiliesHaveTheirOwnWayWithPairs()
    {
        var roberta = CheckpointTokenizer.Load(Oracles.PathOf("tiny-roberta"));
        Assert.Equal(
            [0, .. roberta.Encode("a"), 2, 2, .. roberta.Encode("b"), 2],
            new SequenceEncoder(roberta, 60, SpecialTokenLayout.Checkpoint).Encode("a", "b").Ids
        );
        Assert.Equal([0, .. roberta.Encode("a"), 2, .. roberta.Encode("b"), 2], new SequenceEncoder(roberta, 60).Encode("a", "b").Ids);
        var bert = CheckpointTokenizer.Load(Oracles.PathOf("tiny-bert"));
        EncodedText row = new SequenceEncoder(bert, 60, SpecialTokenLayout.Checkpoint).Encode("a", "b");
        Assert.Equal([2, .. bert.Encode("a"), 3, .. bert.Encode("b"), 3], row.Ids);
        Assert.Equal([0, 0, 0, 1, 1], row.TokenTypes!);
        var t5 = CheckpointTokenizer.Load(Oracles.PathOf("tiny-t5"));
        Assert.Equal(
            [.. t5.Encode("a"), 1, .. t5.Encode("b"), 1],
            new SequenceEncoder(t5, 60, SpecialTokenLayout.Checkpoint).Encode("a", "b").Ids
        );
        var gpt2 = CheckpointTokenizer.Load(Oracles.PathOf("tiny-gpt2"));
        Assert.Equal(
            [.. gpt2.Encode("a"), .. gpt2.Encode("b")],
            new SequenceEncoder(gpt2, 60, SpecialTokenLayout.Checkpoint).Encode("a", "b").Ids
        );
        Assert.Equal([gpt2.PadId], new SequenceEncoder(gpt2, 60, SpecialTokenLayout.Checkpoint).Encode("", null).Ids);
    }

    [Fact]
    public void APieceModelAndATokenizerJsonThatDoMoreAreNotMixed()
    {
        Write("uni", """{"normalizer": {"type": "Lowercase"}}""", null);
        File.Copy(Oracles.PathOf("tiny-t5", "spiece.model"), Path.Join(_folder.Path, "spiece.model"));
        _folder.With("config.json", """{"model_type": "t5"}""");
        string message = Assert.Throws<NotSupportedException>(() => CheckpointTokenizer.Load(_folder.Path)).Message;
        Assert.Contains("'Lowercase'", message, StringComparison.Ordinal);
        Assert.Contains("spiece.model", message, StringComparison.Ordinal);
    }

    [Fact]
    public void AnyDamageIsRefusedOrHarmless()
    {
        foreach (string basis in new[] { "wp", "bpe", "uni" })
        {
            Write(basis, "{}", null);
            string path = Path.Join(_folder.Path, "tokenizer.json");

            // The steps, without the thousand places of the vocabulary.
            JsonObject json = JsonNode.Parse(File.ReadAllText(path))!.AsObject();
            var model = (JsonObject)json["model"]!.DeepClone();
            json["model"] = "here";
            int refused = Mutants.AreReadOrRefused(
                path,
                Mutants
                    .OfJson(json.ToJsonString(), 200, 1)
                    .Select(mutant => mutant.Replace("\"here\"", model.ToJsonString(), StringComparison.Ordinal)),
                () => CheckpointTokenizer.Load(_folder.Path).Encode("the film 7")
            );
            Assert.True(refused > 40, $"{basis}: {refused}");
        }
    }

    [Fact]
    public void SettingsOfAnyKindAreRefusedOrHarmless()
    {
        Write("bpe", "{}", null);
        string path = Path.Join(_folder.Path, "tokenizer_config.json");
        Mutants.AreReadOrRefused(
            path,
            Mutants.OfJson(
                """{"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": false, "bos_token": {"content": "<|endoftext|>"}, "additional_special_tokens": ["a", "b"], "add_bos_token": false, "added_tokens_decoder": {"0": {"content": "<|endoftext|>", "special": true}}, "auto_map": null}""",
                200,
                1
            ),
            () => CheckpointTokenizer.Load(_folder.Path).Encode("the film")
        );
    }

    private void Refused<T>(string basis, string patch, string? settings, params string[] said)
        where T : Exception
    {
        Write(basis, patch, settings);
        string message = Assert.Throws<T>(() => CheckpointTokenizer.Load(_folder.Path)).Message;
        Assert.All(said, part => Assert.Contains(part, message, StringComparison.Ordinal));
    }

    private void Write(string basis, string patch, string? settings)
    {
        _folder.With("tokenizer.json", TokenizerStepTests.Patched(basis, JsonNode.Parse(patch)!.AsObject()).ToJsonString());
        if (settings is not null)
        {
            _folder.With("tokenizer_config.json", settings);
        }
    }
}
