using System.Buffers;
using System.Diagnostics;
using System.Text.Json;
using Microsoft.ML.Tokenizers;

namespace Standins.Tokenizers.Tests;

// Against the public API alone, so that they run on the package too.
public class BpeTokenizerTests
{
    private static readonly string[] Merges = ["h e", "l l", "he ll", "hell o", "Ġ w", "o r", "Ġw or", "x x", "xx xx", "Ã ©"];

    [Fact]
    public void Ids_equal_those_of_Hugging_Face()
    {
        var folder = Oracles.PathOf("tiny-roberta");
        var tokenizer = BpeTokenizer.Create(new BpeOptions(Path.Combine(folder, "vocab.json"), Path.Combine(folder, "merges.txt"))
        {
            ByteLevel = true,
            PreTokenizer = RobertaPreTokenizer.Instance,
        });
        using var document = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder, "tokenization.json")).AsMemory());
        foreach (var entry in document.RootElement.EnumerateArray())
        {
            var text = entry.GetProperty("text").GetString()!;
            if (text.Contains("<mask>", StringComparison.Ordinal))
                continue;
            Assert.Equal(entry.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32()), tokenizer.EncodeToIds(text));
            Assert.Equal(text, tokenizer.Decode(tokenizer.EncodeToIds(text)));
        }
    }

    [Fact]
    public void Tokens_have_spelling_and_place()
    {
        var tokens = Tokenizer().EncodeToTokens("hello world", out _);
        Assert.Equal(["hello", "Ġwor", "l", "d"], tokens.Select(token => token.Value));
        Assert.Equal([0..5, 5..9, 9..10, 10..11], tokens.Select(token => token.Offset));
        Assert.Equal(Tokenizer().EncodeToIds("hello world"), tokens.Select(token => token.Id));
        Assert.Equal(4, Tokenizer().CountTokens("hello world"));
    }

    [Fact]
    public void Merges_of_one_rank_go_from_left_to_right()
    {
        var tokenizer = Tokenizer();
        Assert.Equal(["xxxx", "xx", "x"], tokenizer.EncodeToTokens("xxxxxxx", out _).Select(token => token.Value));
        Assert.Equal(["Ã©", "Ã", "¨"], tokenizer.EncodeToTokens("éè", out _).Select(token => token.Value));
    }

    [Fact]
    public void Without_a_pre_tokenizer_words_and_the_rest_are_apart_and_spaces_go() =>
        Assert.Equal(["he", "hell", "o"], BpeTokenizer.Create(Options(null)).EncodeToTokens("he  hell o", out _).Select(token => token.Value));

    [Fact]
    public void A_word_of_a_hundred_thousand_characters_is_quick()
    {
        var tokenizer = Tokenizer();
        var watch = Stopwatch.StartNew();
        Assert.Equal(25_000, tokenizer.EncodeToIds(new string('x', 100_000)).Count);
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(5), $"{watch.Elapsed}");
    }

    [Fact]
    public void Decoding_stops_where_the_destination_ends()
    {
        var tokenizer = Tokenizer();
        var ids = tokenizer.EncodeToIds("hello world");
        Span<char> buffer = stackalloc char[9];
        Assert.Equal(OperationStatus.DestinationTooSmall, tokenizer.Decode(ids, buffer, out var consumed, out var written));
        Assert.Equal((2, "hello wor"), (consumed, buffer[..written].ToString()));
        Assert.Equal(OperationStatus.Done, tokenizer.Decode(ids, new char[11], out consumed, out written));
        Assert.Equal((4, 11), (consumed, written));
    }

    [Fact]
    public void Merges_need_their_tokens()
    {
        var vocabulary = new Dictionary<string, int> { ["a"] = 0, ["b"] = 1 };
        foreach (var merge in new[] { "a b", "a c", "a", "a b a" })
            Assert.Throws<InvalidOperationException>(() => BpeTokenizer.Create(new BpeOptions(vocabulary) { Merges = [merge], ByteLevel = true }));
        Assert.Throws<InvalidOperationException>(() => BpeTokenizer.Create(new BpeOptions(new Dictionary<string, int>()) { ByteLevel = true }));
        Assert.Throws<ArgumentNullException>(() => BpeTokenizer.Create(null!));
    }

    [Fact]
    public void Bytes_outside_the_vocabulary_are_left_out_or_unknown()
    {
        var vocabulary = new Dictionary<string, int> { ["a"] = 0, ["b"] = 1, ["?"] = 2 };
        var options = new BpeOptions(vocabulary) { ByteLevel = true, PreTokenizer = RobertaPreTokenizer.Instance };
        Assert.Equal([0, 1], BpeTokenizer.Create(options).EncodeToIds("acb"));
        options.UnknownToken = "?";
        Assert.Equal([0, 2, 1], BpeTokenizer.Create(options).EncodeToIds("acb"));
    }

    [Theory]
    [InlineData("a b  c", "a| b| | c")]
    [InlineData("it's 12a!?", "it|'s| 12|a|!?")]
    [InlineData("x \n", "x| \n")]
    [InlineData("é１½", "é|１½")]
    public void Roberta_words(string text, string words) => Assert.Equal(
        words, string.Join('|', RobertaPreTokenizer.Instance.PreTokenize(text).Select(word => text.Substring(word.Offset, word.Length))));

    private static BpeTokenizer Tokenizer() => BpeTokenizer.Create(Options(RobertaPreTokenizer.Instance));

    private static BpeOptions Options(PreTokenizer? preTokenizer)
    {
        var shown = Enumerable.Range('!', '~' - '!' + 1).Concat(Enumerable.Range(0xA1, 12)).Concat(Enumerable.Range(0xAE, 82)).ToArray();
        var tokens = shown.Concat(Enumerable.Range(0x100, 256 - shown.Length)).Select(c => ((char)c).ToString())
            .Concat(Merges.Select(merge => merge.Replace(" ", "", StringComparison.Ordinal)));
        return new BpeOptions(tokens.Select((token, id) => KeyValuePair.Create(token, id)).ToArray())
        {
            Merges = Merges,
            ByteLevel = true,
            PreTokenizer = preTokenizer,
        };
    }
}
