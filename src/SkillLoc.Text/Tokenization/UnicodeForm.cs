using System.Collections.Frozen;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace SkillLoc.Models.Tokenization;

/// <summary>Unicode normalization forms of version 11, as in Hugging Face's tokenizers.</summary>
/// <remarks>The tables are our own since <see cref="string.Normalize()"/> does nothing when globalization is invariant.</remarks>
internal static class UnicodeForm
{
    private const int FirstSyllable = 0xAC00,
        Syllables = 11172;
    private const int FirstLead = 0x1100,
        Leads = 19;
    private const int FirstVowel = 0x1161,
        Vowels = 21;
    private const int FirstTrail = 0x11A7,
        Trails = 28;

    private static readonly FrozenDictionary<int, int[]> Canonical;
    private static readonly FrozenDictionary<int, int[]> Compatible;
    private static readonly FrozenDictionary<(int First, int Second), int> Compositions;
    private static readonly FrozenDictionary<int, int> Classes;

    static UnicodeForm()
    {
        var canonical = new Dictionary<int, int[]>();
        var compatible = new Dictionary<int, int[]>();
        var compositions = new Dictionary<(int, int), int>();
        var classes = new Dictionary<int, int>();
        using Stream stream = typeof(UnicodeForm).Assembly.GetManifestResourceStream(typeof(UnicodeForm), "UnicodeForm.txt")!;
        using var reader = new StreamReader(stream);
        while (reader.ReadLine() is { } line)
        {
            if (line[0] == '#')
            {
                continue;
            }

            int colon = line.IndexOf(':', StringComparison.Ordinal);
            (string? left, string? right) = (line[2..colon], line[(colon + 2)..]);
            if (line[0] is '=' or '~')
            {
                int[] letters = [.. CodePoints(left)];
                foreach (int codePoint in CodePoints(right))
                {
                    (line[0] == '=' ? canonical : compatible).Add(codePoint, letters);
                }
            }
            else if (line[0] == '+')
            {
                foreach (int[] pair in CodePoints(right).Chunk(2))
                {
                    compositions.Add((pair[0], Number(left)), pair[1]);
                }
            }
            else
            {
                foreach (int codePoint in CodePoints(right))
                {
                    classes.Add(codePoint, int.Parse(left, CultureInfo.InvariantCulture));
                }
            }
        }
        Canonical = canonical.ToFrozenDictionary();
        Compatible = compatible.ToFrozenDictionary();
        Compositions = compositions.ToFrozenDictionary();
        Classes = classes.ToFrozenDictionary();

        // "0041" or "0041-0043".
        static IEnumerable<int> CodePoints(string list) =>
            list.Split(' ')
                .SelectMany(entry =>
                    entry.Split('-') is [var first, var last]
                        ? Enumerable.Range(Number(first), Number(last) - Number(first) + 1)
                        : [Number(entry)]
                );

        static int Number(string hex) => int.Parse(hex, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
    }

    /// <summary>Returns form C of a text without lone surrogates: canonical decomposition, then composition.</summary>
    public static string C(string text) => Of(text, compatible: false, composed: true);

    /// <summary>Returns form D of a text without lone surrogates: canonical decomposition.</summary>
    public static string D(string text) => Of(text, compatible: false, composed: false);

    /// <summary>Returns form KC of a text without lone surrogates: compatibility decomposition, then composition.</summary>
    public static string KC(string text) => Of(text, compatible: true, composed: true);

    /// <summary>Returns form KD of a text without lone surrogates: compatibility decomposition.</summary>
    public static string KD(string text) => Of(text, compatible: true, composed: false);

    private static string Of(string text, bool compatible, bool composed)
    {
        if (Ascii.IsValid(text))
        {
            return text;
        }

        List<int> letters = Decompose(text, compatible);
        Order(letters);
        return composed ? Compose(CollectionsMarshal.AsSpan(letters)) : Text(CollectionsMarshal.AsSpan(letters));
    }

    private static List<int> Decompose(string text, bool compatible)
    {
        var letters = new List<int>(text.Length + 8);
        foreach (Rune rune in text.EnumerateRunes())
        {
            int syllable = rune.Value - FirstSyllable;
            if (syllable is >= 0 and < Syllables)
            {
                letters.Add(FirstLead + (syllable / (Vowels * Trails)));
                letters.Add(FirstVowel + (syllable / Trails % Vowels));
                if (syllable % Trails != 0)
                {
                    letters.Add(FirstTrail + (syllable % Trails));
                }
            }
            else if ((compatible && Compatible.TryGetValue(rune.Value, out int[]? parts)) || Canonical.TryGetValue(rune.Value, out parts))
            {
                letters.AddRange(parts);
            }
            else
            {
                letters.Add(rune.Value);
            }
        }
        return letters;
    }

    /// <summary>Sorts each run of marks by class; the sort is stable.</summary>
    private static void Order(List<int> letters)
    {
        for (int i = 1; i < letters.Count; i++)
        {
            int mark = letters[i];
            int order = ClassOf(mark);
            if (order == 0)
            {
                continue;
            }

            int at = i;
            for (; at > 0 && ClassOf(letters[at - 1]) > order; at--)
            {
                letters[at] = letters[at - 1];
            }

            letters[at] = mark;
        }
    }

    private static string Compose(Span<int> letters)
    {
        int kept = 0;
        int starter = -1;
        int last = 0;
        foreach (int letter in letters)
        {
            int order = ClassOf(letter);

            // A mark of the same or a higher class between a starter and a letter blocks it; so does any starter.
            if (starter >= 0 && (starter == kept - 1 || (last < order && last != 0)) && Pair(letters[starter], letter) is { } composed)
            {
                letters[starter] = composed;
                continue;
            }
            if (order == 0)
            {
                starter = kept;
            }

            last = order;
            letters[kept++] = letter;
        }

        return Text(letters[..kept]);
    }

    private static string Text(ReadOnlySpan<int> letters)
    {
        var text = new StringBuilder(letters.Length);
        foreach (int letter in letters)
        {
            text.Append(new Rune(letter));
        }

        return text.ToString();
    }

    private static int? Pair(int first, int second)
    {
        if (first - FirstLead is >= 0 and < Leads && second - FirstVowel is >= 0 and < Vowels)
        {
            return FirstSyllable + ((((first - FirstLead) * Vowels) + second - FirstVowel) * Trails);
        }

        if (
            first - FirstSyllable is >= 0 and < Syllables
            && (first - FirstSyllable) % Trails == 0
            && second - FirstTrail is > 0 and < Trails
        )
        {
            return first + second - FirstTrail;
        }

        return Compositions.TryGetValue((first, second), out int composed) ? composed : null;
    }

    private static int ClassOf(int letter) => Classes.GetValueOrDefault(letter);
}
