using System.Globalization;
using System.Text;

namespace SkillLoc.Models.Tokenization;

/// <summary>Word characters (<c>\w</c>) by Unicode's annex 18, as in Hugging Face's tokenizers; .NET's are fewer.</summary>
internal static class WordCharacters
{
    /// <summary>Whether a character is a word character: alphabetic, a mark, a decimal digit, a connector, or a joiner.</summary>
    public static bool Contains(Rune rune) =>
        Rune.GetUnicodeCategory(rune) is <= UnicodeCategory.LetterNumber or UnicodeCategory.ConnectorPunctuation
        // Joiners; circled and squared letters, which are symbols and yet alphabetic.
        || rune.Value is 0x200C or 0x200D or (>= 0x24B6 and <= 0x24E9) or (>= 0x1F130 and <= 0x1F149) or (>= 0x1F150 and <= 0x1F169) or (>= 0x1F170 and <= 0x1F189);
}
