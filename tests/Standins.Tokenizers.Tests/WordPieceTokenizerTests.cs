using System.Buffers;
using System.Text;
using Microsoft.ML.Tokenizers;

namespace Standins.Tokenizers.Tests;

// Against the public API alone, so that they run on the package too.
public class WordPieceTokenizerTests
{
    private const string Vocabulary = "[UNK]\nun\n##want\n##ed\nwant\n\n##w\na\n.";

    [Fact]
    public void The_longest_piece_is_taken_first()
    {
        var tokenizer = Create();
        var tokens = tokenizer.EncodeToTokens("unwanted want", out var normalized);
        Assert.Null(normalized);
        Assert.Equal(["un", "##want", "##ed", "want"], tokens.Select(token => token.Value));
        Assert.Equal([0..2, 2..6, 6..8, 9..13], tokens.Select(token => token.Offset));
        Assert.Equal([1, 2, 3, 4], tokenizer.EncodeToIds("unwanted want"));
        Assert.Equal(4, tokenizer.CountTokens("unwanted want"));
    }

    [Fact]
    public void Ids_are_line_numbers_and_empty_lines_count() => Assert.Equal([7], Create().EncodeToIds("a"));

    [Fact]
    public void A_word_with_an_unknown_part_is_unknown_as_a_whole()
    {
        var token = Assert.Single(Create().EncodeToTokens("unwantedly", out _));
        Assert.Equal((0, "[UNK]", 0..10), (token.Id, token.Value, token.Offset));
    }

    [Fact]
    public void A_word_longer_than_the_limit_is_unknown()
    {
        var tokenizer = Create(new WordPieceOptions { MaxInputCharsPerWord = 4 });
        Assert.Equal([4, 0], tokenizer.EncodeToIds("want unwant"));
    }

    [Fact]
    public void Text_is_normalized_and_split_as_the_options_say()
    {
        var tokenizer = Create(new WordPieceOptions { Normalizer = new Lower(), PreTokenizer = new Halves() });
        Assert.Equal(["a", "a"], tokenizer.EncodeToTokens("AA", out var normalized).Select(token => token.Value));
        Assert.Equal("aa", normalized);
        Assert.Equal([0, 0], tokenizer.EncodeToIds("AA", considerNormalization: false));
        Assert.Equal([0], tokenizer.EncodeToIds("AA", considerPreTokenization: false));
    }

    [Fact]
    public void Pieces_are_joined_to_words()
    {
        var tokenizer = Create();
        Assert.Equal("unwanted want a.", tokenizer.Decode([1, 2, 3, 4, 7, 8]));
        Span<char> buffer = stackalloc char[8];
        Assert.Equal(OperationStatus.DestinationTooSmall, tokenizer.Decode([1, 2, 3, 4], buffer, out var consumed, out var written));
        Assert.Equal((3, "unwanted"), (consumed, buffer[..written].ToString()));
    }

    [Fact]
    public void The_unknown_token_must_be_in_the_vocabulary() =>
        Assert.Throws<ArgumentException>(() => Create(new WordPieceOptions { UnknownToken = "<unk>" }));

    private static WordPieceTokenizer Create(WordPieceOptions? options = null) =>
        WordPieceTokenizer.Create(new MemoryStream(Encoding.UTF8.GetBytes(Vocabulary)), options);

    private sealed class Lower : Normalizer
    {
        public override string Normalize(string original) => original.ToLowerInvariant();

        public override string Normalize(ReadOnlySpan<char> original) => Normalize(original.ToString());
    }

    private sealed class Halves : PreTokenizer
    {
        public override IEnumerable<(int Offset, int Length)> PreTokenize(string text) => [(0, text.Length / 2), (text.Length / 2, text.Length - (text.Length / 2))];

        public override IEnumerable<(int Offset, int Length)> PreTokenize(ReadOnlySpan<char> text) => PreTokenize(text.ToString());
    }
}
