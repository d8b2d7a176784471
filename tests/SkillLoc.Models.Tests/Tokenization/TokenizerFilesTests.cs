using System.Globalization;
using System.Text;
using System.Text.Json;
using SkillLoc.Models.Tokenization;

namespace SkillLoc.Models.Tests.Tokenization;

/// <summary>What the files of a tokenizer hold, and what they are refused for, by file and entry.</summary>
public sealed class TokenizerFilesTests
{
    [Theory]
    [InlineData(null, null)]
    [InlineData("{}", null)]
    [InlineData("""{"model": 1}""", null)]
    [InlineData("""{"model": {"type": "BPE"}}""", "BytePairs")]
    [InlineData("""{"model": {"type": "WordPiece", "merges": []}}""", "WordPieces")]
    [InlineData("""{"model": {"type": "Unigram"}}""", "Unigram")]
    [InlineData("""{"model": {"vocab": [], "merges": []}}""", "Unigram")]
    [InlineData("""{"model": {"vocab": {}, "merges": []}}""", "BytePairs")]
    [InlineData("""{"model": {"vocab": {}, "max_input_chars_per_word": 1}}""", "WordPieces")]
    [InlineData("""{"model": {"max_input_chars_per_word": 1}}""", "WordPieces")]
    [InlineData("""{"model": {"merges": 1}}""", "BytePairs")]
    [InlineData("""{"model": {"type": 1, "merges": 1}}""", "BytePairs")]
    [InlineData("""{"model": {}}""", "its model is 'of no type'; supported are BPE, WordPiece and Unigram.")]
    [InlineData("""{"model": {"type": "WordLevel"}}""", "its model is 'WordLevel'; supported are BPE, WordPiece and Unigram.")]
    public void TheModelHasAKind(string? json, string? expected)
    {
        TokenizerFiles files = json is null ? Files() : Files(("tokenizer.json", json));
        if (expected?.StartsWith("its", StringComparison.Ordinal) == true)
        {
            string message = Assert.Throws<NotSupportedException>(() => files.ReadSerialized()).Message;
            Assert.Equal(Path.Combine("f", "tokenizer.json") + ": " + expected, message);
        }
        else
        {
            Assert.Equal(expected, files.ReadSerialized()?.Kind.ToString());
        }
    }

    [Theory]
    [InlineData("""[["a", -1.5], ["b", 2]]""", "a 0 -1.5, b 1 2")]
    [InlineData("""[["\u00e9", 1e999]]""", "\u00e9 0 Infinity")]
    [InlineData("[]", "its unigram model has no 'vocab', an array of pieces with their scores")]
    [InlineData("null", "its unigram model has no 'vocab', an array of pieces with their scores")]
    [InlineData("{}", "its unigram model has no 'vocab', an array of pieces with their scores")]
    [InlineData("""[["a", 1], ["b", 1], ["a", 1]]""", "piece 'a' occurs twice")]
    [InlineData("""["a"]""", "its vocabulary holds \"a\"]; expected a piece and its score")]
    [InlineData("""[["a", 1], {}]""", "its vocabulary holds {}]; expected a piece and its score")]
    [InlineData("[[1, 1]]", "its vocabulary holds [1, 1]]; expected a piece and its score")]
    [InlineData("""[["a", null]]""", "its vocabulary holds [\"a\", null]]; expected a piece and its score")]
    [InlineData("""[["a", 1, 1]]""", "its vocabulary holds [\"a\", 1, 1]]; expected a piece and its score")]
    public void PiecesHaveScores(string vocabulary, string expected)
    {
        TokenizerFiles files = Files(("tokenizer.json", $$$"""{"model": {"type": "Unigram", "vocab": {{{vocabulary}}} } }"""));
        Assert.Equal(TokenizerKind.Unigram, files.ReadSerialized()!.Value.Kind);
        Expect(
            "tokenizer.json",
            expected,
            () =>
            {
                Dictionary<string, int> pieces = files.ReadPieces(out double[] scores);
                Assert.Equal(pieces.Count, scores.Length);
                return string.Join(
                    ", ",
                    pieces.Select(piece => string.Create(CultureInfo.InvariantCulture, $"{piece.Key} {piece.Value} {scores[piece.Value]}"))
                );
            }
        );
        Assert.Throws<InvalidDataException>(() =>
        {
            TokenizerFiles none = Files(("tokenizer.json", """{"model": {"type": "Unigram"}}"""));
            none.ReadSerialized();
            none.ReadPieces(out _);
        });
    }

    [Theory]
    [InlineData("""{"a": 0, "b": 16777216}""", "a 0, b 16777216")]
    [InlineData(" \t\r\n{\"a\": 70000, \"b\": 3}", "a 70000, b 3")]
    [InlineData("{}", "it holds no tokens; it should be an object of token to id")]
    [InlineData("[1]", "it holds no JSON object; it should be an object of token to id")]
    [InlineData("", "it is not complete JSON (The input does not contain any JSON tokens.")]
    [InlineData("{\"a\": 0", "it is not complete JSON (")]
    [InlineData("""{"a": 16777217}""", "token 'a' has the id 16777217; ids are integers from 0 on, and no vocabulary is so large")]
    [InlineData("""{"a": -1}""", "token 'a' has the id -1; ids are integers from 0 on, and no vocabulary is so large")]
    [InlineData("""{"a": "0"}""", "token 'a' has the id \"0\"; ids are integers from 0 on, and no vocabulary is so large")]
    [InlineData("""{"a": 1.5}""", "token 'a' has the id 1.5; ids are integers from 0 on, and no vocabulary is so large")]
    [InlineData(
        """{"a": [1, {"b": 2}]}""",
        "token 'a' has the id [1, {\"b\": 2}]; ids are integers from 0 on, and no vocabulary is so large"
    )]
    [InlineData("""{"a": 0, "b": 1, "a": 2}""", "token 'a' occurs twice")]
    [InlineData("""{"a": 9, "b": 7, "c": 9}""", "tokens 'a' and 'c' both have the id 9")]
    public void AVocabularyHasIds(string json, string expected)
    {
        Expect("vocab.json", expected, () => Show(Files(("vocab.json", json)).ReadVocabulary()));
        if (json is ['{', .., '}'])
        {
            string serialized = $$$"""{"model": {"type": "BPE", "vocab": {{{json}}} } }""";
            Expect("tokenizer.json", expected, () => Show(Files(("tokenizer.json", serialized)).ReadVocabulary()));
            Expect("tokenizer.json", expected, () => Show(Files(("tokenizer.json", serialized)).ReadWordPieces()));
        }
    }

    [Fact]
    public void LongValuesAreShownInPart()
    {
        string message = Assert
            .Throws<InvalidDataException>(() => Files(("vocab.json", $$"""{"a": "{{new string('b', 300)}}"}""")).ReadVocabulary())
            .Message;
        Assert.Contains($"the id \"{new string('b', 199)}; ids are", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"type": "BPE"}""", "its model has no 'vocab'")]
    [InlineData("""{"type": "BPE", "vocab": null}""", "its model has no 'vocab'")]
    [InlineData("""{"type": "BPE", "vocab": [1]}""", "its model has no 'vocab'")]
    [InlineData("""{"type": "BPE", "vocab": {"a": 0}}""", "its model has no 'merges'")]
    [InlineData("""{"type": "BPE", "vocab": {"a": 0}, "merges": {}}""", "its model has no 'merges'")]
    [InlineData("""{"type": "BPE", "vocab": {"a": 0}, "merges": "a a"}""", "its model has no 'merges'")]
    [InlineData("""{"type": "BPE", "vocab": {"a": 0}, "merges": []}""", "")]
    // What lies deeper, or beside the model, is another thing.
    [InlineData("""{"type": "BPE", "x": {"vocab": {"b": 1}, "merges": [1]}, "vocab": {"a": 0}, "merges": []}""", "")]
    [InlineData("""{"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"]]}, "other": {"vocab": {"c": 3}}""", "a b")]
    [InlineData("""{"type": "BPE", "merges": ["a b"], "vocab": {"a": 0, "b": 1, "ab": 2}}, "vocab": {"c": 3}""", "a b")]
    public void VocabularyAndMergesAreTheModels(string model, string expected)
    {
        TokenizerFiles files = Files(("tokenizer.json", $$"""{"merges": ["x"], "model": {{model}}}"""));
        Expect("tokenizer.json", expected, () => string.Join(", ", files.ReadMerges(files.ReadVocabulary())));
    }

    [Theory]
    [InlineData("#version: 0.2\na b\n", "a b")]
    [InlineData("a b\r\rb c\r\n\nab c", "a b, b c, ab c")]
    [InlineData("a b\n#version\n", "line 2 is '#version'; it should be two tokens with one space between")]
    [InlineData("ab\n", "line 1 is 'ab'; it should be two tokens with one space between")]
    [InlineData("\na \n", "line 2 is 'a '; it should be two tokens with one space between")]
    [InlineData(" a\n", "line 1 is ' a'; it should be two tokens with one space between")]
    [InlineData("a b c\n", "line 1 is 'a b c'; it should be two tokens with one space between")]
    [InlineData("a  b\n", "line 1 is 'a  b'; it should be two tokens with one space between")]
    [InlineData("a x\n", "line 1 ('a x') needs the token 'ax', which the vocabulary lacks; the two should belong together")]
    [InlineData("c b\n", "line 1 ('c b') needs the token 'cb', which the vocabulary lacks; the two should belong together")]
    [InlineData("y z\n", "line 1 ('y z') needs the token 'y', which the vocabulary lacks; the two should belong together")]
    [InlineData("a zz\n", "line 1 ('a zz') needs the token 'zz', which the vocabulary lacks; the two should belong together")]
    [InlineData("a b\nb c\na b\n", "line 3 ('a b') occurs twice")]
    public void MergesAreOfTheVocabulary(string lines, string expected)
    {
        string[] tokens = ["a", "b", "c", "ab", "bc", "abc", "yz", "azz"];
        var vocabulary = tokens.Select((token, id) => (token, id)).ToDictionary(entry => entry.token, entry => entry.id);
        Expect("merges.txt", expected, () => string.Join(", ", Files(("merges.txt", lines)).ReadMerges(vocabulary)));
    }

    [Theory]
    [InlineData(32, true)]
    [InlineData(35, true)]
    [InlineData(36, false)]
    public void MergesMakeMostOfTheVocabulary(int unmade, bool isRead)
    {
        // Of 35 longer tokens 32 and a tenth may be left.
        var vocabulary = new Dictionary<string, int> { ["a"] = 0 };
        for (int i = 0; i < unmade; i++)
        {
            vocabulary.Add($"t{i}", i + 1);
        }

        TokenizerFiles files = Files(("merges.txt", ""));
        if (isRead)
        {
            Assert.Empty(files.ReadMerges(vocabulary));
        }
        else
        {
            Expect(
                "merges.txt",
                "its 0 merges leave 36 of the 36 longer tokens of the vocabulary unreachable; it looks cut off",
                () => string.Join(", ", files.ReadMerges(vocabulary))
            );
        }
    }

    [Theory]
    [InlineData("a\nb\n", "a 0, b 1")]
    [InlineData("a\r\n\r\nb", "a 0, b 2")]
    [InlineData("", "it holds no tokens; it should have one token a line")]
    [InlineData("\n\n", "it holds no tokens; it should have one token a line")]
    [InlineData("a\nb\nc\nb\n", "token 'b' stands on lines 2 and 4; every token should stand once")]
    public void WordPiecesHaveALineEach(string lines, string expected) =>
        Expect("vocab.txt", expected, () => Show(Files(("vocab.txt", lines)).ReadWordPieces()));

    [Fact]
    public void LinesHaveALimit()
    {
        string line = new('a', 1 << 16);
        Assert.Equal([line], Files(("vocab.txt", line)).ReadWordPieces().Keys);
        Expect(
            "vocab.txt",
            "line 2 has 65537 characters; tokens have at most 65536",
            () => Show(Files(("vocab.txt", $"b\n{line}a")).ReadWordPieces())
        );
    }

    [Theory]
    [InlineData("tokenizer.json", """{"added_tokens": null}""", "")]
    [InlineData("tokenizer.json", """{"added_tokens": {}}""", "its added_tokens are a JSON Object; they should be an array")]
    [InlineData("tokenizer.json", """{"added_tokens": [1]}""", "the added token 1 should have a 'content' and an 'id' from 0 on")]
    [InlineData("tokenizer.json", """{"added_tokens": [{"content": "a"}]}""", "the added token {\"content\": \"a\"} should have")]
    [InlineData(
        "tokenizer.json",
        """{"added_tokens": [{"content": "a", "id": "0"}]}""",
        "the added token {\"content\": \"a\", \"id\": \"0\"}"
    )]
    [InlineData(
        "tokenizer.json",
        """{"added_tokens": [{"content": "a", "id": 0.5}]}""",
        "the added token {\"content\": \"a\", \"id\": 0.5}"
    )]
    [InlineData("tokenizer.json", """{"added_tokens": [{"content": "a", "id": -1}]}""", "the added token {\"content\": \"a\", \"id\": -1}")]
    [InlineData(
        "tokenizer.json",
        """{"added_tokens": [{"content": "c", "id": 16777217}]}""",
        "the added token {\"content\": \"c\", \"id\": 16777217}"
    )]
    [InlineData("tokenizer.json", """{"added_tokens": [{"content": "c", "id": 16777216}]}""", "c 16777216 N+")]
    [InlineData(
        "tokenizer.json",
        """{"added_tokens": [{"id": 0}]}""",
        "the added token {\"id\": 0} should have a 'content' and an 'id' from 0 on"
    )]
    [InlineData(
        "tokenizer.json",
        """{"added_tokens": [{"id": 0, "content": 1}]}""",
        "the added token {\"id\": 0, \"content\": 1} should have"
    )]
    [InlineData("tokenizer.json", """{"added_tokens": [{"id": 0, "content": "a"}]}""", "a 0 N")]
    [InlineData("tokenizer.json", """{"added_tokens": [{"id": 0, "content": "a", "special": true}]}""", "a 0 S")]
    [InlineData("tokenizer.json", """{"added_tokens": [{"id": 1, "content": "b"}]}""", "b 1 S")]
    [InlineData(
        "tokenizer.json",
        """{"added_tokens": [{"id": 0, "content": "a", "special": false, "single_word": true, "lstrip": true, "rstrip": true, "normalized": false}]}""",
        "a 0 WLR"
    )]
    [InlineData(
        "tokenizer.json",
        """{"added_tokens": [{"id": 0, "content": "a", "special": null, "single_word": null, "lstrip": null, "rstrip": null, "normalized": null}]}""",
        "a 0 N"
    )]
    [InlineData(
        "tokenizer.json",
        """{"added_tokens": [{"id": 0, "content": "a", "rstrip": 1}]}""",
        "the added token 'a' has the rstrip 1; it should be true or false"
    )]
    [InlineData("tokenizer.json", """{"added_tokens": [{"id": 7, "content": "c"}, {"id": 8, "content": "c", "lstrip": true}]}""", "c 7 N+")]
    [InlineData("tokenizer.json", """{"added_tokens": [{"id": 0, "content": "c"}]}""", "the added token 'c' has the id 0 of another token")]
    [InlineData(
        "tokenizer.json",
        """{"added_tokens": [{"id": 7, "content": "c"}, {"id": 7, "content": "d"}]}""",
        "the added token 'd' has the id 7 of another token"
    )]
    [InlineData(
        "tokenizer.json",
        """{"added_tokens": [{"id": 5, "content": "a"}]}""",
        "the added token 'a' has the id 5, and the vocabulary has 0 for it"
    )]
    [InlineData("tokenizer_config.json", """{"added_tokens_decoder": {"7": {"content": "c"}}}""", "c 7 N+")]
    [InlineData("tokenizer_config.json", """{"added_tokens_decoder": {"16777216": {"content": "c"}}}""", "c 16777216 N+")]
    [InlineData("tokenizer_config.json", """{"added_tokens_decoder": [1]}""", "")]
    [InlineData("tokenizer_config.json", "{}", "")]
    [InlineData(
        "tokenizer_config.json",
        """{"added_tokens_decoder": {"x": {"content": "c"}}}""",
        "the entry 'x' of added_tokens_decoder should be an id with an object"
    )]
    [InlineData(
        "tokenizer_config.json",
        """{"added_tokens_decoder": {"-1": {"content": "c"}}}""",
        "the entry '-1' of added_tokens_decoder should be"
    )]
    [InlineData("tokenizer_config.json", """{"added_tokens_decoder": {"7": 1}}""", "the entry '7' of added_tokens_decoder should be")]
    [InlineData(
        "tokenizer_config.json",
        """{"added_tokens_decoder": {"16777217": {"content": "c"}}}""",
        "the entry '16777217' of added_tokens_decoder"
    )]
    [InlineData(
        "tokenizer_config.json",
        """{"added_tokens_decoder": {"7": {}}}""",
        "the added token {} should have a 'content' and an 'id' from 0 on"
    )]
    [InlineData("added_tokens.json", """{"c": 7, "b": 1}""", "c 7 N+, b 1 SN")]
    [InlineData("added_tokens.json", """{"c": 16777216}""", "c 16777216 N+")]
    [InlineData("added_tokens.json", """{"c": "7"}""", "token 'c' has the id \"7\"; ids are integers from 0 on")]
    [InlineData("added_tokens.json", """{"c": 0.5}""", "token 'c' has the id 0.5; ids are integers from 0 on")]
    [InlineData("added_tokens.json", """{"c": -1}""", "token 'c' has the id -1; ids are integers from 0 on")]
    [InlineData("added_tokens.json", """{"c": 16777217}""", "token 'c' has the id 16777217; ids are integers from 0 on")]
    public void AddedTokensAreRead(string file, string json, string expected) =>
        Expect(
            file,
            expected,
            () => string.Join(", ", Files((file, json)).ReadAdded(new() { ["a"] = 0, ["b"] = 1 }, new HashSet<string> { "b" }).Select(Show))
        );

    [Fact]
    public void SpecialTokensMayBelongToAnotherVocabulary()
    {
        TokenizerFiles files = Files(
            ("tokenizer.json", """{"added_tokens": [{"id": 7, "content": "c"}, {"id": 0, "content": "d", "special": true}]}""")
        );
        Assert.Equal(["c 7 N+"], files.ReadAdded(new() { ["a"] = 0 }, new HashSet<string>(), withoutSpecial: true).Select(Show));
    }

    [Theory]
    [InlineData("[]", "it holds a JSON Array; it should be an object")]
    [InlineData("{", "it is not complete JSON (")]
    [InlineData("{\"a\": 1, \"a\": 2}", "it is not complete JSON (Duplicate property 'a' encountered during deserialization)")]
    public void FilesAreObjects(string json, string expected)
    {
        Expect("tokenizer_config.json", expected, () => $"{Files(("tokenizer_config.json", json)).ReadObject("tokenizer_config.json")}");
        Expect("tokenizer.json", expected, () => $"{Files(("tokenizer.json", json)).ReadObject("tokenizer.json")}");
    }

    [Fact]
    public void PropertiesAreFoundOrNot()
    {
        JsonElement root = JsonDocument.Parse("""{"a": {"b": "c", "n": 1, "z": null}, "n": 1, "z": null, "t": "u"}""").RootElement;
        Assert.Equal("c", TokenizerFiles.Find(root, "a", "b")?.GetString());
        Assert.Null(TokenizerFiles.Find(null, "a", "b"));
        Assert.Null(TokenizerFiles.Find(root, "x", "b"));
        Assert.Null(TokenizerFiles.Find(root, "n", "b"));
        Assert.Null(TokenizerFiles.Find(root, "a", "x"));
        Assert.Equal("c", TokenizerFiles.Text(root, "a", "b"));
        Assert.Null(TokenizerFiles.Text(root, "a", "n"));
        Assert.Null(TokenizerFiles.Text(root, "a", "x"));
        Assert.Equal("u", TokenizerFiles.Text(root, "t"));
        Assert.Null(TokenizerFiles.Text(root, "n"));
        Assert.Null(TokenizerFiles.Text(root, "x"));
        Assert.Null(TokenizerFiles.Text(null, "t"));
        Assert.Null(TokenizerFiles.Text(root.GetProperty("n"), "t"));
        Assert.Equal(1, TokenizerFiles.Find(root, "n")?.GetInt32());
        Assert.Null(TokenizerFiles.Find(root, "z"));
        Assert.Null(TokenizerFiles.Find(root, "x"));
        Assert.Null(TokenizerFiles.Find(null, "n"));
        Assert.Null(TokenizerFiles.Find(root.GetProperty("n"), "n"));
    }

    [Fact]
    public void AFileThatIsMissingIsNamed()
    {
        FileNotFoundException error = Assert.Throws<FileNotFoundException>(() => Files().ReadVocabulary());
        Assert.Equal(
            Path.Combine("f", "vocab.json") + " is missing; a checkpoint folder should hold it, or a tokenizer.json of the same kind.",
            error.Message
        );
        Assert.Equal(Path.Combine("f", "vocab.json"), error.FileName);
        Assert.Empty(Files().Paths);
        Assert.Equal([Path.Combine("f", "vocab.txt")], Files(("vocab.txt", ""), ("other", "")).Paths);
    }

    private static TokenizerFiles Files(params (string Name, string Content)[] files) =>
        new("f", files.ToDictionary(file => file.Name, file => Encoding.UTF8.GetBytes(file.Content)));

    private static string Show(Dictionary<string, int> vocabulary) =>
        string.Join(", ", vocabulary.Select(entry => string.Create(CultureInfo.InvariantCulture, $"{entry.Key} {entry.Value}")));

    private static string Show(AddedToken token) =>
        $"{token.Content} {token.Id} {(token.IsSpecial ? "S" : "")}{(token.IsSingleWord ? "W" : "")}{(token.StripsLeft ? "L" : "")}"
        + $"{(token.StripsRight ? "R" : "")}{(token.IsNormalized ? "N" : "")}{(token.IsNew ? "+" : "")}";

    // Either what is read, or what is said behind the file's path.
    private static void Expect(string file, string expected, Func<string> read)
    {
        string? said = null,
            found = null;
        try
        {
            found = read();
        }
        catch (InvalidDataException e)
        {
            said = e.Message;
        }

        if (said is null)
        {
            Assert.Equal(expected, found);
        }
        else
        {
            Assert.NotEqual("", expected);
            Assert.StartsWith(Path.Combine("f", file) + ": " + expected, said, StringComparison.Ordinal);
            Assert.EndsWith(".", said, StringComparison.Ordinal);
        }
    }
}
