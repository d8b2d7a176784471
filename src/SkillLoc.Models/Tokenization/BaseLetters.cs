using System.Collections.Frozen;
using System.Globalization;
using System.Text;

namespace SkillLoc.Models.Tokenization;

/// <summary>
/// Characters without their accents: canonical decomposition (NFD), then removal of the non-spacing marks.
/// </summary>
/// <remarks>The table is our own since <see cref="string.Normalize()"/> does nothing when globalization is invariant.</remarks>
internal static class BaseLetters
{
    private const int FirstSyllable = 0xAC00;
    private const int LastSyllable = 0xD7A3;
    private const int Vowels = 21;
    private const int Trails = 28;

    private static readonly FrozenDictionary<int, string> Table = Load();

    /// <summary>Appends what is left of a character.</summary>
    public static void Append(StringBuilder text, Rune rune)
    {
        if (rune.IsAscii)
            text.Append((char)rune.Value);
        else if (rune.Value is >= FirstSyllable and <= LastSyllable)
            AppendJamo(text, rune.Value - FirstSyllable);
        else if (Table.TryGetValue(rune.Value, out var letters))
            text.Append(letters);
        else if (Rune.GetUnicodeCategory(rune) != UnicodeCategory.NonSpacingMark)
            text.Append(rune);
    }

    private static void AppendJamo(StringBuilder text, int syllable)
    {
        text.Append((char)(0x1100 + (syllable / (Vowels * Trails)))).Append((char)(0x1161 + (syllable / Trails % Vowels)));
        if (syllable % Trails != 0)
            text.Append((char)(0x11A7 + (syllable % Trails)));
    }

    private static FrozenDictionary<int, string> Load()
    {
        var table = new Dictionary<int, string>();
        using var stream = typeof(BaseLetters).Assembly.GetManifestResourceStream(typeof(BaseLetters), "BaseLetters.txt")!;
        using var reader = new StreamReader(stream);
        while (reader.ReadLine() is { } line)
        {
            if (line.StartsWith('#'))
                continue;
            var sides = line.Split(':');
            var letters = string.Concat(CodePoints(sides[0]).Select(char.ConvertFromUtf32));
            foreach (var codePoint in CodePoints(sides[1]))
                table.Add(codePoint, letters);
        }
        return table.ToFrozenDictionary();

        static IEnumerable<int> CodePoints(string list) =>
            list.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(hex => int.Parse(hex, NumberStyles.HexNumber, CultureInfo.InvariantCulture));
    }
}
