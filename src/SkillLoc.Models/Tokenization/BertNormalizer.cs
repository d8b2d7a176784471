using System.Globalization;
using System.Text;
using Microsoft.ML.Tokenizers;

namespace SkillLoc.Models.Tokenization;

/// <summary>
/// BERT's text cleaning, in this order: control characters go and white space becomes a space, CJK ideographs are set apart,
/// accents are taken off, letters become lower case.
/// </summary>
/// <remarks>
/// Our own, with <see cref="BertPreTokenizer"/>, since the library's <see cref="BertTokenizer"/> gives Hugging Face's ids for 16 of the 25
/// texts of the tests (18 where globalization is not invariant).
/// </remarks>
internal sealed class BertNormalizer(bool lowerCase, bool stripAccents, bool splitIdeographs) : Normalizer
{
    /// <summary>Words of more code points than this are one unknown token.</summary>
    public const int LongestWord = 100;

    // Cleaning removes it from every text, so no vocabulary knows it.
    private const char UnknownWord = '\0';

    /// <inheritdoc/>
    public override string Normalize(string original) => Normalize(original.AsSpan());

    /// <inheritdoc/>
    public override string Normalize(ReadOnlySpan<char> original)
    {
        var letters = new StringBuilder(original.Length + 16);
        foreach (var rune in original.EnumerateRunes())
            Append(letters, rune);
        return ShortenWords(lowerCase ? ToLower(letters) : letters.ToString());
    }

    private void Append(StringBuilder text, Rune rune)
    {
        if (rune.Value is '\t' or '\n' or '\r')
            text.Append(' ');
        else if (rune == Rune.ReplacementChar || IsControl(rune))
            return;
        else if (Rune.IsWhiteSpace(rune))
            text.Append(' ');
        else if (splitIdeographs && IsIdeograph(rune.Value))
            AppendLetter(text.Append(' '), rune).Append(' ');
        else
            AppendLetter(text, rune);
    }

    private StringBuilder AppendLetter(StringBuilder text, Rune rune)
    {
        if (stripAccents)
            BaseLetters.Append(text, rune);
        else
            text.Append(rune);
        return text;
    }

    private static string ToLower(StringBuilder letters)
    {
        var text = new StringBuilder(letters.Length);
        foreach (var rune in letters.ToString().EnumerateRunes())
        {
            // The one letter whose lower case is two characters.
            if (rune.Value == 'İ')
                text.Append("i\u0307");
            else
                text.Append(Rune.ToLowerInvariant(rune));
        }
        return text.ToString();
    }

    private static string ShortenWords(string text)
    {
        StringBuilder? shortened = null;
        var kept = 0;
        foreach (var (offset, length) in BertPreTokenizer.Split(text))
        {
            if (length <= LongestWord || CodePoints(text.AsSpan(offset, length)) <= LongestWord)
                continue;
            shortened ??= new StringBuilder();
            shortened.Append(text, kept, offset - kept).Append(UnknownWord);
            kept = offset + length;
        }
        return shortened is null ? text : shortened.Append(text, kept, text.Length - kept).ToString();
    }

    private static int CodePoints(ReadOnlySpan<char> word)
    {
        var count = 0;
        foreach (var _ in word.EnumerateRunes())
            count++;
        return count;
    }

    private static bool IsControl(Rune rune) =>
        Rune.GetUnicodeCategory(rune) is UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.PrivateUse;

    // The last plane-2 range starts where Hugging Face's tokenizers let it start.
    private static bool IsIdeograph(int codePoint) => codePoint is
        (>= 0x4E00 and <= 0x9FFF) or (>= 0x3400 and <= 0x4DBF) or (>= 0xF900 and <= 0xFAFF) or (>= 0x2F800 and <= 0x2FA1F)
        or (>= 0x20000 and <= 0x2A6DF) or (>= 0x2A700 and <= 0x2B73F) or (>= 0x2B740 and <= 0x2B81F) or (>= 0x2B920 and <= 0x2CEAF);
}
