using System.Buffers.Binary;
using SkillLoc.Models.Tokenization;

namespace SkillLoc.Fuzz;

internal static partial class Targets
{
    private const string Text = "A film, <mask> ünd [MASK]\u0301 12";

    private const string Merges = "#version: 0.2\nf i\nfi l\nfil m\nĠ film\n";

    private const string Bytes =
        """{"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "<mask>": 4, "f": 5, "i": 6, "l": 7, "m": 8, "Ġ": 9, "fi": 10, "fil": 11, "film": 12, "Ġfilm": 13}""";

    private const string Pieces = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nfilm\n##s\n,\n";

    private static IEnumerable<Target> Tokenizers()
    {
        byte[] wordPieces = Utf8(
            """
            {"added_tokens": [{"id": 4, "content": "[MASK]", "special": true, "single_word": false, "lstrip": true, "rstrip": false, "normalized": false}],
             "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
             "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "BertPreTokenizer"}, {"type": "Split", "pattern": {"Regex": "\\d+|[a-z]"}, "behavior": "Isolated", "invert": false}]},
             "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "[SEP]", "type_id": 0}}], "pair": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "[SEP]", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}, {"SpecialToken": {"id": "[SEP]", "type_id": 1}}], "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]}, "[SEP]": {"id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]}}},
             "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
             "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4, "a": 5, "film": 6, "##s": 7}}}
            """
        );
        byte[] bytePairs = Utf8(
            $$"""
            {"added_tokens": [{"id": 14, "content": "<film>", "special": false, "single_word": true, "lstrip": false, "rstrip": true, "normalized": true}],
             "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
             "post_processor": {"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0], "trim_offsets": true, "add_prefix_space": false},
             "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
             "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "", "end_of_word_suffix": "", "fuse_unk": false, "merges": ["f i", ["fi", "l"], "fil m", "Ġ film"], "vocab": {{Bytes}}
             } }
            """
        );
        byte[] unigram = Utf8(
            """
            {"added_tokens": [{"id": 0, "content": "<pad>", "special": true}],
             "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFKC"}, {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "▁"}, {"type": "Strip", "strip_left": true, "strip_right": true}]},
             "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true},
             "post_processor": {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}], "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}], "special_tokens": {"</s>": {"id": "</s>", "ids": [1], "tokens": ["</s>"]}}},
             "model": {"type": "Unigram", "unk_id": 2, "byte_fallback": false, "vocab": [["<pad>", 0.0], ["</s>", 0.0], ["<unk>", 0.0], ["▁", -2.0], ["▁film", -3.5], ["s", -4.0], [",", -4.5]]}}
            """
        );
        yield return Folder("tokenizer-json", Shape.Json, "tokenizer.json", wordPieces, bytePairs, unigram);
        yield return Folder("vocab-txt", Shape.Text, "vocab.txt", Utf8(Pieces)) with
        {
            Words = [.. Pieces.Split('\n').Select(Utf8)],
        };
        yield return Folder("vocab-json", Shape.Json, "vocab.json", Utf8(Bytes));
        yield return Folder("merges", Shape.Text, "merges.txt", Utf8(Merges)) with
        {
            Words = [.. new[] { "f", "i", " ", "Ġ", "film", "#version" }.Select(Utf8)],
        };
        yield return Folder("spiece", Shape.Protobuf, "spiece.model", SentencePieces(("<pad>", 3), ("</s>", 3), ("<unk>", 2)));
        yield return Folder(
            "sentencepiece-bpe",
            Shape.Protobuf,
            "sentencepiece.bpe.model",
            SentencePieces(("<unk>", 2), ("<s>", 3), ("</s>", 3))
        );
        yield return Folder(
            "tokenizer-config",
            Shape.Json,
            "tokenizer_config.json",
            Utf8(
                """{"tokenizer_class": "BertTokenizerFast", "do_lower_case": true, "strip_accents": null, "tokenize_chinese_chars": true, "model_max_length": 512, "cls_token": "[CLS]", "mask_token": {"content": "[MASK]", "lstrip": false}, "added_tokens_decoder": {"8": {"content": ",", "special": false}, "9": {"content": "<new>", "special": true}}}"""
            )
        );
        yield return Folder("added-tokens", Shape.Json, "added_tokens.json", Utf8("""{"<new>": 9, "[CLS]": 2}"""));
        yield return Folder(
            "special-tokens",
            Shape.Json,
            "special_tokens_map.json",
            Utf8(
                """{"cls_token": "[CLS]", "sep_token": {"content": "[SEP]"}, "mask_token": "[MASK]", "additional_special_tokens": ["a"]}"""
            )
        );
    }

    /// <summary>A tokenizer of which one file is a mutant and the others are as they should be.</summary>
    private static Target Folder(string name, Shape shape, string file, params byte[][] seeds)
    {
        var others = new Dictionary<string, byte[]>(StringComparer.Ordinal);
        if (file is "vocab.json" or "merges.txt")
        {
            others["vocab.json"] = Utf8(Bytes);
            others["merges.txt"] = Utf8(Merges);
        }
        else if (file is "tokenizer_config.json" or "added_tokens.json" or "special_tokens_map.json")
        {
            others["vocab.txt"] = Utf8(Pieces);
        }

        return new(
            name,
            shape,
            seeds,
            "x.tokenizer",
            bytes =>
            {
                var tokenizer = CheckpointTokenizer.Load(new Dictionary<string, byte[]>(others) { [file] = bytes }, "x.tokenizer");
                _ = tokenizer.Decode(tokenizer.Encode(Text));
            }
        )
        {
            AllocatesByTheWay = true,
            MayMiss = true,
        };
    }

    private static byte[] SentencePieces(params (string Text, ulong Type)[] special) =>
        Message([
            .. special.Select(piece => Piece(piece.Text, 0, piece.Type)),
            Piece("▁", -2, 1),
            Piece("▁film", -3, 1),
            Piece("s", -4, 1),
            Piece("<0x41>", 0, 6),
            (2, Message((3, 1UL), (35, 0UL), (40, 2UL))),
            (3, Message((1, Utf8("nmt_nfkc")), (2, Rules()), (3, 1UL))),
        ]);

    private static (int Number, object Value) Piece(string text, float score, ulong type) =>
        (1, Message((1, Utf8(text)), (2, score), (3, type)));

    /// <summary>One rule, A to a, as a double array of 256 units.</summary>
    private static byte[] Rules()
    {
        const int Units = 256;
        byte[] rules = new byte[4 + (4 * Units) + 2];
        Write(0, 4 * Units);
        Write(1, 1 << 10);
        Write(1 + (1 ^ 'A'), ((1 ^ 'A' ^ 2) << 10) | 0x100 | 'A');
        Write(1 + 2, int.MinValue);
        rules[^2] = (byte)'a';
        return rules;

        void Write(int unit, int value) => BinaryPrimitives.WriteInt32LittleEndian(rules.AsSpan(4 * unit), value);
    }
}
