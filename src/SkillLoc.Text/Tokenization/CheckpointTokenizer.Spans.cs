using System.Globalization;
using System.Text;

namespace SkillLoc.Models.Tokenization;

public sealed partial class CheckpointTokenizer
{
    private const char UnigramSpace = '\u2581';
    private const byte Space = (byte)' ';

    /// <summary>
    /// Finds the characters that tokens were made of, by going through the normalized text with their spellings. A token that is spelled
    /// otherwise than the text, such as an unknown one, gets what lies between its neighbours, as far as a word goes.
    /// </summary>
    /// <param name="text">The text that was encoded.</param>
    /// <param name="ids">Its first ids, from <see cref="EncodeFirst"/>.</param>
    /// <returns>For each id a range of the text, in UTF-16 units, without white space before it.</returns>
    internal Range[] Locate(string text, IReadOnlyList<int> ids)
    {
        (byte[] bytes, int[] starts, int[] ends) = Normalized(WellFormed(text));
        var ranges = new Range[ids.Count];
        int cursor = 0;
        for (int i = 0; i < ids.Count; i++)
        {
            byte[]? spelling = SpellingOf(ids[i]);
            (int start, int end) = spelling is null ? Unknown(bytes, cursor) : Find(bytes, cursor, spelling);
            while (start < end && IsSpace(bytes[start]))
            {
                start++;
            }

            int first = start < bytes.Length ? starts[start] : text.Length;
            ranges[i] = end > start ? first..ends[end - 1] : first..first;
            cursor = Math.Max(cursor, end);
        }

        return ranges;
    }

    /// <summary>The normalized text as UTF-8, and for each byte the first character that it came from and the one after the last.</summary>
    private (byte[] Bytes, int[] Starts, int[] Ends) Normalized(string text)
    {
        var bytes = new List<byte>(text.Length);
        var starts = new List<int>(text.Length);
        var ends = new List<int>(text.Length);
        for (int at = 0; at < text.Length; )
        {
            int length = StringInfo.GetNextTextElementLength(text, at);
            byte[] element = Encoding.UTF8.GetBytes(_steps.Normalize(text.Substring(at, length)));
            bytes.AddRange(element);
            starts.AddRange(Enumerable.Repeat(at, element.Length));
            ends.AddRange(Enumerable.Repeat(at + length, element.Length));
            at += length;
        }

        return ([.. bytes], [.. starts], [.. ends]);
    }

    /// <summary>What a token looks like in the normalized text; null for the unknown token.</summary>
    private byte[]? SpellingOf(int id)
    {
        string token = TokenOf(id);
        if (token == _special.Unknown)
        {
            return null;
        }

        return _kind switch
        {
            TokenizerKind.BytePairs => ByteAlphabet.BytesOf(token),
            TokenizerKind.WordPieces when token.Length > 2 && token.StartsWith("##", StringComparison.Ordinal) => Encoding.UTF8.GetBytes(
                token[2..]
            ),
            _ => Encoding.UTF8.GetBytes(token.Replace(UnigramSpace, ' ')),
        };
    }

    /// <summary>The bytes of a spelling from a cursor on: at it, after white space, or else further on.</summary>
    private static (int Start, int End) Find(byte[] bytes, int cursor, ReadOnlySpan<byte> spelling)
    {
        ReadOnlySpan<byte> rest = bytes.AsSpan(cursor);
        if (rest.StartsWith(spelling))
        {
            return (cursor, cursor + spelling.Length);
        }

        ReadOnlySpan<byte> word = spelling.TrimStart(Space);
        int next = cursor;
        while (next < bytes.Length && IsSpace(bytes[next]))
        {
            next++;
        }

        if (word.Length == 0 || bytes.AsSpan(next).StartsWith(word))
        {
            return (next, next + word.Length);
        }

        int found = bytes.AsSpan(next).IndexOf(word);
        return found < 0 ? (cursor, cursor) : (next + found, next + found + word.Length);
    }

    private static bool IsSpace(byte value) => value is Space or (>= (byte)'\t' and <= (byte)'\r');

    /// <summary>A word of unknown spelling: up to white space or a punctuation mark, or such a mark alone.</summary>
    private static (int Start, int End) Unknown(byte[] bytes, int cursor)
    {
        int start = cursor;
        while (start < bytes.Length && IsSpace(bytes[start]))
        {
            start++;
        }

        int end = start;
        while (end < bytes.Length)
        {
            Rune.DecodeFromUtf8(bytes.AsSpan(end), out Rune rune, out int length);
            bool isMark = Rune.IsPunctuation(rune) || (rune.IsAscii && Rune.IsSymbol(rune));
            if (Rune.IsWhiteSpace(rune) || (isMark && end > start))
            {
                break;
            }

            end += length;
            if (isMark)
            {
                break;
            }
        }

        return (start, end);
    }
}
