using System.Globalization;
using System.Text;

namespace SkillLoc.Models.Tokenization;

/// <summary>
/// BERT's text cleaning, in this order: control characters are removed and white space becomes a space, CJK ideographs are separated,
/// accents are removed, letters become lower case.
/// </summary>
/// <remarks>
/// Our own since Microsoft.ML.Tokenizers' BertTokenizer gives Hugging Face's ids for 16 of the 25 texts of the tests (18 where
/// globalization is not invariant).
/// </remarks>
internal static class BertNormalizer
{
    /// <summary>Normalizes a text without lone surrogates.</summary>
    public static string Normalize(string text, bool cleans, bool splitsIdeographs, bool stripsAccents, bool lowers)
    {
        if (cleans || splitsIdeographs)
        {
            var letters = new StringBuilder(text.Length + 16);
            foreach (var rune in text.EnumerateRunes())
                Append(letters, rune, cleans, splitsIdeographs);
            text = letters.ToString();
        }
        if (stripsAccents)
            text = WithoutNonSpacingMarks(UnicodeForm.D(text));
        return lowers ? Lower(text) : text;
    }

    /// <summary>Returns a text in lower case, character by character.</summary>
    public static string Lower(string text)
    {
        if (Ascii.IsValid(text))
            return text.ToLowerInvariant();
        var letters = new StringBuilder(text.Length);
        foreach (var rune in text.EnumerateRunes())
        {
            // The one letter whose lower case is two characters.
            if (rune.Value == 'İ')
                letters.Append("i\u0307");
            else
                letters.Append(Rune.ToLowerInvariant(rune));
        }
        return letters.ToString();
    }

    private static void Append(StringBuilder text, Rune rune, bool cleans, bool splitsIdeographs)
    {
        if (cleans && rune.Value is not ('\t' or '\n' or '\r') && (rune.Value == 0 || rune == Rune.ReplacementChar || IsControl(rune)))
            return;
        if (cleans && Rune.IsWhiteSpace(rune))
            text.Append(' ');
        else if (splitsIdeographs && IsIdeograph(rune.Value))
            text.Append(' ').Append(rune).Append(' ');
        else
            text.Append(rune);
    }

    private static string WithoutNonSpacingMarks(string text)
    {
        if (Ascii.IsValid(text))
            return text;
        var letters = new StringBuilder(text.Length);
        foreach (var rune in text.EnumerateRunes())
        {
            if (Rune.GetUnicodeCategory(rune) != UnicodeCategory.NonSpacingMark)
                letters.Append(rune);
        }
        return letters.ToString();
    }

    private static bool IsControl(Rune rune) =>
        Rune.GetUnicodeCategory(rune) is UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.PrivateUse;

    // The last plane-2 range starts where Hugging Face's tokenizers let it start.
    private static bool IsIdeograph(int codePoint) => codePoint is
        (>= 0x4E00 and <= 0x9FFF) or (>= 0x3400 and <= 0x4DBF) or (>= 0xF900 and <= 0xFAFF) or (>= 0x2F800 and <= 0x2FA1F)
        or (>= 0x20000 and <= 0x2A6DF) or (>= 0x2A700 and <= 0x2B73F) or (>= 0x2B740 and <= 0x2B81F) or (>= 0x2B920 and <= 0x2CEAF);
}
