using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace SkillLoc.Models.Tokenization;

/// <summary>The pattern of a step of <c>tokenizer.json</c>: a text, or an Oniguruma regular expression.</summary>
/// <remarks>
/// The expression is run by .NET. Constructs with a different meaning are translated or refused; since .NET works on UTF-16 units,
/// characters outside the basic plane are replaced by ones of the same category within it.
/// </remarks>
internal sealed class StepPattern
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);
    private static readonly SearchValues<char> SafeEscapes = SearchValues.Create("dDsSnrtfvaeAzZ");
    private static readonly SearchValues<string> Categories = SearchValues.Create(
        [
            "L",
            "Lu",
            "Ll",
            "Lt",
            "Lm",
            "Lo",
            "M",
            "Mn",
            "Mc",
            "Me",
            "N",
            "Nd",
            "Nl",
            "No",
            "P",
            "Pc",
            "Pd",
            "Ps",
            "Pe",
            "Pi",
            "Pf",
            "Po",
            "S",
            "Sm",
            "Sc",
            "Sk",
            "So",
            "Z",
            "Zs",
            "Zl",
            "Zp",
            "C",
            "Cc",
            "Cf",
            "Co",
            "Cn",
        ],
        StringComparison.Ordinal
    );

    // One of each category, in the order of UnicodeCategory; what no expression is likely to name.
    private static readonly char[] Stands =
    [
        '\u2C6F',
        '\u2C66',
        '\u1F88',
        '\u02C0',
        '\uA000',
        '\u1DC0',
        '\u0903',
        '\u0488',
        '\uA620',
        '\u2160',
        '\u2460',
        '\u2003',
        '\u2028',
        '\u2029',
        '\u0081',
        '\u2064',
        '\uE000',
        '\uE000',
        '\u203F',
        '\u2012',
        '\u2045',
        '\u2046',
        '\u2039',
        '\u203A',
        '\u2021',
        '\u2200',
        '\u20A0',
        '\u02C2',
        '\u2603',
        '\u0378',
    ];

    // A symbol that is alphabetic.
    private const char CircledLetter = '\u24B6';

    private readonly string? _literal;
    private readonly Regex? _regex;

    /// <param name="step">The step with the <c>pattern</c>.</param>
    /// <exception cref="InvalidDataException">There is no pattern.</exception>
    /// <exception cref="NotSupportedException">The expression has a construct that .NET does not support or interprets
    /// differently.</exception>
    public StepPattern(SerializedStep step)
    {
        JsonElement? pattern = step.Find("pattern");
        if (TokenizerFiles.Text(pattern, "String") is { Length: > 0 } literal)
        {
            _literal = literal;
        }
        else if (TokenizerFiles.Text(pattern, "Regex") is { Length: > 0 } expression)
        {
            _regex = Compile(expression, step);
        }
        else
        {
            throw step.Lacks("pattern");
        }
    }

    /// <summary>Replaces each match.</summary>
    public string Replace(string text, string content)
    {
        if (_literal is not null)
        {
            return text.Replace(_literal, content, StringComparison.Ordinal);
        }

        var result = new StringBuilder(text.Length);
        foreach ((int start, int end, bool isMatch) in Parts(text))
        {
            result.Append(isMatch ? content : text.AsSpan(start, end - start));
        }

        return result.ToString();
    }

    /// <summary>Returns the parts of a text in order: matches and the parts between them, possibly empty.</summary>
    public IEnumerable<(int Start, int End, bool IsMatch)> Parts(string text)
    {
        int done = 0;
        foreach ((int start, int end) in Matches(text))
        {
            if (start > done)
            {
                yield return (done, start, false);
            }

            yield return (start, end, true);
            done = end;
        }
        if (done < text.Length)
        {
            yield return (done, text.Length, false);
        }
    }

    private IEnumerable<(int Start, int End)> Matches(string text)
    {
        if (_literal is not null)
        {
            for (int at = 0; (at = text.IndexOf(_literal, at, StringComparison.Ordinal)) >= 0; at += _literal.Length)
            {
                yield return (at, at + _literal.Length);
            }

            yield break;
        }

        (string? shown, int[]? places) = Show(text);
        for (Match match = _regex!.Match(shown); match.Success; match = match.NextMatch())
        {
            yield return (Place(match.Index), Place(match.Index + match.Length));
        }

        int Place(int index) => places?[index] ?? index;
    }

    /// <summary>The text for .NET, and the positions of its characters in the original; null if they are the same.</summary>
    private static (string Text, int[]? Places) Show(string text)
    {
        if (!text.AsSpan().ContainsAnyInRange('\uD800', '\uDFFF'))
        {
            return (text, null);
        }

        var shown = new StringBuilder(text.Length);
        var places = new List<int>(text.Length + 1);
        int place = 0;
        foreach (Rune rune in text.EnumerateRunes())
        {
            UnicodeCategory category = Rune.GetUnicodeCategory(rune);
            shown.Append(
                rune.IsBmp ? (char)rune.Value
                : category == UnicodeCategory.OtherSymbol && WordCharacters.Contains(rune) ? CircledLetter
                : Stands[(int)category]
            );
            places.Add(place);
            place += rune.Utf16SequenceLength;
        }
        return (shown.ToString(), [.. places, place]);
    }

    private static Regex Compile(string pattern, SerializedStep step)
    {
        try
        {
            // Oniguruma's ^ and $ are those of lines.
            return new Regex(Translate(pattern), RegexOptions.CultureInvariant | RegexOptions.Multiline, Patience);
        }
        catch (Exception e) when (e is ArgumentException or NotSupportedException)
        {
            throw new NotSupportedException(
                $"{step.Source}: the expression '{pattern}' of a step of type '{step.Type}' is not supported: {e.Message}",
                e
            );
        }
    }

    /// <exception cref="NotSupportedException">A construct is not supported by .NET or has a different meaning.</exception>
    private static string Translate(string pattern)
    {
        // Word characters: .NET's are fewer. (Of other numbers, Oniguruma takes Latin-1's.)
        const string Word = @"\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\u24B6-\u24E9\u00B2\u00B3\u00B9\u00BC-\u00BE";
        var result = new StringBuilder(pattern.Length);
        bool inClass = false;
        for (int i = 0; i < pattern.Length; i++)
        {
            char letter = pattern[i];
            ReadOnlySpan<char> rest = pattern.AsSpan(i);
            if (char.IsSurrogate(letter))
            {
                throw Unknown("a character outside the basic plane");
            }

            if (letter == '\\')
            {
                char next = rest.Length > 1 ? rest[1] : throw Unknown("\\");
                if (next is 'w' or 'W' && !(inClass && next == 'W'))
                {
                    result.Append(
                        inClass ? Word
                        : next == 'w' ? $"[{Word}]"
                        : $"[^{Word}]"
                    );
                }
                else if (
                    next is 'p' or 'P'
                    && rest.Length > 3
                    && rest[2] == '{'
                    && rest.IndexOf('}') is > 3 and var end
                    && Categories.Contains(rest[3..end].ToString())
                )
                {
                    result.Append(rest[..2]);
                }
                else if (
                    SafeEscapes.Contains(next)
                    || !char.IsAsciiLetterOrDigit(next)
                    || (next == 'x' && rest.Length > 3 && char.IsAsciiHexDigit(rest[2]) && char.IsAsciiHexDigit(rest[3]))
                    || (next == 'u' && rest.Length > 5)
                )
                {
                    result.Append(rest[..2]);
                }
                else
                {
                    throw Unknown($"\\{next}");
                }

                i++;
                continue;
            }
            if (inClass && (letter == '[' || rest.StartsWith("&&", StringComparison.Ordinal)))
            {
                throw Unknown("a class within a class");
            }

            if (
                !inClass
                && rest.StartsWith("(?", StringComparison.Ordinal)
                && !(
                    rest.Length > 2
                    && (
                        rest[2] is ':' or '=' or '!' or '>'
                        || rest.StartsWith("(?<=", StringComparison.Ordinal)
                        || rest.StartsWith("(?<!", StringComparison.Ordinal)
                        || rest.StartsWith("(?i:", StringComparison.Ordinal)
                        || rest.StartsWith("(?i)", StringComparison.Ordinal)
                    )
                )
            )
            {
                throw Unknown("a group of that kind");
            }

            if (!inClass && letter == '[')
            {
                inClass = true;
                result.Append(letter);
                // What follows an opening bracket at once belongs to the class.
                if (rest.Length > 1 && rest[1] == '^')
                {
                    result.Append(pattern[++i]);
                }

                if (i + 1 < pattern.Length && pattern[i + 1] == ']')
                {
                    result.Append('\\').Append(pattern[++i]);
                }

                continue;
            }
            inClass &= letter != ']';
            result.Append(letter);
        }
        return result.ToString();

        static NotSupportedException Unknown(string what) => new($"it has {what}.");
    }
}
