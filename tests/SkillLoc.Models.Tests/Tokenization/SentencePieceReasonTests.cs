using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using SkillLoc.Models.Tokenization;

namespace SkillLoc.Models.Tests.Tokenization;

/// <summary>SentencePiece's models of our own making: what is read, and what is refused for which reason.</summary>
public sealed class SentencePieceReasonTests
{
    [Fact]
    public void RulesMayBeMissing()
    {
        // A normalizer of a name alone, and one after it with rules that remove the letter with an accent.
        byte[] model = [.. Pieces("<unk>?", "\u2581", "a"), .. Field(3, Field(1, "x"u8)), .. Field(9, "y"u8)];
        Assert.Equal([1, 2], Model(model).Encode("a", null));
        Assert.Equal([1, 0, 2], Model(model).Encode("\u00e9\u00e9a", null));
        Assert.Equal([0, 1], Model(Pieces("<unk>?", "a")).Encode("\u00e9 a", null));
        byte[] rules = Rules(0xC3, 0xA9);
        byte[] both = [.. model, .. Field(3, Field(2, rules))];
        Assert.Equal([1, 2], Model(both).Encode("\u00e9a", null));
        Assert.Equal([1, 2], Model([.. both, .. Field(3, Field(1, "x"u8))]).Encode("a\u00e9", null));
    }

    [Fact]
    public void PiecesHaveALimitOfMemory()
    {
        // Of 3 letters each, in 9 bytes of the file, which allow for 18 of the 200 that a piece may take, and 40 MB for any.
        int fits = (40 << 20) / (200 - 18);
        byte[] start = Pieces("<unk>?");
        foreach (int count in new[] { fits - 50, fits + 50 })
        {
            byte[] model = [.. start, .. Enumerable.Range(0, count).SelectMany(Tiny)];
            if (count < fits)
            {
                Assert.Equal(count + 1, Model(model).Pieces.Count);
                continue;
            }

            string message = Assert.Throws<InvalidDataException>(() => Model(model)).Message;
            Assert.Equal(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"x is malformed: it has more than {((40L << 20) + (2L * model.Length)) / 200} pieces, which would take too much memory for their length."
                ),
                message
            );
        }

        // Six letters of 64 for each number, and no score.
        static byte[] Tiny(int number) =>
            [0x0A, 7, 0x0A, 5, .. Enumerable.Range(0, 5).Select(i => (byte)('0' + ((number >> (6 * i)) & 63)))];
    }

    [Theory]
    [InlineData(1, false)]
    [InlineData(1024, false)]
    [InlineData(1025, true)]
    public void PiecesHaveALongest(int length, bool isRefused)
    {
        byte[] model = Pieces("<unk>?", new string('b', length));
        if (isRefused)
        {
            Assert.Equal(
                "x is malformed: piece 1 is longer than 1024 bytes.",
                Assert.Throws<InvalidDataException>(() => Model(model)).Message
            );
        }
        else
        {
            Assert.Equal(length, Model(model).Pieces[1].Text.Length);
        }
    }

    [Fact]
    public void PiecesAreDifferentAndOneIsUnknown()
    {
        Refused("x is malformed: piece 'a' has the ids 1 and 3; every piece should occur once.", Pieces("<unk>?", "a", "b", "a"));
        Refused("x is malformed: it has no piece for what it cannot spell.", Pieces("a", "b"));
        Refused("x is not a complete SentencePiece model.", [.. Pieces("<unk>?"), 0x0A, 5, 1]);
        Refused("x is not a complete SentencePiece model.", [.. Pieces("<unk>?"), .. Field(1, Field(1, [0xFF]))]);
        Assert.Equal(
            "x holds a SentencePiece model of type 2; only unigram models (1) are supported.",
            Assert.Throws<NotSupportedException>(() => Model([.. Pieces("<unk>?"), .. Field(2, [0x18, 2])])).Message
        );
        // The training's other fields are passed over.
        SentencePieceModel model = Model([.. Pieces("<unk>?", "a"), .. Field(2, [0x10, 7, 0x18, 1])]);
        Assert.False(model.FallsBackToBytes);
        Assert.Equal(SentencePieceModel.PieceType.Unknown, model.Pieces[model.Unknown].Type);
        Assert.True(Model([.. Pieces("<unk>?", "a"), .. Field(2, [0x98, 2, 1])]).FallsBackToBytes);
    }

    [Theory]
    [InlineData(new byte[] { }, false)]
    [InlineData(new byte[] { 4, 0, 0 }, false)]
    [InlineData(new byte[] { 0, 0, 0, 0, 1 }, false)]
    [InlineData(new byte[] { 3, 0, 0, 0, 1, 2, 3 }, false)]
    [InlineData(new byte[] { 6, 0, 0, 0, 1, 2, 3, 4, 5, 6 }, false)]
    [InlineData(new byte[] { 8, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7 }, false)]
    [InlineData(new byte[] { 4, 0, 0, 0, 1, 2, 3, 4 }, true)]
    [InlineData(new byte[] { 4, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8 }, true)]
    public void RulesAreOfTheirSize(byte[] blob, bool isRead)
    {
        if (isRead)
        {
            Assert.Equal((0, ""), new CharsMap(blob, "x").Match("a"u8));
        }
        else
        {
            Assert.Equal(
                "x: its normalization rules (precompiled_charsmap) are not complete.",
                Assert.Throws<InvalidDataException>(() => new CharsMap(blob, "x")).Message
            );
        }
    }

    [Fact]
    public void RulesAreWalkedWithinTheirTrie()
    {
        // At the root's children, of one letter, or of two; the replacement is at 0, at 2 without an end, or behind all.
        var map = new CharsMap(Rules(0xC3, 0xA9), "x");
        Assert.Equal((2, ""), map.Match([0xC3, 0xA9]));
        Assert.Equal((0, ""), map.Match([0xC3, 0xAA]));
        Assert.Equal((0, ""), map.Match([0xC3]));
        Assert.Equal((0, ""), map.Match("a"u8));
        Assert.Equal((1, "b"), new CharsMap(One('a', 0, "b\0c"), "x").Match("ab"u8));
        Assert.Equal((1, "c"), new CharsMap(One('a', 2, "b\0c"), "x").Match("ab"u8));
        Assert.Equal((1, ""), new CharsMap(One('a', 9, "b\0c"), "x").Match("ab"u8));
        // A child that lies behind the trie.
        Assert.Equal((0, ""), new CharsMap([4, 0, 0, 0, 0, 0xFC, 0xFF, 0xFF], "x").Match("a"u8));
        // A leaf that does.
        byte[] far = One('a', 0, "b\0");
        BinaryPrimitives.WriteUInt32LittleEndian(far.AsSpan(4 + (4 * 'a')), 0x00FF_FD00 | 'a');
        Assert.Equal((0, ""), new CharsMap(far, "x").Match("a"u8));
    }

    [Theory]
    [InlineData("xlm-roberta", "<unk>? <s>! </s>! a b", "<s> <pad> </s> <unk> a b <mask>", null)]
    [InlineData("camembert", "<unk>? a b", "<s>NOTUSED <pad> </s>NOTUSED <unk> <unk>NOTUSED a b <mask>", null)]
    [InlineData(
        "xlm-roberta",
        "<unk>? <s>! a </s>! b",
        "",
        "its piece 2 is 'a'; the model should begin with '<unk>', '<s>' and '</s>', each once"
    )]
    [InlineData("xlm-roberta", "<unk>? <s>! </s>! <pad>", "", "its piece 3 is '<pad>'; the model should begin with")]
    [InlineData("xlm-roberta", "<s>! <unk>? </s>! a", "", "its piece 0 is '<s>'; the model should begin with")]
    [InlineData("xlm-roberta", "<unk> <s>! </s>! a?", "", "its piece 0 is '<unk>'; the model should begin with")]
    [InlineData("xlm-roberta", "<unk>? <s>!", "", "it has 2 pieces and should begin with 3 special ones")]
    [InlineData("camembert", "<unk>? <pad>!", "", "its piece 1 is '<pad>'; the model should begin with")]
    public void PiecesHaveTheIdsOfFairseq(string type, string pieces, string vocabulary, string? reason)
    {
        TokenizerFiles files = Files(type, "sentencepiece.bpe.model", Pieces(pieces.Split(' ')));
        if (reason is null)
        {
            var tokenizer = UnigramTokenizer.Load(files);
            Assert.Equal(vocabulary, string.Join(' ', tokenizer.Vocabulary.OrderBy(entry => entry.Value).Select(entry => entry.Key)));
            int a = tokenizer.Vocabulary["a"];
            Assert.Equal("ab", tokenizer.Decode([0, a, a + 1, tokenizer.Vocabulary["<mask>"], 3, 99]));
            return;
        }

        string message = Assert.Throws<InvalidDataException>(() => UnigramTokenizer.Load(files)).Message;
        Assert.StartsWith(Path.Combine("f", "sentencepiece.bpe.model") + ": " + reason, message, StringComparison.Ordinal);
    }

    [Fact]
    public void BytesOfFairseqHaveItsIds()
    {
        string[] bytes = [.. Enumerable.Range(0, 256).Select(value => $"<0x{value:X2}>")];
        byte[] fallsBack = Field(2, [0x98, 2, 1]);
        TokenizerFiles files = Files(
            "xlm-roberta",
            "sentencepiece.bpe.model",
            [.. Pieces(["<unk>?", "<s>!", "</s>!", "\u2581", "a", "B*", "C#", .. bytes]), .. fallsBack]
        );
        var tokenizer = UnigramTokenizer.Load(files);
        var ids = new List<int>();
        tokenizer.Encode("a\u00e9", ids);
        int first = tokenizer.Vocabulary["<0x00>"];
        Assert.Equal([tokenizer.Vocabulary["\u2581"], tokenizer.Vocabulary["a"], first + 0xC3, first + 0xA9], ids);
        Assert.Equal("a\u00e9", tokenizer.Decode(ids));
        // Of the user's pieces texts are made, and of those that are not used none.
        Assert.Equal("B", tokenizer.Decode([tokenizer.Vocabulary["B"], tokenizer.Vocabulary["C"]]));

        files = Files("xlm-roberta", "sentencepiece.bpe.model", [.. Pieces("<unk>?", "<s>!", "</s>!", "a"), .. fallsBack]);
        Assert.Equal(
            Path.Combine("f", "sentencepiece.bpe.model") + ": it falls back to bytes and has no piece '<0x00>'.",
            Assert.Throws<InvalidDataException>(() => UnigramTokenizer.Load(files)).Message
        );
    }

    [Theory]
    [InlineData("""{"type": "Unigram", "vocab": [["a", 0]]}""", "its unigram model has no 'unk_id' within the vocabulary")]
    [InlineData("""{"type": "Unigram", "unk_id": null, "vocab": [["a", 0]]}""", "its unigram model has no 'unk_id' within the vocabulary")]
    [InlineData("""{"type": "Unigram", "unk_id": 1, "vocab": [["a", 0]]}""", "its unigram model has no 'unk_id' within the vocabulary")]
    public void TheUnknownPieceIsOneOfThem(string model, string reason)
    {
        TokenizerFiles files = Files("xlm-roberta", "tokenizer.json", Encoding.UTF8.GetBytes($$"""{"model": {{model}} }"""));
        Assert.Equal(
            Path.Combine("f", "tokenizer.json") + $": {reason}.",
            Assert.Throws<InvalidDataException>(() => UnigramTokenizer.Load(files)).Message
        );
    }

    [Theory]
    [InlineData("""{"model": {"type": "WordPiece"}}""", " holds another kind of model, and spiece.model beside it has not")]
    [InlineData(
        """{"model": {"type": "Unigram"}, "pre_tokenizer": {"type": "Digits"}}""",
        " has the step 'Digits', and spiece.model beside it"
    )]
    [InlineData(
        """{"model": {"type": "Unigram"}, "normalizer": {"type": "NFC"}}""",
        " has the step 'NFC', and spiece.model beside it has not"
    )]
    [InlineData("""{"model": {"type": "Unigram"}, "normalizer": {"type": "NFKC"}, "pre_tokenizer": {"type": "WhitespaceSplit"}}""", null)]
    public void WhatLiesBesideAPieceModelIsNoMore(string serialized, string? reason)
    {
        var files = new TokenizerFiles(
            "f",
            new Dictionary<string, byte[]>
            {
                ["spiece.model"] = Pieces("<unk>?", "<extra_id_0>", "a"),
                ["tokenizer.json"] = Encoding.UTF8.GetBytes(serialized),
            }
        );
        if (reason is null)
        {
            Assert.Equal(3, UnigramTokenizer.Load(files).Vocabulary.Count);
        }
        else
        {
            Assert.StartsWith(
                Path.Combine("f", "tokenizer.json") + reason,
                Assert.Throws<NotSupportedException>(() => UnigramTokenizer.Load(files)).Message,
                StringComparison.Ordinal
            );
        }
    }

    private static SentencePieceModel Model(byte[] file) => new(file, "x", _ => false);

    private static void Refused(string message, byte[] file) =>
        Assert.Equal(message, Assert.Throws<InvalidDataException>(() => Model(file)).Message);

    private static TokenizerFiles Files(string type, string name, byte[] content) =>
        new(
            "f",
            new Dictionary<string, byte[]>
            {
                ["config.json"] = Encoding.UTF8.GetBytes($$"""{"model_type": "{{type}}"}"""),
                [name] = content,
            }
        );

    // The last letter says the type: ? unknown, ! control, * the user's, # not used; else it is a normal piece.
    private static byte[] Pieces(params string[] pieces) =>
        [
            .. pieces.SelectMany(
                (piece, id) =>
                {
                    int type = piece.Length > 1 ? 2 + "?!*#".IndexOf(piece[^1], StringComparison.Ordinal) : 1;
                    byte[] score = new byte[4];
                    BinaryPrimitives.WriteSingleLittleEndian(score, -1 - id);
                    return Field(
                        1,
                        [.. Field(1, Encoding.UTF8.GetBytes(type > 1 ? piece[..^1] : piece)), 0x15, .. score, 0x18, (byte)type]
                    );
                }
            ),
        ];

    private static byte[] Field(int number, ReadOnlySpan<byte> content)
    {
        var bytes = new List<byte> { (byte)((number << 3) | 2) };
        int length = content.Length;
        for (; length > 127; length >>= 7)
        {
            bytes.Add((byte)(length | 128));
        }

        return [.. bytes, (byte)length, .. content];
    }

    // A trie of one letter: at the root's own number it leads on to its leaf, which has a place among the replacements.
    private static byte[] One(char letter, int place, string replacements)
    {
        uint[] trie = new uint[512];
        trie[letter] = (256u << 10) | 0x100 | letter;
        trie[letter ^ 256] = (uint)place;
        return Blob(trie, replacements);
    }

    // A trie of two bytes, of which nothing becomes of the second only.
    private static byte[] Rules(byte first, byte second)
    {
        uint[] trie = new uint[1024];
        trie[first] = (256u << 10) | first;
        int node = first ^ 256 ^ second;
        trie[node] = (512u << 10) | 0x100 | second;
        trie[node ^ 512] = 0;
        return Blob(trie, "\0");
    }

    private static byte[] Blob(uint[] trie, string replacements) =>
        [.. BitConverter.GetBytes(4 * trie.Length), .. trie.SelectMany(BitConverter.GetBytes), .. Encoding.UTF8.GetBytes(replacements)];
}
