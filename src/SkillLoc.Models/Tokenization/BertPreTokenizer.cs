using System.Globalization;
using System.Text;
using Microsoft.ML.Tokenizers;

namespace SkillLoc.Models.Tokenization;

/// <summary>Splits cleaned text at white space and around every punctuation character, as BERT does.</summary>
/// <remarks>Our own for the reason that <see cref="BertNormalizer"/> gives.</remarks>
internal sealed class BertPreTokenizer : PreTokenizer
{
    /// <inheritdoc/>
    public override IEnumerable<(int Offset, int Length)> PreTokenize(string text) => Split(text);

    /// <inheritdoc/>
    public override IEnumerable<(int Offset, int Length)> PreTokenize(ReadOnlySpan<char> text) => Split(text);

    internal static List<(int Offset, int Length)> Split(ReadOnlySpan<char> text)
    {
        var words = new List<(int Offset, int Length)>();
        var start = 0;
        for (int i = 0, length; i < text.Length; i += length)
        {
            Rune.DecodeFromUtf16(text[i..], out var rune, out length);
            var punctuation = IsPunctuation(rune);
            if (!punctuation && !Rune.IsWhiteSpace(rune))
                continue;
            if (i > start)
                words.Add((start, i - start));
            if (punctuation)
                words.Add((i, length));
            start = i + length;
        }
        if (text.Length > start)
            words.Add((start, text.Length - start));
        return words;
    }

    // Every ASCII symbol counts, `$` and `+` included, which Unicode calls symbols.
    private static bool IsPunctuation(Rune rune) => rune.IsAscii
        ? rune.Value is > ' ' and < 0x7F && !Rune.IsLetterOrDigit(rune)
        : Rune.GetUnicodeCategory(rune) is >= UnicodeCategory.ConnectorPunctuation and <= UnicodeCategory.OtherPunctuation;
}
