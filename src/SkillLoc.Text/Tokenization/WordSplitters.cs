using System.Globalization;
using System.Text;
using Microsoft.ML.Tokenizers;

namespace SkillLoc.Models.Tokenization;

/// <summary>The pre-tokenizers of <c>tokenizer.json</c>, which split a normalized text into words.</summary>
internal static class WordSplitters
{
    /// <summary>A part of a text.</summary>
    /// <param name="Text">Its letters.</param>
    /// <param name="First">The number of letters that come from the first character of the whole text.</param>
    internal readonly record struct Word(string Text, int First);

    /// <summary>Splits a part of a text; the result may include empty parts.</summary>
    internal delegate IEnumerable<Word> Splitter(Word word);

    /// <summary>Returns the function of a step.</summary>
    /// <exception cref="InvalidDataException">The step lacks a setting.</exception>
    /// <exception cref="NotSupportedException">The step or one of its settings is not supported.</exception>
    public static Splitter Of(SerializedStep step)
    {
        switch (step.Type)
        {
            case "BertPreTokenizer":
                step.Only();
                return Bert;
            case "Whitespace":
                step.Only();
                return word => Ranges(word, WordsAndOthers(word.Text));
            case "WhitespaceSplit":
                step.Only();
                return word => Ranges(word, Behave(Parts(word.Text, Rune.IsWhiteSpace), "Removed"));
            case "Punctuation":
                step.Only("behavior");
                string punctuation = Behavior(step, "Isolated");
                return word => Ranges(word, Behave(Parts(word.Text, IsPunctuation), punctuation));
            case "Digits":
                step.Only("individual_digits");
                string digits = step.Flag("individual_digits", false) ? "Isolated" : "Contiguous";
                return word => Ranges(word, Behave(Parts(word.Text, Rune.IsNumber), digits));
            case "CharDelimiterSplit":
                step.Only("delimiter");
                var delimiter = new Rune(step.Letter("delimiter"));
                return word => Ranges(word, Behave(Parts(word.Text, letter => letter == delimiter), "Removed"));
            case "Split":
                step.Only("pattern", "behavior", "invert");
                (StepPattern? pattern, string? behavior, bool inverts) = (
                    new StepPattern(step),
                    Behavior(step, null),
                    step.Flag("invert", false)
                );
                return word =>
                    Ranges(
                        word,
                        Behave(pattern.Parts(word.Text).Select(part => (part.Start, part.End, part.IsMatch != inverts)), behavior)
                    );
            case "ByteLevel":
                step.Only("add_prefix_space", "trim_offsets", "use_regex");
                return ByteLevel(step.Flag("add_prefix_space", true), step.Flag("use_regex", true));
            case "Metaspace":
                return Metaspace(step);
            case var other:
                throw new NotSupportedException(
                    $"{step.Source} has a pre-tokenizer of type '{other}'; supported are BertPreTokenizer, ByteLevel, "
                        + "CharDelimiterSplit, Digits, Metaspace, "
                        + "Punctuation, Split, Whitespace, WhitespaceSplit and sequences of them."
                );
        }
    }

    /// <summary>BERT's pre-tokenizer: splits at white space, which is removed, and around punctuation.</summary>
    public static IEnumerable<Word> Bert(Word word) => Ranges(word, Words(word.Text));

    /// <summary>GPT-2's pre-tokenizer: optionally splits as <see cref="ByteLevelPreTokenizer"/> does. The model converts to
    /// bytes.</summary>
    public static Splitter ByteLevel(bool addsPrefixSpace, bool splits) =>
        word =>
        {
            if (addsPrefixSpace && !word.Text.StartsWith(' '))
            {
                word = new(" " + word.Text, word.First + 1);
            }

            return splits
                ? Ranges(word, ByteLevelPreTokenizer.Split(word.Text).Select(part => (part.Offset, part.Offset + part.Length)))
                : [word];
        };

    private static Splitter Metaspace(SerializedStep step)
    {
        step.Only("replacement", "prepend_scheme", "split", "add_prefix_space", "str_rep");
        char space = step.Letter("replacement");
        string scheme = step.Text("prepend_scheme") ?? (step.Flag("add_prefix_space", true) ? "always" : "never");
        if (scheme is not ("always" or "first" or "never"))
        {
            throw step.Lacks("prepend_scheme");
        }

        bool splits = step.Flag("split", true);
        return word =>
        {
            string text = word.Text.Replace(' ', space);
            if ((scheme == "always" || (scheme == "first" && word.First > 0)) && !text.StartsWith(space))
            {
                text = space + text;
            }

            word = new(text, word.First + text.Length - word.Text.Length);
            return splits ? Ranges(word, Before(text, space)) : [word];
        };
    }

    private static IEnumerable<(int Start, int End)> Before(string text, char space)
    {
        for (int start = 0; start < text.Length; )
        {
            int end = text.IndexOf(space, start + 1);
            end = end < 0 ? text.Length : end;
            yield return (start, end);
            start = end;
        }
    }

    private static IEnumerable<Word> Ranges(Word word, IEnumerable<(int Start, int End)> ranges)
    {
        foreach ((int start, int end) in ranges)
        {
            if (end > start)
            {
                yield return new(word.Text[start..end], word.First - start);
            }
        }
    }

    private static IEnumerable<(int Start, int End)> Words(string text)
    {
        int start = 0;
        for (int i = 0, length; i < text.Length; i += length)
        {
            Rune.DecodeFromUtf16(text.AsSpan(i), out Rune rune, out length);
            bool punctuation = IsPunctuation(rune);
            if (!punctuation && !Rune.IsWhiteSpace(rune))
            {
                continue;
            }

            yield return (start, i);
            if (punctuation)
            {
                yield return (i, i + length);
            }

            start = i + length;
        }
        yield return (start, text.Length);
    }

    /// <summary>Runs of word characters, and runs of other characters except white space.</summary>
    private static IEnumerable<(int Start, int End)> WordsAndOthers(string text)
    {
        (int start, int kind) = (0, 0);
        for (int i = 0, length; i < text.Length; i += length)
        {
            Rune.DecodeFromUtf16(text.AsSpan(i), out Rune rune, out length);
            int now =
                WordCharacters.Contains(rune) ? 1
                : Rune.IsWhiteSpace(rune) ? 0
                : 2;
            if (now == kind)
            {
                continue;
            }

            if (kind != 0)
            {
                yield return (start, i);
            }

            (start, kind) = (i, now);
        }
        if (kind != 0)
        {
            yield return (start, text.Length);
        }
    }

    private static IEnumerable<(int Start, int End, bool IsMatch)> Parts(string text, Predicate<Rune> matches)
    {
        int done = 0;
        for (int i = 0, length; i < text.Length; i += length)
        {
            Rune.DecodeFromUtf16(text.AsSpan(i), out Rune rune, out length);
            if (!matches(rune))
            {
                continue;
            }

            if (i > done)
            {
                yield return (done, i, false);
            }

            yield return (i, i + length, true);
            done = i + length;
        }
        if (done < text.Length)
        {
            yield return (done, text.Length, false);
        }
    }

    private static string Behavior(SerializedStep step, string? fallback) =>
        step.Text("behavior") switch
        {
            "Removed" or "Isolated" or "Contiguous" or "MergedWithPrevious" or "MergedWithNext" => step.Text("behavior")!,
            null when fallback is not null => fallback,
            _ => throw step.Lacks("behavior"),
        };

    /// <summary>How matches are assigned to the parts of a text.</summary>
    private static IEnumerable<(int Start, int End)> Behave(IEnumerable<(int Start, int End, bool IsMatch)> parts, string behavior)
    {
        switch (behavior)
        {
            case "Removed":
                return parts.Where(part => !part.IsMatch).Select(part => (part.Start, part.End));
            case "Isolated":
                return parts.Select(part => (part.Start, part.End));
            case "Contiguous":
                return Merge(parts, (before, now) => before == now);
            case "MergedWithPrevious":
                return Merge(parts, (before, now) => now && !before);
            default:
                // A match joins what follows, but of several in a row only the last one does.
                var all = parts.ToList();
                var words = new List<(int Start, int End)>();
                bool after = false;
                for (int i = all.Count - 1; i >= 0; i--)
                {
                    (int start, int end, bool isMatch) = all[i];
                    if (isMatch && !after && words.Count > 0)
                    {
                        words[^1] = (start, words[^1].End);
                    }
                    else
                    {
                        words.Add((start, end));
                    }

                    after = isMatch;
                }
                words.Reverse();
                return words;
        }
    }

    private static IEnumerable<(int Start, int End)> Merge(
        IEnumerable<(int Start, int End, bool IsMatch)> parts,
        Func<bool, bool, bool> joins
    )
    {
        (int Start, int End)? word = null;
        bool before = false;
        foreach ((int start, int end, bool isMatch) in parts)
        {
            if (word is { } begun && joins(before, isMatch))
            {
                word = (begun.Start, end);
            }
            else
            {
                if (word is { } whole)
                {
                    yield return whole;
                }

                word = (start, end);
            }
            before = isMatch;
        }
        if (word is { } last)
        {
            yield return last;
        }
    }

    // Every ASCII symbol counts, `$` and `+` included, which Unicode calls symbols.
    private static bool IsPunctuation(Rune rune) =>
        rune.IsAscii
            ? rune.Value is > ' ' and < 0x7F && !Rune.IsLetterOrDigit(rune)
            : Rune.GetUnicodeCategory(rune) is >= UnicodeCategory.ConnectorPunctuation and <= UnicodeCategory.OtherPunctuation;
}

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
        int contraction = LengthOfContraction(text[start..]);
        if (contraction > 0)
        {
            return start + contraction;
        }

        // One ordinary space belongs to the word after it.
        int first = text[start] == ' ' && start + 1 < text.Length ? start + 1 : start;
        CharacterClass kind = ClassAt(text, first, out _);
        if (kind != CharacterClass.Space)
        {
            return EndOfRun(text, first, kind);
        }

        // White space before a word leaves its last character to that word.
        int end = EndOfRun(text, start, CharacterClass.Space);
        return end < text.Length && end - start > 1 ? end - 1 : end;
    }

    private static int LengthOfContraction(ReadOnlySpan<char> text) =>
        text switch
        {
            ['\'', 's' or 't' or 'm' or 'd', ..] => 2,
            ['\'', 'r', 'e', ..] or ['\'', 'v', 'e', ..] or ['\'', 'l', 'l', ..] => 3,
            _ => 0,
        };

    private static int EndOfRun(ReadOnlySpan<char> text, int start, CharacterClass kind)
    {
        int end = start;
        while (end < text.Length && ClassAt(text, end, out int length) == kind)
        {
            end += length;
        }

        return end;
    }

    private static CharacterClass ClassAt(ReadOnlySpan<char> text, int index, out int length)
    {
        Rune.DecodeFromUtf16(text[index..], out Rune rune, out length);
        if (Rune.IsWhiteSpace(rune))
        {
            return CharacterClass.Space;
        }

        return Rune.GetUnicodeCategory(rune) switch
        {
            <= UnicodeCategory.OtherLetter => CharacterClass.Letter,
            UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber => CharacterClass.Number,
            _ => CharacterClass.Other,
        };
    }
}

/// <summary>Word characters (<c>\w</c>) by Unicode's annex 18, as in Hugging Face's tokenizers; .NET's are fewer.</summary>
internal static class WordCharacters
{
    /// <summary>Whether a character is a word character: alphabetic, a mark, a decimal digit, a connector, or a joiner.</summary>
    public static bool Contains(Rune rune) =>
        Rune.GetUnicodeCategory(rune) is <= UnicodeCategory.LetterNumber or UnicodeCategory.ConnectorPunctuation
        // Joiners; circled and squared letters, which are symbols and yet alphabetic.
        || rune.Value
            is 0x200C
                or 0x200D
                or (>= 0x24B6 and <= 0x24E9)
                or (>= 0x1F130 and <= 0x1F149)
                or (>= 0x1F150 and <= 0x1F169)
                or (>= 0x1F170 and <= 0x1F189);
}
