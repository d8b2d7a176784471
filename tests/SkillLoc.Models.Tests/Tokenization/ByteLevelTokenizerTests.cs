using System.Diagnostics;
using System.Text;
using System.Text.Json;
using FsCheck;
using FsCheck.Fluent;
using SkillLoc.Models.Tokenization;

namespace SkillLoc.Models.Tests.Tokenization;

public sealed class ByteLevelTokenizerTests : IDisposable
{
    // Merges that bring out where words end: letters of both planes, spaces, a contraction, punctuation.
    private static readonly string[] Merges =
    [
        "h e",
        "l l",
        "he ll",
        "hell o",
        "Ġ w",
        "o r",
        "Ġw or",
        "Ġ Ġ",
        "' s",
        "! !",
        "x x",
        "xx xx",
        "ð Ŀ",
        "ðĿ ĵ",
        "a ðĿĵ",
        "< m",
        "a s",
        "as k",
        "<m ask",
        "<mask >",
    ];

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("hello", "hello")]
    [InlineData("hello world", "hello|Ġwor|l|d")]
    [InlineData("a  world", "a|Ġ|Ġwor|l|d")]
    [InlineData("a   world", "a|ĠĠ|Ġwor|l|d")]
    [InlineData("a's !!", "a|'s|Ġ|!!")]
    [InlineData("a\n world", "a|Ċ|Ġwor|l|d")]
    [InlineData("a\n\nhe", "a|Ċ|Ċ|he")]
    [InlineData("a'shell", "a|'s|hell")]
    [InlineData("a!'s", "a|!|'|s")]
    [InlineData("  ", "ĠĠ")]
    // A mathematical letter outside the basic plane is a letter, so `a` and its first bytes may merge.
    [InlineData("a\U0001D4D0", "aðĿĵ|Ĳ")]
    [InlineData("\u00A0he", "Â|ł|he")]
    public void WordsEndWhereThoseOfGPT2End(string text, string tokens)
    {
        CheckpointTokenizer tokenizer = Load();
        Assert.Equal(tokens, string.Join('|', tokenizer.Encode(text).Select(tokenizer.TokenOf)));
    }

    [Fact]
    public void SpecialTokensAreNotMadeByMerges()
    {
        CheckpointTokenizer tokenizer = Load();
        Assert.NotNull(tokenizer.TokenId("<mask>"));
        Assert.DoesNotContain(tokenizer.MaskId, tokenizer.Encode("a <mask> b<mask>"));
        Assert.Equal("a <mask> b<mask>", tokenizer.Decode(tokenizer.Encode("a <mask> b<mask>")));
    }

    [Fact]
    public void AnyTextComesBack()
    {
        CheckpointTokenizer tokenizer = Load();
        Prop.ForAll<string>(text => text is null || tokenizer.Decode(tokenizer.Encode(text)) == WellFormed(text))
            .QuickCheckThrowOnFailure();
        Assert.Equal("a\uFFFDb\uFFFD", tokenizer.Decode(tokenizer.Encode("a\uD800b\uDC00")));
        Assert.Equal("\uFFFD", tokenizer.Decode(tokenizer.Encode("\uD83D")));
        Assert.Empty(tokenizer.Encode(""));
        Assert.Equal(tokenizer.Encode("hello"), tokenizer.Encode("xhello".AsSpan(1)));
    }

    [Fact]
    public void ALongWordTakesNoQuadraticTime()
    {
        CheckpointTokenizer tokenizer = Load();
        var watch = Stopwatch.StartNew();
        int[] ids = tokenizer.Encode(new string('x', 100_000));
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(5), $"{watch.Elapsed}");
        Assert.Equal(Enumerable.Repeat(tokenizer.TokenId("xxxx")!.Value, 25_000), ids);
    }

    [Fact]
    public void ThreadsShareATokenizer()
    {
        CheckpointTokenizer tokenizer = Load();
        string[] texts = Enumerable.Range(0, 200).Select(i => $"hello world {i} xxxx's").ToArray();
        int[][] alone = Array.ConvertAll(texts, tokenizer.Encode);
        CheckpointTokenizer shared = Load();
        int[][] together = new int[texts.Length][];
        Parallel.For(0, texts.Length, i => together[i] = shared.Encode(texts[i]));
        Assert.Equal(alone, together);
    }

    [Fact]
    public void APrefixSpaceIsAddedWhereTheCheckpointSaysSo()
    {
        CheckpointTokenizer tokenizer = Load(("tokenizer_config.json", """{"add_prefix_space": true}"""));
        Assert.Equal("Ġwor", tokenizer.TokenOf(tokenizer.Encode("world")[0]));
        Assert.Equal(tokenizer.Encode("world"), tokenizer.Encode(" world"));
        Assert.Empty(tokenizer.Encode(""));
    }

    [Fact]
    public void SpecialTokensMayBeSpeltOtherwise()
    {
        CheckpointTokenizer tokenizer = Load(
            ("special_tokens_map.json", """{"mask_token": {"content": "<blank>", "lstrip": true}, "sep_token": "<s>"}""")
        );
        Assert.Equal(tokenizer.TokenId("<blank>"), tokenizer.MaskId);
        Assert.Equal(tokenizer.ClsId, tokenizer.SepId);
    }

    [Fact]
    public void FilesToCopyAreThoseThatExist()
    {
        IEnumerable<string?> files = Load(("tokenizer_config.json", "{}")).Files.Select(Path.GetFileName);
        Assert.Equal(new[] { "merges.txt", "tokenizer_config.json", "vocab.json" }, files.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void ATokenizerThatDoesNotFitTheModelIsRefused()
    {
        CheckpointTokenizer tokenizer = Load();
        tokenizer.CheckVocabulary(tokenizer.VocabularySize);
        InvalidDataException e = Assert.Throws<InvalidDataException>(() => tokenizer.CheckVocabulary(tokenizer.VocabularySize - 1));
        Assert.Contains("vocab_size", e.Message, StringComparison.Ordinal);

        string[] vocabulary = Vocabulary()
            .Where(token => !token.Contains("mask", StringComparison.Ordinal) && token != "<blank>")
            .ToArray();
        _folder.With("vocab.json", Json(vocabulary)).With("merges.txt", "h e\n");
        Assert.Contains(
            "<mask>",
            Assert.Throws<InvalidDataException>(() => CheckpointTokenizer.Load(_folder.Path).CheckVocabulary(10_000)).Message,
            StringComparison.Ordinal
        );
    }

    [Theory]
    [InlineData("vocab.json", "{\"a\": 0, ", "vocab.json")]
    [InlineData("vocab.json", "[1, 2]", "should be an object")]
    [InlineData("vocab.json", "{\"a\": 0, \"b\": 0}", "'a' and 'b' both have the id 0")]
    [InlineData("vocab.json", "{\"a\": \"0\"}", "ids are integers")]
    [InlineData("vocab.json", "{\"a\": -1}", "ids are integers")]
    [InlineData("vocab.json", "{}", "no tokens")]
    [InlineData("merges.txt", "#version: 0.2\nh e\nl", "line 3")]
    [InlineData("merges.txt", "h e\nh q\n", "'hq'")]
    [InlineData("merges.txt", "h e\nh e\n", "twice")]
    [InlineData("special_tokens_map.json", "{\"mask_token\": ", "special_tokens_map.json")]
    public void AMalformedFileIsNamed(string file, string content, string said)
    {
        _folder.With("vocab.json", Json(Vocabulary())).With("merges.txt", "h e\n").With(file, content);
        InvalidDataException e = Assert.Throws<InvalidDataException>(() => CheckpointTokenizer.Load(_folder.Path));
        Assert.Contains(file, e.Message, StringComparison.Ordinal);
        Assert.Contains(said, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void AMissingFileIsNamed()
    {
        Assert.Throws<DirectoryNotFoundException>(() => CheckpointTokenizer.Load(Path.Combine(_folder.Path, "nowhere")));
        Assert.Contains(
            "vocab.txt",
            Assert.Throws<NotSupportedException>(() => CheckpointTokenizer.Load(_folder.Path)).Message,
            StringComparison.Ordinal
        );
        _folder.With("vocab.json", Json(Vocabulary()));
        Assert.EndsWith(
            "merges.txt",
            Assert.Throws<FileNotFoundException>(() => CheckpointTokenizer.Load(_folder.Path)).FileName,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void CutOffMergesAreNoticed()
    {
        string oracle = OracleFolders.Of("tiny-roberta");
        _folder
            .With("vocab.json", File.ReadAllText(Path.Combine(oracle, "vocab.json")))
            .With("merges.txt", string.Concat(File.ReadLines(Path.Combine(oracle, "merges.txt")).Take(300).Select(line => line + "\n")));
        Assert.Contains(
            "cut off",
            Assert.Throws<InvalidDataException>(() => CheckpointTokenizer.Load(_folder.Path)).Message,
            StringComparison.Ordinal
        );
    }

    private static IEnumerable<string> Vocabulary()
    {
        // The byte alphabet, as GPT-2 defines it.
        int[] shown = Enumerable.Range('!', '~' - '!' + 1).Concat(Enumerable.Range(0xA1, 12)).Concat(Enumerable.Range(0xAE, 82)).ToArray();
        return new[] { "<s>", "<pad>", "</s>", "<unk>", "<blank>" }
            .Concat(shown.Concat(Enumerable.Range(0x100, 256 - shown.Length)).Select(c => ((char)c).ToString()))
            .Concat(Merges.Select(merge => merge.Replace(" ", "", StringComparison.Ordinal)));
    }

    private static string Json(IEnumerable<string> tokens) =>
        JsonSerializer.Serialize(tokens.Select((token, id) => (token, id)).ToDictionary(entry => entry.token, entry => entry.id));

    private static string WellFormed(string text) => Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text));

    private CheckpointTokenizer Load(params (string Name, string Content)[] more)
    {
        _folder.With("vocab.json", Json(Vocabulary())).With("merges.txt", "#version: 0.2\n" + string.Join('\n', Merges) + "\n");
        foreach ((string? name, string? content) in more)
        {
            _folder.With(name, content);
        }

        return CheckpointTokenizer.Load(_folder.Path);
    }
}
