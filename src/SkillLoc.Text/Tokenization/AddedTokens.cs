using System.Text;

namespace SkillLoc.Models.Tokenization;

/// <summary>
/// Added tokens that are not special: texts are searched for them first, and only the parts between them are split into words.
/// </summary>
internal sealed class AddedTokens
{
    private readonly Finder _inTexts;
    private readonly Finder _inNormalized;

    /// <param name="tokens">The tokens; special ones are not matched.</param>
    /// <param name="normalize">Normalizes texts and normalized tokens.</param>
    public AddedTokens(IReadOnlyCollection<AddedToken> tokens, Func<string, string> normalize)
    {
        ILookup<bool, AddedToken> found = tokens.Where(token => !token.IsSpecial).ToLookup(token => token.IsNormalized);
        _inTexts = new Finder(found[false]);
        _inNormalized = new Finder(found[true].Select(token => token with { Content = normalize(token.Content) }));
    }

    /// <summary>Whether there are no tokens.</summary>
    public bool AreNone => _inTexts.IsEmpty && _inNormalized.IsEmpty;

    /// <summary>Splits a text into added tokens and the parts between them.</summary>
    public IEnumerable<(int? Id, string Text, bool IsFirst)> InText(string text) => _inTexts.Split(text);

    /// <summary>Splits a normalized part of a text in the same way.</summary>
    public IEnumerable<(int? Id, string Text, bool IsFirst)> InNormalized(string text) => _inNormalized.Split(text);

    /// <summary>Finds tokens from left to right, the longest at each position.</summary>
    private sealed class Finder
    {
        private readonly Dictionary<char, AddedToken[]> _byFirst;

        public Finder(IEnumerable<AddedToken> tokens) =>
            _byFirst = tokens
                .Where(token => token.Content.Length > 0)
                .DistinctBy(token => token.Content, StringComparer.Ordinal)
                .GroupBy(token => token.Content[0])
                .ToDictionary(group => group.Key, group => group.OrderByDescending(token => token.Content.Length).ToArray());

        public bool IsEmpty => _byFirst.Count == 0;

        public IEnumerable<(int? Id, string Text, bool IsFirst)> Split(string text)
        {
            int done = 0;
            for (int at = 0; at < text.Length && !IsEmpty; )
            {
                if (
                    !_byFirst.TryGetValue(text[at], out AddedToken[]? candidates)
                    || Array.Find(candidates, token => string.CompareOrdinal(text, at, token.Content, 0, token.Content.Length) == 0)
                        is not { } found
                )
                {
                    at++;
                    continue;
                }

                (int start, int end) = (at, at + found.Content.Length);
                at = end;
                if (found.IsSingleWord && (EndsWithWord(text.AsSpan(0, start)) || StartsWithWord(text.AsSpan(end))))
                {
                    continue;
                }

                if (found.StripsLeft)
                {
                    start = Math.Max(text.AsSpan(0, start).TrimEnd().Length, done);
                }

                if (found.StripsRight)
                {
                    end = text.Length - text.AsSpan(end).TrimStart().Length;
                }

                if (done < start)
                {
                    yield return (null, text[done..start], done == 0);
                }

                yield return (found.Id, found.Content, start == 0);
                done = end;
            }
            if (done < text.Length)
            {
                yield return (null, text[done..], done == 0);
            }
        }

        private static bool EndsWithWord(ReadOnlySpan<char> text)
        {
            Rune.DecodeLastFromUtf16(text, out Rune rune, out int length);
            return length > 0 && WordCharacters.Contains(rune);
        }

        private static bool StartsWithWord(ReadOnlySpan<char> text)
        {
            Rune.DecodeFromUtf16(text, out Rune rune, out int length);
            return length > 0 && WordCharacters.Contains(rune);
        }
    }
}

/// <summary>A token that was added to a vocabulary.</summary>
/// <param name="Content">Its spelling.</param>
/// <param name="Id">Its id.</param>
internal sealed record AddedToken(string Content, int Id)
{
    /// <summary>Whether it is a special token, which is not matched in texts.</summary>
    public bool IsSpecial { get; init; }

    /// <summary>Whether it is matched only as a single word.</summary>
    public bool IsSingleWord { get; init; }

    /// <summary>Whether it includes white space before it.</summary>
    public bool StripsLeft { get; init; }

    /// <summary>Whether it includes white space after it.</summary>
    public bool StripsRight { get; init; }

    /// <summary>Whether the vocabulary had it not before.</summary>
    public bool IsNew { get; init; }

    /// <summary>Whether it is normalized and matched in normalized texts.</summary>
    public bool IsNormalized { get; init; }
}
