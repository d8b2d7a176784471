using System.Globalization;
using System.Text;
using Microsoft.ML.Tokenizers;

namespace SkillLoc.Models.Tokenization;

/// <summary>
/// Splits text into the words of GPT-2 and RoBERTa:
/// <c>'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+</c> over code points.
/// </summary>
/// <remarks>
/// Our own since .NET's regular expressions see UTF-16 units, so that a letter outside the basic plane would not count as one:
/// <see cref="RobertaPreTokenizer"/>, which is such an expression, cuts <c>a𝒜b</c> into three words.
/// </remarks>
internal static class ByteLevelPreTokenizer
{
    private enum CharacterClass
    {
        Space,
        Letter,
        Number,
        Other,
    }

    /// <summary>Returns the words of a text in order.</summary>
    public static IEnumerable<(int Offset, int Length)> Split(string text)
    {
        for (int start = 0, end; start < text.Length; start = end)
        {
            end = EndOfWord(text, start);
            yield return (start, end - start);
        }
    }

    private static int EndOfWord(ReadOnlySpan<char> text, int start)
    {
        var contraction = LengthOfContraction(text[start..]);
        if (contraction > 0)
            return start + contraction;

        // One ordinary space belongs to the word after it.
        var first = text[start] == ' ' && start + 1 < text.Length ? start + 1 : start;
        var kind = ClassAt(text, first, out _);
        if (kind != CharacterClass.Space)
            return EndOfRun(text, first, kind);

        // White space before a word leaves its last character to that word.
        var end = EndOfRun(text, start, CharacterClass.Space);
        return end < text.Length && end - start > 1 ? end - 1 : end;
    }

    private static int LengthOfContraction(ReadOnlySpan<char> text) => text switch
    {
        ['\'', 's' or 't' or 'm' or 'd', ..] => 2,
        ['\'', 'r', 'e', ..] or ['\'', 'v', 'e', ..] or ['\'', 'l', 'l', ..] => 3,
        _ => 0,
    };

    private static int EndOfRun(ReadOnlySpan<char> text, int start, CharacterClass kind)
    {
        var end = start;
        while (end < text.Length && ClassAt(text, end, out var length) == kind)
            end += length;
        return end;
    }

    private static CharacterClass ClassAt(ReadOnlySpan<char> text, int index, out int length)
    {
        Rune.DecodeFromUtf16(text[index..], out var rune, out length);
        if (Rune.IsWhiteSpace(rune))
            return CharacterClass.Space;
        return Rune.GetUnicodeCategory(rune) switch
        {
            <= UnicodeCategory.OtherLetter => CharacterClass.Letter,
            UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber => CharacterClass.Number,
            _ => CharacterClass.Other,
        };
    }
}
