using System.Collections.ObjectModel;
using System.Text;
using SkillLoc.Models.Tokenization;

namespace SkillLoc.Models.Prompts;

/// <summary>The label words: one word per label, in the order of the labels.</summary>
public sealed class Verbalizer
{
    // Words that start so are vocabulary entries of their own and take no space before them.
    private const string RawStarts = "<[.,";

    /// <summary>Creates a verbalizer.</summary>
    /// <param name="words">Labels and words, in label order.</param>
    /// <exception cref="ArgumentException">There are fewer than two labels, a label or word occurs twice, or one is empty.</exception>
    public Verbalizer(IEnumerable<KeyValuePair<string, string>> words)
    {
        ArgumentNullException.ThrowIfNull(words);
        KeyValuePair<string, string>[] list = words.ToArray();
        Labels = new ReadOnlyCollection<string>(Array.ConvertAll(list, entry => entry.Key));
        Words = new ReadOnlyCollection<string>(Array.ConvertAll(list, entry => entry.Value));
        if (list.Length < 2)
        {
            throw new ArgumentException($"A verbalizer needs at least two labels, not {list.Length}.", nameof(words));
        }

        if (Labels.Concat(Words).Any(string.IsNullOrEmpty))
        {
            throw new ArgumentException("The verbalizer has an empty label or word.", nameof(words));
        }

        if (FirstTwice(Labels) is { } label)
        {
            throw new ArgumentException($"The verbalizer has the label '{label}' twice.", nameof(words));
        }

        if (FirstTwice(Words) is { } word)
        {
            throw new ArgumentException($"The verbalizer has the word '{word}' twice.", nameof(words));
        }
    }

    /// <summary>The labels, in order.</summary>
    public IReadOnlyList<string> Labels { get; }

    /// <summary>The words, in the labels' order.</summary>
    public IReadOnlyList<string> Words { get; }

    /// <summary>Number of labels.</summary>
    public int Count => Labels.Count;

    /// <summary>Reads a dictionary literal, <c>{'0':'terrible','1':'great'}</c>; keys may be numbers, <c>{0:'terrible'}</c>.</summary>
    /// <param name="mapping">The literal; its order is kept.</param>
    /// <returns>The verbalizer.</returns>
    /// <exception cref="FormatException">The string is not a dictionary literal.</exception>
    /// <exception cref="ArgumentException">A label or word occurs twice, or there are fewer than two.</exception>
    public static Verbalizer ParseMapping(string mapping)
    {
        ArgumentNullException.ThrowIfNull(mapping);
        var words = new List<KeyValuePair<string, string>>();
        int position = 0;
        Expect('{');
        while (Next() != '}')
        {
            string label = Next() is '\'' or '"' ? Quoted() : Number();
            Expect(':');
            words.Add(new KeyValuePair<string, string>(label, Quoted()));
            if (Next() != '}')
            {
                Expect(',');
            }
        }
        position++;
        if (Next() != '\0')
        {
            throw Wrong("nothing");
        }

        return new Verbalizer(words);

        char Next()
        {
            while (position < mapping.Length && char.IsWhiteSpace(mapping[position]))
            {
                position++;
            }

            return position < mapping.Length ? mapping[position] : '\0';
        }

        void Expect(char wanted)
        {
            if (Next() != wanted)
            {
                throw Wrong($"'{wanted}'");
            }

            position++;
        }

        string Number()
        {
            Next();
            int start = position;
            if (position < mapping.Length && mapping[position] == '-')
            {
                position++;
            }

            while (position < mapping.Length && char.IsAsciiDigit(mapping[position]))
            {
                position++;
            }

            return position > start ? mapping[start..position] : throw Wrong("a label");
        }

        string Quoted()
        {
            char quote = Next();
            if (quote is not ('\'' or '"'))
            {
                throw Wrong("a quoted string");
            }

            var text = new StringBuilder();
            for (position++; position < mapping.Length && mapping[position] != quote; position++)
            {
                if (mapping[position] == '\\' && position + 1 < mapping.Length)
                {
                    position++;
                }

                text.Append(mapping[position]);
            }
            if (position == mapping.Length)
            {
                throw Wrong($"the closing {quote}");
            }

            position++;
            return text.ToString();
        }

        FormatException Wrong(string expected) =>
            new(
                $"Mapping \"{mapping}\": {expected} was expected at character {position + 1}; it should read like "
                    + $"{{'0':'terrible','1':'great'}}."
            );
    }

    /// <summary>Returns the index of a label, given the label or its word.</summary>
    /// <param name="labelOrWord">A label (<c>1</c>, <c>entailment</c>) or a word (<c>great</c>).</param>
    /// <returns>The index, or -1 if unknown.</returns>
    public int IndexOf(string labelOrWord)
    {
        int index = Find(Labels, labelOrWord);
        return index >= 0 ? index : Find(Words, labelOrWord);

        static int Find(IReadOnlyList<string> values, string value)
        {
            for (int i = 0; i < values.Count; i++)
            {
                if (string.Equals(values[i], value, StringComparison.Ordinal))
                {
                    return i;
                }
            }

            return -1;
        }
    }

    /// <summary>Returns the token ids of the words, in label order.</summary>
    /// <param name="tokenizer">The checkpoint's tokenizer.</param>
    /// <returns>One id per label.</returns>
    /// <remarks>A word is encoded with a leading space, unless it starts with one of <c>&lt; [ . ,</c>; such words are looked up
    /// unchanged.</remarks>
    /// <exception cref="ArgumentException">A word is not a single token, or two words are the same token.</exception>
    public int[] Resolve(CheckpointTokenizer tokenizer)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        int[] ids = Words.Select(word => Resolve(word, tokenizer)).ToArray();
        for (int i = 0; i < ids.Length; i++)
        {
            int first = Array.IndexOf(ids, ids[i]);
            if (first < i)
            {
                throw new ArgumentException(
                    $"The label words '{Words[first]}' and '{Words[i]}' are the same token '{tokenizer.TokenOf(ids[i])}'; no "
                        + "prediction could tell them apart.",
                    nameof(tokenizer)
                );
            }
        }
        return ids;
    }

    /// <summary>Returns the dictionary literal that <see cref="ParseMapping"/> reads.</summary>
    /// <returns>Labels and words in order.</returns>
    public override string ToString() =>
        "{" + string.Join(",", Labels.Zip(Words, (label, word) => $"'{Escape(label)}':'{Escape(word)}'")) + "}";

    private static string? FirstTwice(IEnumerable<string> values) =>
        values.GroupBy(value => value, StringComparer.Ordinal).FirstOrDefault(group => group.Count() > 1)?.Key;

    private static string Escape(string text) =>
        text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("'", "\\'", StringComparison.Ordinal);

    private static int Resolve(string word, CheckpointTokenizer tokenizer)
    {
        if (RawStarts.Contains(word[0], StringComparison.Ordinal))
        {
            return tokenizer.TokenId(word)
                ?? throw new ArgumentException(
                    $"The label word '{word}' is not in the vocabulary; a word that starts with one of {RawStarts} must be a token as "
                        + "it stands.",
                    nameof(tokenizer)
                );
        }

        int[] ids = tokenizer.Encode(" " + word);
        if (ids.Length == 1 && !IsUnknown(tokenizer, ids[0]))
        {
            return ids[0];
        }

        string pieces = string.Join(", ", ids.Select(id => $"'{tokenizer.TokenOf(id)}'"));
        throw new ArgumentException(
            $"The label word '{word}' is not one token but {(ids.Length == 0 ? "none" : pieces)}; choose a word that the vocabulary "
                + "has whole.",
            nameof(tokenizer)
        );
    }

    private static bool IsUnknown(CheckpointTokenizer tokenizer, int id) =>
        !tokenizer.DistinguishesLeadingSpace && id == tokenizer.UnknownId;
}
