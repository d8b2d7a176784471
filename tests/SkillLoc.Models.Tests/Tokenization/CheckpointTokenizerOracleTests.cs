using System.Text.Json;
using SkillLoc.Models.Tokenization;

namespace SkillLoc.Models.Tests.Tokenization;

public class CheckpointTokenizerOracleTests
{
    private const string SpecialSpellings = "<mask> </s> [MASK] <pad>";

    [Theory]
    [InlineData("tiny-roberta")]
    [InlineData("tiny-bert")]
    [InlineData("tiny-gpt2")]
    public void IdsEqualThoseOfHuggingFace(string name)
    {
        var tokenizer = CheckpointTokenizer.Load(OracleFolders.Of(name));
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

    [Theory]
    [InlineData("tiny-roberta")]
    [InlineData("tiny-gpt2")]
    public void ByteLevelDecodingGivesTheTextBack(string name)
    {
        var tokenizer = CheckpointTokenizer.Load(OracleFolders.Of(name));
        foreach ((string? text, int[] _) in OracleFolders.Texts(name))
        {
            Assert.Equal(text, tokenizer.Decode(tokenizer.Encode(text)));
        }
    }

    [Fact]
    public void SpecialSpellingsInTextAreText()
    {
        var roberta = CheckpointTokenizer.Load(OracleFolders.Of("tiny-roberta"));
        int[] special = [roberta.ClsId, roberta.SepId, roberta.MaskId, roberta.PadId, roberta.UnknownId];
        Assert.Empty(roberta.Encode(SpecialSpellings).Intersect(special));

        var bert = CheckpointTokenizer.Load(OracleFolders.Of("tiny-bert"));
        special = [bert.ClsId, bert.SepId, bert.MaskId, bert.PadId];
        Assert.Empty(bert.Encode(SpecialSpellings).Intersect(special));
        Assert.Equal("< mask > < / s > [ mask ] < pad >", bert.Decode(bert.Encode(SpecialSpellings)));

        var gpt2 = CheckpointTokenizer.Load(OracleFolders.Of("tiny-gpt2"));
        Assert.DoesNotContain(gpt2.PadId, gpt2.Encode(SpecialSpellings + "<|endoftext|>"));
    }

    [Fact]
    public void FamiliesSpellTheirSpecialTokens()
    {
        var roberta = CheckpointTokenizer.Load(OracleFolders.Of("tiny-roberta"));
        Assert.Equal((0, 1, 2, 3, 4), (roberta.ClsId, roberta.PadId, roberta.SepId, roberta.UnknownId, roberta.MaskId));
        Assert.True(roberta.DistinguishesLeadingSpace);
        Assert.False(roberta.UsesTokenTypes);
        roberta.CheckVocabulary(900);

        var bert = CheckpointTokenizer.Load(OracleFolders.Of("tiny-bert"));
        Assert.Equal((2, 0, 3, 1, 4), (bert.ClsId, bert.PadId, bert.SepId, bert.UnknownId, bert.MaskId));
        Assert.False(bert.DistinguishesLeadingSpace);
        Assert.True(bert.UsesTokenTypes);

        var gpt2 = CheckpointTokenizer.Load(OracleFolders.Of("tiny-gpt2"));
        Assert.False(gpt2.HasMask);
        Assert.Equal(0, gpt2.PadId);
        Assert.Contains("mask", Assert.Throws<InvalidOperationException>(() => gpt2.MaskId).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void T5WithoutItsFilesIsRefusedByName()
    {
        using TemporaryFolder folder = new TemporaryFolder().With("config.json", """{"model_type": "t5"}""").With("tokenizer.json", "{}");
        NotSupportedException e = Assert.Throws<NotSupportedException>(() => CheckpointTokenizer.Load(folder.Path));
        Assert.Contains("'t5'", e.Message, StringComparison.Ordinal);
        Assert.Contains("tokenizer.json", e.Message, StringComparison.Ordinal);
        Assert.Contains("spiece.model", e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void BytePairsAreReadFromTokenizerJson(bool mergesAsPairs)
    {
        string source = OracleFolders.Of("tiny-roberta");
        IEnumerable<string> merges = File.ReadLines(Path.Combine(source, "merges.txt")).Skip(1);
        using TemporaryFolder folder = new TemporaryFolder().With(
            "tokenizer.json",
            JsonSerializer.Serialize(
                new
                {
                    added_tokens = new[] { new { id = 4, content = "<mask>" } },
                    pre_tokenizer = new { type = "ByteLevel", add_prefix_space = false },
                    model = new
                    {
                        type = "BPE",
                        vocab = JsonSerializer.Deserialize<Dictionary<string, int>>(File.ReadAllText(Path.Combine(source, "vocab.json"))),
                        merges = mergesAsPairs ? merges.Select(merge => merge.Split(' ')).ToArray() : (object)merges.ToArray(),
                    },
                }
            )
        );
        var tokenizer = CheckpointTokenizer.Load(folder.Path);
        Assert.Equal(4, tokenizer.MaskId);
        foreach ((string? text, int[]? ids) in OracleFolders.Texts("tiny-roberta").Where(entry => entry.Text != SpecialSpellings))
        {
            Assert.Equal(ids, tokenizer.Encode(text));
        }
    }

    [Fact]
    public void WordPiecesAreReadFromTokenizerJson()
    {
        var vocabulary = File.ReadAllLines(Path.Combine(OracleFolders.Of("tiny-bert"), "vocab.txt"))
            .Select((token, id) => (token, id))
            .ToDictionary(entry => entry.token, entry => entry.id);
        using var folder = new TemporaryFolder();
        foreach (bool lowercase in new[] { true, false })
        {
            folder.With(
                "tokenizer.json",
                JsonSerializer.Serialize(
                    new
                    {
                        normalizer = new { type = "BertNormalizer", lowercase },
                        pre_tokenizer = new { type = "BertPreTokenizer" },
                        model = new { type = "WordPiece", vocab = vocabulary },
                    }
                )
            );
            var tokenizer = CheckpointTokenizer.Load(folder.Path);
            Assert.Equal(
                lowercase,
                OracleFolders
                    .Texts("tiny-bert")
                    .Where(entry => entry.Text != SpecialSpellings)
                    .All(entry => entry.Ids.SequenceEqual(tokenizer.Encode(entry.Text)))
            );
        }
    }

    [Fact]
    public void OtherKindsOfTokenizerJsonAreRefused()
    {
        using TemporaryFolder folder = new TemporaryFolder().With("tokenizer.json", """{"model": {"type": "WordLevel", "vocab": []}}""");
        Assert.Contains(
            "tokenizer.json",
            Assert.Throws<NotSupportedException>(() => CheckpointTokenizer.Load(folder.Path)).Message,
            StringComparison.Ordinal
        );
        folder.With(
            "tokenizer.json",
            """{"added_tokens": [{"id": 0, "content": "b"}], "model": {"type": "WordPiece", "vocab": {"a": 0}}}"""
        );
        Assert.Contains(
            "'b'",
            Assert.Throws<InvalidDataException>(() => CheckpointTokenizer.Load(folder.Path)).Message,
            StringComparison.Ordinal
        );
        folder.With("tokenizer.json", """{"model": {"type": "WordPiece", "vocab": """);
        Assert.Contains(
            "tokenizer.json",
            Assert.Throws<InvalidDataException>(() => CheckpointTokenizer.Load(folder.Path)).Message,
            StringComparison.Ordinal
        );
    }
}
