using System.Diagnostics;
using FsCheck;
using FsCheck.Fluent;
using SkillLoc.Models.Tokenization;

namespace SkillLoc.Models.Tests.Tokenization;

public sealed class WordPieceTokenizerTests : IDisposable
{
    private static readonly string[] Pieces =
    [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        "cafe",
        "café",
        "Cafe",
        "un",
        "##want",
        "##ed",
        "a",
        "##a",
        "$",
        "=",
        "`",
        "、",
        "日",
        "本",
        "日本",
        "ᄒ",
        "##ᅡ",
        "##ᆫ",
        "i\u0307",
        "i",
        "##b",
        "b",
        "ß",
        "²",
        "-",
        "\U00010428",
    ];

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("unwanted", "un|##want|##ed")]
    [InlineData("unwantedX", "[UNK]")]
    [InlineData("CAFÉ cafe\u0301", "cafe|cafe")]
    [InlineData("a$=a`", "a|$|=|a|`")]
    [InlineData("a\u0000\uFFFDa\u0007a\u200Da\uE000", "a|##a|##a|##a")]
    [InlineData("a\u00A0a\u2028a\u3000a\ta", "a|a|a|a|a")]
    [InlineData("a\u0085a\u000Ba", "a|##a|##a")]
    [InlineData("日本", "日|本")]
    [InlineData("a日a、", "a|日|a|、")]
    [InlineData("한", "ᄒ|##ᅡ|##ᆫ")]
    [InlineData("İ", "i")]
    [InlineData("ẞ", "ß")]
    [InlineData("²", "²")]
    [InlineData("a\u2014a", "a|[UNK]|a")]
    [InlineData("\U00010400", "\U00010428")]
    [InlineData("\u1FEF", "`")]
    [InlineData("[MASK]", "[UNK]|[UNK]|[UNK]")]
    [InlineData("", "")]
    [InlineData("  \r\n ", "")]
    public void UncasedPieces(string text, string pieces) => Assert.Equal(pieces, Encode(Load(), text));

    [Theory]
    [InlineData("{\"do_lower_case\": false}", "Cafe café cafe\u0301", "Cafe|café|[UNK]")]
    [InlineData("{\"do_lower_case\": false, \"strip_accents\": true}", "Cafe café", "Cafe|cafe")]
    [InlineData("{\"strip_accents\": false}", "CAFÉ İ", "café|i\u0307")]
    [InlineData("{\"strip_accents\": null}", "CAFÉ", "cafe")]
    [InlineData("{\"tokenize_chinese_chars\": false}", "日本", "日本")]
    public void SettingsAreHeeded(string settings, string text, string pieces) => Assert.Equal(pieces, Encode(Load(settings), text));

    [Fact]
    public void IdsMayHaveGaps()
    {
        Save(1 << 24);
        long before = GC.GetAllocatedBytesForCurrentThread();
        var tokenizer = CheckpointTokenizer.Load(_folder.Path);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 20_000_000);
        Assert.Equal([7, 1 << 24, 1], tokenizer.Encode("una b"));
        Assert.Contains(
            "ids up to 16777216",
            Assert.Throws<InvalidDataException>(() => tokenizer.CheckVocabulary(30_000)).Message,
            StringComparison.Ordinal
        );
        Save(int.MaxValue);
        Assert.Contains(
            "'##a' has the id 2147483647",
            Assert.Throws<InvalidDataException>(() => CheckpointTokenizer.Load(_folder.Path)).Message,
            StringComparison.Ordinal
        );

        void Save(int last) =>
            _folder
                .With("config.json", """{"model_type": "bert"}""")
                .With(
                    "tokenizer.json",
                    $$$"""{"normalizer": {"type": "BertNormalizer", "lowercase": true}, "pre_tokenizer": {"type": "BertPreTokenizer"}, "model": {"type": "WordPiece", "vocab": {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4, "un": 7, "##a": {{{last}}} } } }"""
                );
    }

    [Fact]
    public void WordsOfMoreThanAHundredCodePointsAreUnknown()
    {
        CheckpointTokenizer tokenizer = Load();
        Assert.Equal(100, tokenizer.Encode(new string('a', 100)).Length);
        Assert.Equal([tokenizer.UnknownId], tokenizer.Encode(new string('a', 101)));
        Assert.Equal("b|[UNK]|-|a", Encode(tokenizer, $"b {new string('a', 101)}-a"));

        // A hundred letters outside the basic plane are two hundred UTF-16 units, and still a word.
        _folder.With("vocab.txt", string.Join('\n', Pieces.Append("##\U00010428")));
        tokenizer = CheckpointTokenizer.Load(_folder.Path);
        Assert.Equal(100, tokenizer.Encode(string.Concat(Enumerable.Repeat("\U00010400", 100))).Length);
        Assert.Equal([tokenizer.UnknownId], tokenizer.Encode(string.Concat(Enumerable.Repeat("\U00010400", 101))));
    }

    // Not an attribute's argument, which is stored as UTF-8.
    [Fact]
    public void LoneSurrogatesGo() => Assert.Equal("a|##a", Encode(Load(), "a\uD800a\uDC00"));

    [Fact]
    public void LongTextsAreQuick()
    {
        CheckpointTokenizer tokenizer = Load();
        var watch = Stopwatch.StartNew();
        Assert.Equal([tokenizer.UnknownId], tokenizer.Encode(new string('a', 100_000)));
        Assert.Equal(50_000, tokenizer.Encode(string.Concat(Enumerable.Repeat("a ", 50_000))).Length);
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(5), $"{watch.Elapsed}");
    }

    [Fact]
    public void NoTextMakesASpecialTokenOtherThanUnknown()
    {
        CheckpointTokenizer tokenizer = Load();
        int[] special = [tokenizer.ClsId, tokenizer.SepId, tokenizer.MaskId, tokenizer.PadId];
        Prop.ForAll<string>(text => text is null || !tokenizer.Encode(text + "[SEP] [CLS]" + text).Intersect(special).Any())
            .QuickCheckThrowOnFailure();
    }

    [Theory]
    // Python: ''.join(c for c in unicodedata.normalize('NFD', s) if unicodedata.category(c) != 'Mn')
    [InlineData("Ǖ", "u")]
    [InlineData("ệ", "e")]
    [InlineData("\u212B", "a")]
    [InlineData("\u2126", "ω")]
    [InlineData("ﬁ", "ﬁ")]
    [InlineData("각", "\u1100\u1161\u11A8")]
    [InlineData("\u09CB", "\u09C7\u09BE")]
    [InlineData("\uF900", "\u8C48")]
    [InlineData("ø", "ø")]
    [InlineData("a\u0344", "a")]
    public void AccentsGoAsUnicodeSays(string text, string letters)
    {
        _folder.With("vocab.txt", "[UNK]\n" + letters);
        Assert.Equal(letters, Encode(CheckpointTokenizer.Load(_folder.Path), text));
    }

    [Theory]
    [InlineData("a\nb\na\n", "lines 1 and 3")]
    [InlineData("a\nb\n", "[UNK]")]
    [InlineData("", "no tokens")]
    public void AMalformedVocabularyIsNamed(string content, string said)
    {
        _folder.With("vocab.txt", content);
        InvalidDataException e = Assert.Throws<InvalidDataException>(() => CheckpointTokenizer.Load(_folder.Path));
        Assert.Contains("vocab.txt", e.Message, StringComparison.Ordinal);
        Assert.Contains(said, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void AVocabularyThatIsNotTextIsNamed()
    {
        File.WriteAllBytes(Path.Combine(_folder.Path, "vocab.txt"), [0x61, 0xFF, 0x0A]);
        Assert.Contains(
            "UTF-8",
            Assert.Throws<InvalidDataException>(() => CheckpointTokenizer.Load(_folder.Path)).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void TheModelTypeSaysWhichFilesAreNeeded()
    {
        _folder.With("config.json", """{"model_type": "bert"}""");
        Assert.EndsWith(
            "vocab.txt",
            Assert.Throws<FileNotFoundException>(() => CheckpointTokenizer.Load(_folder.Path)).FileName,
            StringComparison.Ordinal
        );
        Load();
        _folder.With("config.json", """{"model_type": "xlnet"}""");
        Assert.Contains(
            "xlnet",
            Assert.Throws<NotSupportedException>(() => CheckpointTokenizer.Load(_folder.Path)).Message,
            StringComparison.Ordinal
        );
    }

    private static string Encode(CheckpointTokenizer tokenizer, string text) =>
        string.Join('|', tokenizer.Encode(text).Select(tokenizer.TokenOf));

    private CheckpointTokenizer Load(string? settings = null)
    {
        _folder.With("vocab.txt", string.Join('\n', Pieces));
        if (settings is not null)
        {
            _folder.With("tokenizer_config.json", settings);
        }

        return CheckpointTokenizer.Load(_folder.Path);
    }
}
