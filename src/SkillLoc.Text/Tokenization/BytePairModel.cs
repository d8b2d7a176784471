using System.Collections.Frozen;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using Microsoft.ML.Tokenizers;

namespace SkillLoc.Models.Tokenization;

/// <summary>Byte-level BPE of GPT-2 and RoBERTa: the bytes of each word, merged by <see cref="BpeTokenizer"/>.</summary>
/// <remarks>
/// <para>The library's time is quadratic in the length of a word, so long words are merged part by part, with the same result.</para>
/// <para>
/// Merges are applied by rank, from left to right within a rank. If no two neighbours of a sequence of tokens merge on their own, the whole
/// sequence does not: the first merge across a border would also happen between these two alone. So a part may end after a token that
/// merges with no token that the rest of the word could begin with.
/// </para>
/// </remarks>
internal sealed class BytePairModel
{
    private const int Part = 512;
    private const char UnknownLetter = '\0';

    private readonly BpeTokenizer _tokenizer;
    private readonly Dictionary<int, string> _tokens;
    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> _ids;
    private readonly int _longest;

    private readonly IReadOnlySet<string> _special;
    private readonly int? _unknown;
    private readonly bool _fusesUnknown;
    private readonly bool _ignoresMerges;

    // How each byte is written, 0 where the vocabulary lacks it.
    private readonly char[] _letters;

    /// <param name="vocabulary">Token to id.</param>
    /// <param name="tokens">The same by id.</param>
    /// <param name="merges">Pairs of tokens with a space between, the best merge first.</param>
    /// <param name="special">Tokens that are not matched in texts.</param>
    /// <param name="model">The model in <c>tokenizer.json</c>; null without such a file.</param>
    /// <exception cref="InvalidDataException">The model names an unknown token that the vocabulary lacks.</exception>
    /// <exception cref="NotSupportedException">The model has a setting that is not supported.</exception>
    public BytePairModel(
        Dictionary<string, int> vocabulary,
        Dictionary<int, string> tokens,
        IEnumerable<string> merges,
        IReadOnlySet<string> special,
        SerializedStep? model
    )
    {
        Check(model);
        _unknown = model?.Text("unk_token") is { } unknown
            ? vocabulary.TryGetValue(unknown, out int id)
                ? id
                : throw model.Value.Lacks("unk_token")
            : null;
        _fusesUnknown = model?.Flag("fuse_unk", false) == true;
        _special = special;
        _ignoresMerges = model?.Flag("ignore_merges", false) == true;
        _tokenizer = BpeTokenizer.Create(new BpeOptions(vocabulary) { Merges = merges });
        _tokens = tokens;
        _ids = vocabulary.GetAlternateLookup<ReadOnlySpan<char>>();
        _longest = vocabulary.Keys.Max(token => token.Length);
        _letters =
        [
            .. Enumerable
                .Range(0, 256)
                .Select(value => ByteAlphabet.CharOf((byte)value))
                .Select(letter => _ids.ContainsKey([letter]) ? letter : UnknownLetter),
        ];
        if (model?.Flag("byte_fallback", false) == true && _letters.Contains(UnknownLetter) && vocabulary.ContainsKey("<0x00>"))
        {
            throw new NotSupportedException(
                $"{model.Value.Source}: byte_fallback is true, and the vocabulary lacks bytes of byte-level BPE; that is not supported."
            );
        }
    }

    /// <summary>Appends the first ids of a word without lone surrogates.</summary>
    /// <param name="word">The word.</param>
    /// <param name="ids">Receives the ids, possibly more than requested.</param>
    /// <param name="maxTokens">Maximum number of ids; the rest of the word is not encoded.</param>
    public void Encode(string word, List<int> ids, int maxTokens)
    {
        ReadOnlySpan<char> letters = Spell(word);
        if (_ignoresMerges && _ids.TryGetValue(letters, out int whole) && !_special.Contains(_tokens[whole]))
        {
            ids.Add(whole);
            return;
        }

        for (ReadOnlySpan<char> rest = letters; !rest.IsEmpty && ids.Count < maxTokens; )
        {
            // Unknown letters, which are written so only where there is a token for them, stand apart.
            ReadOnlySpan<char> known = rest.IndexOf(UnknownLetter) is >= 0 and var end ? rest[..end] : rest;
            rest = rest[known.Length..];
            while (!known.IsEmpty && ids.Count < maxTokens)
            {
                known = known[AppendPart(known, ids)..];
            }

            int unknown = rest.IndexOfAnyExcept(UnknownLetter) is >= 0 and var next ? next : rest.Length;
            rest = rest[unknown..];
            if (unknown > 0)
            {
                ids.AddRange(Enumerable.Repeat(_unknown!.Value, _fusesUnknown ? 1 : unknown));
            }
        }
    }

    /// <exception cref="NotSupportedException">The model has a setting that is not supported.</exception>
    private static void Check(SerializedStep? model)
    {
        if (model is not { } step)
        {
            return;
        }

        step.Only(
            "vocab",
            "merges",
            "dropout",
            "unk_token",
            "continuing_subword_prefix",
            "end_of_word_suffix",
            "fuse_unk",
            "byte_fallback",
            "ignore_merges"
        );
        if (
            step.Find("dropout") is { } dropout
            && !(dropout.ValueKind == JsonValueKind.Number && dropout.TryGetDouble(out double share) && share == 0)
        )
        {
            throw new NotSupportedException(
                $"{step.Source}: dropout is {dropout.GetRawText()}; texts that are spelled by chance are not supported."
            );
        }

        foreach (string? setting in new[] { "continuing_subword_prefix", "end_of_word_suffix" })
        {
            if (step.Text(setting) is { Length: > 0 } text)
            {
                throw new NotSupportedException($"{step.Source}: {setting} is '{text}'; byte-level BPE with any is not supported.");
            }
        }
    }

    // Bytes that the vocabulary lacks are left out where there is no token for what is unknown.
    private ReadOnlySpan<char> Spell(string word)
    {
        var letters = new List<char>(word.Length);
        Span<byte> utf8 = stackalloc byte[4];
        foreach (Rune rune in word.EnumerateRunes())
        {
            foreach (byte value in utf8[..rune.EncodeToUtf8(utf8)])
            {
                if (_letters[value] is not UnknownLetter and var letter)
                {
                    letters.Add(letter);
                }
                else if (_unknown is not null)
                {
                    letters.Add(UnknownLetter);
                }
            }
        }
        return CollectionsMarshal.AsSpan(letters);
    }

    /// <summary>Appends the first tokens of a word, or all of a short one.</summary>
    /// <returns>The number of letters encoded.</returns>
    private int AppendPart(ReadOnlySpan<char> word, List<int> ids)
    {
        for (int size = Part; size < word.Length; size *= 2)
        {
            IReadOnlyList<int> part = Merge(word[..size]);
            int end = size;
            for (int count = part.Count; count > 0; count--)
            {
                if (StaysApart(part[count - 1], word[end..]))
                {
                    ids.AddRange(part.Take(count));
                    return end;
                }
                end -= _tokens[part[count - 1]].Length;
            }
        }
        ids.AddRange(Merge(word));
        return word.Length;
    }

    private bool StaysApart(int id, ReadOnlySpan<char> rest)
    {
        string token = _tokens[id];
        for (int length = Math.Min(_longest, rest.Length); length > 0; length--)
        {
            // What merges do not make of its letters is no token that text begins with.
            if (
                _ids.TryGetValue(rest[..length], out int next)
                && Merge(rest[..length]).SequenceEqual([next])
                && !Merge(string.Concat(token, rest[..length])).SequenceEqual([id, next])
            )
            {
                return false;
            }
        }
        return true;
    }

    private IReadOnlyList<int> Merge(ReadOnlySpan<char> letters) =>
        _tokenizer.EncodeToIds(letters, considerPreTokenization: false, considerNormalization: false);
}

/// <summary>
/// The alphabet of byte-level BPE vocabularies (GPT-2, RoBERTa): each byte is a printable character, itself if it is printable Latin-1,
/// else one from U+0100 on; a space is <c>Ġ</c>.
/// </summary>
internal static class ByteAlphabet
{
    private static readonly char[] Chars = MakeChars();

    private static readonly FrozenDictionary<char, byte> Bytes = Enumerable.Range(0, 256).ToFrozenDictionary(b => Chars[b], b => (byte)b);

    /// <summary>Returns the character of a byte.</summary>
    public static char CharOf(byte value) => Chars[value];

    /// <summary>Returns the UTF-8 bytes of a text in this alphabet.</summary>
    public static string Spell(string text) => string.Concat(Encoding.UTF8.GetBytes(text).Select(CharOf));

    /// <summary>Returns the text of a sequence of tokens. Characters outside the alphabet are kept.</summary>
    public static string Read(IEnumerable<string> tokens) => Encoding.UTF8.GetString([.. tokens.SelectMany(BytesOf)]);

    /// <summary>Returns the bytes that a token spells. Characters outside the alphabet are kept.</summary>
    public static byte[] BytesOf(string token)
    {
        var bytes = new List<byte>(token.Length);
        foreach (Rune rune in token.EnumerateRunes())
        {
            if (rune.IsBmp && Bytes.TryGetValue((char)rune.Value, out byte value))
            {
                bytes.Add(value);
            }
            else
            {
                bytes.AddRange(Encoding.UTF8.GetBytes(rune.ToString()));
            }
        }

        return [.. bytes];
    }

    private static char[] MakeChars()
    {
        char[] chars = new char[256];
        char next = '\u0100';
        for (int b = 0; b < 256; b++)
        {
            chars[b] = b is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or >= 0xAE ? (char)b : next++;
        }

        return chars;
    }
}
