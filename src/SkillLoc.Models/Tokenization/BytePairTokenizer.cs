using System.Runtime.InteropServices;
using System.Text;
using Microsoft.ML.Tokenizers;

namespace SkillLoc.Models.Tokenization;

/// <summary>Byte-level BPE as GPT-2 and RoBERTa have it: the bytes of each word, merged by <see cref="BpeTokenizer"/>.</summary>
/// <remarks>
/// <para>The library's time grows with the square of a word's length, so that a long word is merged part by part, with the same tokens.</para>
/// <para>
/// For merges go by rank, and from the left where ranks are equal. If each two neighbours of a sequence of tokens stay apart when they
/// are merged alone, the whole sequence does: the first merge across one of its borders would have been made between these two as well,
/// since up to then nothing else touched them. So a part may end behind a token that stays apart from every token that the rest of the
/// word could begin with.
/// </para>
/// </remarks>
internal sealed class BytePairTokenizer
{
    private const int Part = 512;

    private readonly BpeTokenizer _tokenizer;
    private readonly Dictionary<int, string> _tokens;
    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> _ids;
    private readonly int _longest;

    // How each byte is written, 0 where the vocabulary lacks it.
    private readonly char[] _letters;

    /// <param name="vocabulary">Token to id.</param>
    /// <param name="merges">Pairs of tokens with a space between, the best merge first.</param>
    public BytePairTokenizer(Dictionary<string, int> vocabulary, IEnumerable<string> merges)
    {
        _tokenizer = BpeTokenizer.Create(new BpeOptions(vocabulary) { Merges = merges });
        _tokens = vocabulary.ToDictionary(entry => entry.Value, entry => entry.Key);
        _ids = vocabulary.GetAlternateLookup<ReadOnlySpan<char>>();
        _longest = vocabulary.Keys.Max(token => token.Length);
        _letters = [.. Enumerable.Range(0, 256).Select(value => ByteAlphabet.CharOf((byte)value)).Select(letter => _ids.ContainsKey([letter]) ? letter : '\0')];
    }

    /// <summary>The first ids of a text without lone surrogates; what they do not need is not encoded.</summary>
    public List<int> Encode(string text, int maxTokens)
    {
        var ids = new List<int>();
        var letters = new List<char>();
        foreach (var (offset, length) in ByteLevelPreTokenizer.Split(text))
        {
            Spell(text.AsSpan(offset, length), letters);
            for (ReadOnlySpan<char> rest = CollectionsMarshal.AsSpan(letters); !rest.IsEmpty && ids.Count < maxTokens;)
                rest = rest[AppendPart(rest, ids)..];
            if (ids.Count >= maxTokens)
                break;
        }
        return ids.Count > maxTokens ? ids[..maxTokens] : ids;
    }

    // Bytes that the vocabulary lacks are left out, as the library does.
    private void Spell(ReadOnlySpan<char> word, List<char> letters)
    {
        letters.Clear();
        Span<byte> utf8 = stackalloc byte[4];
        foreach (var rune in word.EnumerateRunes())
        {
            foreach (var value in utf8[..rune.EncodeToUtf8(utf8)])
            {
                if (_letters[value] is not '\0' and var letter)
                    letters.Add(letter);
            }
        }
    }

    /// <summary>Appends the first tokens of a word, all of them where it is short.</summary>
    /// <returns>How many letters they are.</returns>
    private int AppendPart(ReadOnlySpan<char> word, List<int> ids)
    {
        for (var size = Part; size < word.Length; size *= 2)
        {
            var part = Merge(word[..size]);
            var end = size;
            for (var count = part.Count; count > 0; count--)
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
        var token = _tokens[id];
        for (var length = Math.Min(_longest, rest.Length); length > 0; length--)
        {
            // What merges do not make of its letters is no token that text begins with.
            if (_ids.TryGetValue(rest[..length], out var next) && Merge(rest[..length]).SequenceEqual([next])
                && !Merge(string.Concat(token, rest[..length])).SequenceEqual([id, next]))
            {
                return false;
            }
        }
        return true;
    }

    private IReadOnlyList<int> Merge(ReadOnlySpan<char> letters) =>
        _tokenizer.EncodeToIds(letters, considerPreTokenization: false, considerNormalization: false);
}
