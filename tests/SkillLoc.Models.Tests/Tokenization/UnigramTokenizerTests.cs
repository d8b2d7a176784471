using System.Buffers.Binary;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using SkillLoc.Models.Tokenization;

namespace SkillLoc.Models.Tests.Tokenization;

public class UnigramTokenizerTests
{
    private const string SpecialSpellings = "<mask> </s> [MASK] <pad>";

    public static TheoryData<string> Checkpoints => ["tiny-t5", "tiny-t5-v11"];

    [Theory]
    [MemberData(nameof(Checkpoints))]
    public void IdsOfSpieceModelEqualThoseOfSentencePiece(string name)
    {
        // SentencePiece takes special tokens' spellings for text too, so that this covers all texts.
        var tokenizer = CheckpointTokenizer.Load(Oracles.PathOf(name));
        IReadOnlyList<(string Text, int[] Ids)> texts = OracleFolders.Texts(name, "tokenization.spiece.json");
        Assert.NotEmpty(texts);
        foreach ((string? text, int[]? ids) in texts)
        {
            Assert.True(
                ids.SequenceEqual(tokenizer.Encode(text)),
                $"'{text}': {string.Join(',', tokenizer.Encode(text))} instead of {string.Join(',', ids)}"
            );
        }
    }

    [Theory]
    [MemberData(nameof(Checkpoints))]
    public void IdsOfTokenizerJsonEqualThoseOfHuggingFace(string name)
    {
        using TemporaryFolder folder = Serialized(name);
        var tokenizer = CheckpointTokenizer.Load(folder.Path);
        IReadOnlyList<(string Text, int[] Ids)> texts = OracleFolders.Texts(name);
        Assert.NotEmpty(texts);
        foreach ((string? text, int[]? ids) in texts.Where(entry => entry.Text != SpecialSpellings))
        {
            Assert.True(
                ids.SequenceEqual(tokenizer.Encode(text)),
                $"'{text}': {string.Join(',', tokenizer.Encode(text))} instead of {string.Join(',', ids)}"
            );
        }
    }

    [Fact]
    public void SpecialSpellingsInTextAreText()
    {
        using TemporaryFolder folder = Serialized("tiny-t5");
        var tokenizer = CheckpointTokenizer.Load(folder.Path);
        string[] special = ["<pad>", "</s>", "<unk>", .. Enumerable.Range(0, 10).Select(i => $"<extra_id_{i}>")];
        foreach (string? text in new[] { SpecialSpellings, "so <extra_id_0> is", "<unk></s>" })
        {
            Assert.Empty(tokenizer.Encode(text).Intersect(special.Select(token => tokenizer.TokenId(token)!.Value)));
            Assert.Equal(text, tokenizer.Decode(tokenizer.Encode(text)));
        }

        var pieces = CheckpointTokenizer.Load(Oracles.PathOf("tiny-t5-v11"));
        Assert.Empty(pieces.Encode("</s>").Intersect([pieces.PadId, pieces.SepId, pieces.UnknownId]));
        Assert.Equal("</s>", pieces.Decode(pieces.Encode("</s>")));
    }

    [Theory]
    [MemberData(nameof(Checkpoints))]
    public void ExtraIdsFillWhatTheModelEmbeds(string name)
    {
        var tokenizer = CheckpointTokenizer.Load(Oracles.PathOf(name));
        Assert.Equal((0, 1, 2), (tokenizer.PadId, tokenizer.SepId, tokenizer.UnknownId));
        Assert.Equal(799, tokenizer.TokenId("<extra_id_0>"));
        Assert.Equal(790, tokenizer.TokenId("<extra_id_9>"));
        Assert.Equal(800, tokenizer.VocabularySize);
        tokenizer.CheckVocabulary(800);
        Assert.False(tokenizer.HasMask);
        Assert.False(tokenizer.UsesTokenTypes);
        Assert.False(tokenizer.DistinguishesLeadingSpace);
        Assert.Contains(tokenizer.Files, file => file.EndsWith("spiece.model", StringComparison.Ordinal));

        // Without a model that says how many, there are a hundred, as in T5's own vocabulary of 32,100.
        using var folder = new TemporaryFolder();
        File.Copy(Oracles.PathOf(name, "spiece.model"), Path.Join(folder.Path, "spiece.model"));
        var alone = CheckpointTokenizer.Load(folder.Path);
        Assert.Equal((889, 790), (alone.TokenId("<extra_id_0>"), alone.TokenId("<extra_id_99>")));
    }

    [Fact]
    public void WhatAModelWritesIsReadWithoutSpecialTokens()
    {
        var tokenizer = CheckpointTokenizer.Load(Oracles.PathOf("tiny-t5"));
        int[] written = [799, .. tokenizer.Encode("good bad"), 2, 1, 0, 0, 5000];
        Assert.Equal("good bad", tokenizer.Decode(written));
        Assert.Equal("", tokenizer.Decode([0, 1]));
    }

    [Theory]
    [InlineData("ﬁ Ⅷ ½ ａ", "fi VIII 1\u20442 a")]
    [InlineData("e\u0301 q\u0307\u0323 \u1E9B\u0323", "\u00E9 q\u0323\u0307 \u1E69")]
    [InlineData("\u1100\u1161\u11A8 \uAC01 \u3131", "\uAC01 \uAC01 \u1100")]
    [InlineData("\u0344 \u212B \u2126 \u0958", "\u0308\u0301 \u00C5 \u03A9 \u0915\u093C")]
    [InlineData("a\u0315\u0300\u05AE\u0300b", "\u00E0\u05AE\u0300\u0315b")]
    [InlineData("\uD835\uDD04 \uFDFA", "A \u0635\u0644\u0649 \u0627\u0644\u0644\u0647 \u0639\u0644\u064A\u0647 \u0648\u0633\u0644\u0645")]
    public void CompatibilityCompositionIsUnicodes(string text, string form)
    {
        // From the Unicode standard, annex 15 and NormalizationTest.txt. Every character is a piece here, so that decoding shows the form.
        string[] letters = form.EnumerateRunes().Select(rune => rune.ToString()).Distinct().Where(letter => letter != " ").ToArray();
        CheckpointTokenizer tokenizer = Of(letters.Select(letter => (letter, -1.0)), """{"type": "NFKC"}""");
        Assert.Equal(form, tokenizer.Decode(tokenizer.Encode(text)));
    }

    [Fact]
    public void RulesOfSpieceModelWorkInTokenizerJson()
    {
        // As Python converts spiece.model: its rules as a Precompiled step, its pieces with their scores.
        foreach (string? name in new[] { "tiny-t5", "tiny-t5-v11" })
        {
            (List<(string Text, double Score)>? pieces, byte[]? rules) = Read(File.ReadAllBytes(Oracles.PathOf(name, "spiece.model")));
            CheckpointTokenizer tokenizer = Of(
                pieces.Skip(3),
                $$"""
                {"type": "Sequence", "normalizers": [
                  {"type": "Precompiled", "precompiled_charsmap": "{{Convert.ToBase64String(rules)}}"},
                  {"type": "Strip", "strip_left": false, "strip_right": true},
                  {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "▁"}]}
                """
            );
            foreach ((string? text, int[]? ids) in OracleFolders.Texts(name, "tokenization.spiece.json"))
            {
                // The conversion leaves one space at a text's beginning, where SentencePiece leaves none.
                Assert.True(ids.SequenceEqual(tokenizer.Encode(text.TrimStart(' '))), $"'{text}'");
            }
        }
    }

    [Fact]
    public void TheLikeliestSpellingWins()
    {
        // ▁ab + c is -3, ▁a + bc -3.5, letters -8; d is unknown.
        CheckpointTokenizer tokenizer = Of([("▁", -2.0), ("▁a", -2.5), ("▁ab", -1.0), ("b", -2.0), ("c", -2.0), ("bc", -1.0)]);
        Assert.Equal(["▁ab", "c"], tokenizer.Encode("abc").Select(tokenizer.TokenOf));
        Assert.Equal(["▁a", "<unk>", "bc"], tokenizer.Encode("addbc").Select(tokenizer.TokenOf));
    }

    [Fact]
    public void BytesStandInForUnknownCharacters()
    {
        IEnumerable<(string, double)> bytes = Enumerable.Range(0, 256).Select(value => ($"<0x{value:X2}>", -9.0));
        CheckpointTokenizer tokenizer = Of([("▁", -2.0), ("a", -2.0), .. bytes], bytes: true);
        Assert.Equal(
            ["▁", "a", "<0xC3>", "<0xA9>", "<0xF0>", "<0x9F>", "<0x98>", "<0x80>"],
            tokenizer.Encode("aé😀").Select(tokenizer.TokenOf)
        );
        Assert.Equal("aé😀 a", tokenizer.Decode(tokenizer.Encode("aé😀 a")));
    }

    [Fact]
    public void CharactersBecomeWhatTheRulesOfSpieceModelSay()
    {
        // SentencePiece's nmt_nfkc removes control characters and writes one ligature as 18 letters.
        var tokenizer = CheckpointTokenizer.Load(Oracles.PathOf("tiny-t5"));
        Assert.Equal(tokenizer.Encode("good bad"), tokenizer.Encode("\u0001go\u0008od\u000B \u001Fb\u007Fad\u009F"));
        Assert.Empty(tokenizer.Encode("\u0001 \u0002"));
        const string Ligature = "\uFDFA",
            Letters = "\u0635\u0644\u0649 \u0627\u0644\u0644\u0647 \u0639\u0644\u064A\u0647 \u0648\u0633\u0644\u0645";
        foreach (int count in new[] { 1, 2, 10, 1000 })
        {
            Assert.Equal(
                tokenizer.Encode(string.Concat(Enumerable.Repeat(Letters, count)) + "\tgood"),
                tokenizer.Encode(string.Concat(Enumerable.Repeat(Ligature, count)) + "\tgood")
            );
        }
    }

    [Fact]
    public void PiecesOfSpieceModelAreOfSeveralTypes()
    {
        // <unk> is not first, <x> a control token, <extra_id_0> and «good» are spelled as they stand, ▁bad is not used.
        using var folder = new TemporaryFolder();
        (string, float, int)[] pieces =
        [
            ("a", -1, 1),
            ("<unk>", 0, 2),
            ("▁", -2, 1),
            ("<x>", 0, 3),
            ("<extra_id_0>", 0, 4),
            ("good", 0, 4),
            ("▁bad", -1, 5),
            ("bd", -3, 1),
            .. Enumerable.Range(0, 256).Select(value => ($"<0x{value:X2}>", 0f, 6)),
        ];
        string[] Tokens(bool bytes, string text)
        {
            byte[] training = bytes ? [0x12, 0x03, 0x98, 0x02, 0x01] : [];
            File.WriteAllBytes(
                Path.Join(folder.Path, "spiece.model"),
                [.. pieces.SelectMany(piece => Piece(piece.Item1, piece.Item2, piece.Item3)), .. training]
            );
            var tokenizer = CheckpointTokenizer.Load(folder.Path);
            Assert.Equal(1, tokenizer.UnknownId);
            Assert.Equal(bytes ? text : text.Replace("é😀", "", StringComparison.Ordinal), tokenizer.Decode(tokenizer.Encode(text)));
            return [.. tokenizer.Encode(text).Select(tokenizer.TokenOf)];
        }

        Assert.Equal(["▁", "a", "a", "<unk>", "▁", "good"], Tokens(bytes: false, "aaé😀 good"));
        Assert.Equal(["▁", "a", "<0xC3>", "<0xA9>", "<0xF0>", "<0x9F>", "<0x98>", "<0x80>", "a"], Tokens(bytes: true, "aé😀a"));
        Assert.Equal(["▁", "<0x62>", "a", "<0x64>", "▁", "<0x3C>", "<0x78>", "<0x3E>"], Tokens(bytes: true, "bad <x>"));
        Assert.DoesNotContain("<extra_id_0>", Tokens(bytes: true, "a<extra_id_0>a"));
    }

    [Fact]
    public void DamagedSpieceModelsNeitherCrashNorHang()
    {
        using var folder = new TemporaryFolder();
        byte[] whole = File.ReadAllBytes(Oracles.PathOf("tiny-t5", "spiece.model"));
        string path = Path.Join(folder.Path, "spiece.model");
        var random = new Random(5);
        int refused = 0;
        for (int trial = 0; trial < 400; trial++)
        {
            byte[] bytes = trial % 4 == 0 ? whole[..random.Next(whole.Length)] : [.. whole];
            for (int flips = trial % 4 == 0 || bytes.Length == 0 ? 0 : 1 << random.Next(8); flips > 0; flips--)
            {
                bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            }

            File.WriteAllBytes(path, bytes);
            long before = GC.GetAllocatedBytesForCurrentThread();
            try
            {
                var tokenizer = CheckpointTokenizer.Load(folder.Path);
                int[] ids = tokenizer.Encode("Good \uFB01lms are rare, aren't they? \uFDFA\u0001 \u4E2D\u6587 e\u0301");
                Assert.All(ids, id => Assert.InRange(id, 0, tokenizer.VocabularySize - 1));
            }
            catch (Exception e) when (e is InvalidDataException or NotSupportedException)
            {
                Assert.Contains(path, e.Message, StringComparison.Ordinal);
                refused++;
            }
            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 100 << 20);
        }
        Assert.InRange(refused, 100, 399);

        // Of a piece of a million bytes the library's trie would overflow the stack.
        File.WriteAllBytes(path, [.. whole, .. Piece(new string('x', 1_000_000), -1, 1)]);
        Assert.Contains(
            "longer",
            Assert.Throws<InvalidDataException>(() => CheckpointTokenizer.Load(folder.Path)).Message,
            StringComparison.Ordinal
        );
        File.WriteAllBytes(path, [.. whole, .. Piece("▁the", -1, 1)]);
        Assert.Contains(
            "'▁the'",
            Assert.Throws<InvalidDataException>(() => CheckpointTokenizer.Load(folder.Path)).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void DamagedFilesAreNamed()
    {
        using var folder = new TemporaryFolder();
        byte[] whole = File.ReadAllBytes(Oracles.PathOf("tiny-t5", "spiece.model"));
        string path = Path.Join(folder.Path, "spiece.model");
        foreach (int length in new[] { 0, 1, 100, whole.Length / 2, whole.Length - 1 })
        {
            File.WriteAllBytes(path, whole[..length]);
            Assert.Contains(
                path,
                Assert.Throws<InvalidDataException>(() => CheckpointTokenizer.Load(folder.Path)).Message,
                StringComparison.Ordinal
            );
        }

        // Field 2 (training), field 3 (model type): 2, byte pairs.
        File.WriteAllBytes(path, [.. whole, 0x12, 0x02, 0x18, 0x02]);
        Assert.Contains(
            "type 2",
            Assert.Throws<NotSupportedException>(() => CheckpointTokenizer.Load(folder.Path)).Message,
            StringComparison.Ordinal
        );
        File.Delete(path);

        Refused<InvalidDataException>("""{"model": {"type": "Unigram", "unk_id": 0, "vocab": []}}""", "vocab");
        Refused<InvalidDataException>("""{"model": {"type": "Unigram", "unk_id": 0, "vocab": [["a"]]}}""", "[\"a\"]");
        Refused<InvalidDataException>("""{"model": {"type": "Unigram", "unk_id": 0, "vocab": [["a", 0], ["a", 0]]}}""", "'a'");
        Refused<InvalidDataException>("""{"model": {"type": "Unigram", "vocab": [["a", 0]]}}""", "unk_id");
        Refused<NotSupportedException>(
            """{"normalizer": {"type": "ByteLevel"}, "model": {"type": "Unigram", "unk_id": 0, "vocab": [["a", 0]]}}""",
            "'ByteLevel'"
        );
        Refused<NotSupportedException>(
            """{"pre_tokenizer": {"type": "UnicodeScripts"}, "model": {"type": "Unigram", "unk_id": 0, "vocab": [["a", 0]]}}""",
            "'UnicodeScripts'"
        );
        Refused<InvalidDataException>(
            """{"normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAA"}, "model": {"type": "Unigram", "unk_id": 0, "vocab": [["a", 0]]}}""",
            "charsmap"
        );

        void Refused<T>(string json, string part)
            where T : Exception
        {
            folder.With("tokenizer.json", json);
            string message = Assert.Throws<T>(() => CheckpointTokenizer.Load(folder.Path)).Message;
            Assert.Contains("tokenizer.json", message, StringComparison.Ordinal);
            Assert.Contains(part, message, StringComparison.Ordinal);
        }
    }

    private static TemporaryFolder Serialized(string name)
    {
        var folder = new TemporaryFolder();
        File.Copy(Oracles.PathOf(name, "config.json"), Path.Join(folder.Path, "config.json"));
        File.Copy(Oracles.PathOf(name, "tokenizer.json"), Path.Join(folder.Path, "tokenizer.json"));
        return folder;
    }

    // A tokenizer.json with <pad>, </s> and <unk> before the pieces, and words apart.
    private static CheckpointTokenizer Of(IEnumerable<(string Text, double Score)> pieces, string normalizer = "null", bool bytes = false)
    {
        string[] special = ["<pad>", "</s>", "<unk>"];
        var json = new JsonObject
        {
            ["added_tokens"] = new JsonArray([
                .. special.Select(
                    (token, id) =>
                        new JsonObject
                        {
                            ["id"] = id,
                            ["content"] = token,
                            ["special"] = true,
                        }
                ),
            ]),
            ["normalizer"] = JsonNode.Parse(normalizer),
            ["pre_tokenizer"] = new JsonObject
            {
                ["type"] = "Metaspace",
                ["replacement"] = "▁",
                ["prepend_scheme"] = "always",
                ["split"] = true,
            },
            ["model"] = new JsonObject
            {
                ["type"] = "Unigram",
                ["unk_id"] = 2,
                ["byte_fallback"] = bytes,
                ["vocab"] = new JsonArray([
                    .. special
                        .Select(token => (token, 0.0))
                        .Concat(pieces.Any(piece => piece.Text == "▁") ? pieces : pieces.Prepend(("▁", -1.0)))
                        .Select(piece => new JsonArray(piece.Item1, piece.Item2)),
                ]),
            },
        };
        using TemporaryFolder folder = new TemporaryFolder().With("tokenizer.json", json.ToJsonString());
        return CheckpointTokenizer.Load(folder.Path);
    }

    // A piece as spiece.model holds it: field 1 with text, score and type.
    private static byte[] Piece(string text, float score, int type)
    {
        byte[] letters = Encoding.UTF8.GetBytes(text);
        byte[] scored = new byte[4];
        BinaryPrimitives.WriteSingleLittleEndian(scored, score);
        byte[] content = [0x0A, .. Length(letters.Length), .. letters, 0x15, .. scored, 0x18, (byte)type];
        return [0x0A, .. Length(content.Length), .. content];

        static byte[] Length(int value) => value < 0x80 ? [(byte)value] : [(byte)(value | 0x80), .. Length(value >> 7)];
    }

    // Enough of a protocol buffer to read pieces and rules; lengths in these files have one to four bytes.
    private static (List<(string Text, double Score)> Pieces, byte[] Rules) Read(byte[] model)
    {
        var pieces = new List<(string, double)>();
        byte[] rules = [];
        foreach ((int field, byte[]? content) in Messages(model))
        {
            if (field == 1)
            {
                byte length = content[1];
                pieces.Add(
                    (Encoding.UTF8.GetString(content, 2, length), BinaryPrimitives.ReadSingleLittleEndian(content.AsSpan(3 + length)))
                );
            }
            else if (field == 3)
            {
                // A name, then the rules.
                rules = Messages(content).First(part => part.Field == 2).Content;
            }
        }
        return (pieces, rules);

        static IEnumerable<(int Field, byte[] Content)> Messages(byte[] bytes)
        {
            for (int at = 0; at < bytes.Length; )
            {
                int field = bytes[at++] >> 3;
                int length = 0;
                for (int shift = 0; ; shift += 7)
                {
                    length |= (bytes[at] & 0x7F) << shift;
                    if (bytes[at++] < 0x80)
                    {
                        break;
                    }
                }
                yield return (field, bytes[at..(at + length)]);
                at += length;
            }
        }
    }
}
