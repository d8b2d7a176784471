using System.Text.RegularExpressions;

namespace Microsoft.ML.Tokenizers;

internal static partial class WordPatterns
{
    public static readonly PreTokenizer WhiteSpace = new Splitter(NoWhiteSpace());

    public static readonly PreTokenizer WordOrNonWord = new Splitter(WordsOrNonWords());

    public static IEnumerable<(int Offset, int Length)> Split(Regex words, ReadOnlySpan<char> text)
    {
        var list = new List<(int Offset, int Length)>();
        foreach (var match in words.EnumerateMatches(text))
            list.Add((match.Index, match.Length));
        return list;
    }

    [GeneratedRegex(@"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")]
    public static partial Regex Roberta();

    [GeneratedRegex(@"\S+")]
    private static partial Regex NoWhiteSpace();

    [GeneratedRegex(@"\w+|[^\w\s]+")]
    private static partial Regex WordsOrNonWords();

    private sealed class Splitter(Regex words) : PreTokenizer
    {
        public override IEnumerable<(int Offset, int Length)> PreTokenize(string text) => Split(words, text);

        public override IEnumerable<(int Offset, int Length)> PreTokenize(ReadOnlySpan<char> text) => Split(words, text);
    }
}
