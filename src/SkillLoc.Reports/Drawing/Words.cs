using System.Globalization;
using System.Text;

namespace SkillLoc.Reports.Drawing;

/// <summary>Texts and numbers as a report writes them.</summary>
internal static class Words
{
    /// <summary>A text without what neither XML nor a picture can hold: control characters become spaces, halves of surrogate pairs
    /// question marks, and what turns the direction of writing goes.</summary>
    public static string Clean(string text)
    {
        var clean = new StringBuilder(text.Length);
        foreach (Rune rune in text.EnumerateRunes())
        {
            if (rune.Value is (>= 0x202A and <= 0x202E) or (>= 0x2066 and <= 0x2069))
            {
                continue;
            }

            clean.Append(
                Rune.IsControl(rune) || rune.Value is 0x2028 or 0x2029 ? " "
                : rune.Value is 0xFFFE or 0xFFFF or 0xFFFD ? "?"
                : rune.ToString()
            );
        }

        return clean.ToString();
    }

    /// <summary>A clean text of at most so many characters; a longer one ends in an ellipsis.</summary>
    public static string Short(string text, int length)
    {
        string clean = Clean(text).Trim();
        if (clean.Length == 0)
        {
            return "(empty)";
        }

        if (clean.Length <= length)
        {
            return clean;
        }

        int end = char.IsHighSurrogate(clean[length - 2]) ? length - 2 : length - 1;
        return clean[..end].TrimEnd() + "…";
    }

    /// <summary>A number with up to four significant digits.</summary>
    public static string Number(double value) =>
        double.IsNaN(value) ? "no number"
        : double.IsInfinity(value) ? (value > 0 ? "infinity" : "minus infinity")
        : value == Math.Floor(value) && Math.Abs(value) < 1e9 ? value.ToString("#,0", CultureInfo.InvariantCulture)
        : value.ToString("G4", CultureInfo.InvariantCulture);

    /// <summary>A share as per cent.</summary>
    public static string Percent(double value) =>
        double.IsFinite(value) ? (100 * value).ToString("0.0#", CultureInfo.InvariantCulture) + " %" : Number(value);

    /// <summary>A number of things, such as "1,024 rows".</summary>
    public static string Count(long count, string singular, string? plural = null) =>
        count.ToString("#,0", CultureInfo.InvariantCulture) + " " + (count == 1 ? singular : plural ?? singular + "s");

    /// <summary>A file's name of a title: small letters, digits and hyphens.</summary>
    public static string Slug(string title)
    {
        var slug = new StringBuilder();
        foreach (char letter in title)
        {
            if (char.IsAsciiLetterOrDigit(letter))
            {
                slug.Append(char.ToLowerInvariant(letter));
            }
            else if (slug.Length > 0 && slug[^1] != '-')
            {
                slug.Append('-');
            }

            if (slug.Length == 48)
            {
                break;
            }
        }

        return slug.ToString().Trim('-') is { Length: > 0 } name ? name : "picture";
    }

    /// <summary>Lines of at most so many characters.</summary>
    public static IEnumerable<string> Wrap(string text, int width)
    {
        var line = new StringBuilder();
        foreach (
            string word in text.Split(' ', StringSplitOptions.RemoveEmptyEntries)
                .SelectMany(word => word.Chunk(width).Select(part => new string(part)))
        )
        {
            if (line.Length > 0 && line.Length + 1 + word.Length > width)
            {
                yield return line.ToString();
                line.Clear();
            }

            line.Append(line.Length > 0 ? " " : "").Append(word);
        }

        if (line.Length > 0)
        {
            yield return line.ToString();
        }
    }
}
