using System.Buffers;
using System.Collections.Concurrent;
using System.Text;

namespace Microsoft.ML.Tokenizers;

// Byte-level byte-pair encoding, which is the one kind that SkillLoc's checkpoints need.
public sealed class BpeTokenizer : Tokenizer
{
    private const int LongestCachedWord = 32;
    private const int CachedWords = 1 << 16;

    private readonly Dictionary<string, int> _vocabulary;
    private readonly Dictionary<int, string> _tokens = [];
    private readonly Dictionary<(int Left, int Right), (int Rank, int Merged)> _merges = [];
    private readonly int?[] _byteIds = new int?[256];
    private readonly int? _unknownId;
    private readonly ConcurrentDictionary<string, (int Id, int Bytes)[]> _cache = new(StringComparer.Ordinal);

    private BpeTokenizer(BpeOptions options)
    {
        if (!options.ByteLevel)
            throw new NotSupportedException("This stand-in for Microsoft.ML.Tokenizers only has BPE with ByteLevel = true.");

        ByteLevel = true;
        PreTokenizer = options.PreTokenizer ?? WordPatterns.WordOrNonWord;
        _vocabulary = new Dictionary<string, int>(options.Vocabulary, StringComparer.Ordinal);
        if (_vocabulary.Count == 0)
            throw new InvalidOperationException("The vocabulary cannot be empty.");
        foreach (var (token, id) in _vocabulary)
            _tokens.Add(id, token);

        UnknownToken = options.UnknownToken;
        _unknownId = UnknownToken is null ? null : IdOf(UnknownToken);
        for (var i = 0; i < 256; i++)
            _byteIds[i] = _vocabulary.TryGetValue(ByteAlphabet.ToChar((byte)i).ToString(), out var id) ? id : null;

        foreach (var merge in options.Merges ?? [])
        {
            if (merge.Split(' ') is not [{ Length: > 0 } left, { Length: > 0 } right])
                throw new InvalidOperationException("Invalid merger file format");
            _merges.Add((IdOf(left), IdOf(right)), (_merges.Count, IdOf(left + right)));
        }
    }

    public override PreTokenizer? PreTokenizer { get; }

    public bool ByteLevel { get; }

    public string? UnknownToken { get; }

    public IReadOnlyDictionary<string, int> Vocabulary => _vocabulary;

    public static BpeTokenizer Create(BpeOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        return new BpeTokenizer(options);
    }

    public override string Decode(IEnumerable<int> ids)
    {
        ArgumentNullException.ThrowIfNull(ids);
        var bytes = new List<byte>();
        foreach (var id in ids)
            if (_tokens.TryGetValue(id, out var token))
                foreach (var c in token)
                    if (ByteAlphabet.TryToByte(c, out var b))
                        bytes.Add(b);
        return Encoding.UTF8.GetString(bytes.ToArray());
    }

    public override OperationStatus Decode(IEnumerable<int> ids, Span<char> destination, out int idsConsumed, out int charsWritten) =>
        Decode(ids, Decode, destination, out idsConsumed, out charsWritten);

    protected override EncodeResults<int> EncodeToIds(string? text, ReadOnlySpan<char> textSpan, EncodeSettings settings)
    {
        var (input, normalized, words) = Split(text, textSpan, settings);
        var ids = new List<int>();
        foreach (var (offset, length) in words)
            foreach (var (id, _) in EncodeWord(input.AsSpan(offset, length)))
                ids.Add(id);
        return new EncodeResults<int> { Tokens = ids, NormalizedText = normalized, CharsConsumed = input.Length };
    }

    protected override EncodeResults<EncodedToken> EncodeToTokens(string? text, ReadOnlySpan<char> textSpan, EncodeSettings settings)
    {
        var (input, normalized, words) = Split(text, textSpan, settings);
        var tokens = new List<EncodedToken>();
        foreach (var (offset, length) in words)
        {
            var word = input.AsSpan(offset, length);
            var (start, end, bytes) = (0, 0, 0);
            foreach (var (id, count) in EncodeWord(word))
            {
                // A token ends with the character that its last byte belongs to.
                for (bytes -= count; bytes < 0 && end < length;)
                {
                    Rune.DecodeFromUtf16(word[end..], out var rune, out var consumed);
                    bytes += rune.Utf8SequenceLength;
                    end += consumed;
                }
                tokens.Add(new EncodedToken(id, _tokens[id], (offset + start)..(offset + end)));
                start = end;
            }
        }
        return new EncodeResults<EncodedToken> { Tokens = tokens, NormalizedText = normalized, CharsConsumed = input.Length };
    }

    private int IdOf(string token) => _vocabulary.TryGetValue(token, out var id)
        ? id
        : throw new InvalidOperationException($"The token '{token}' does not exist in the vocabulary.");

    private (int Id, int Bytes)[] EncodeWord(ReadOnlySpan<char> word)
    {
        if (word.Length > LongestCachedWord)
            return Merge(word);
        if (_cache.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(word, out var pieces))
            return pieces;
        pieces = Merge(word);
        if (_cache.Count < CachedWords)
            _cache.TryAdd(word.ToString(), pieces);
        return pieces;
    }

    // The symbols form a doubly linked list; a heap holds the candidate pairs by rank, then by position.
    private (int Id, int Bytes)[] Merge(ReadOnlySpan<char> word)
    {
        var symbols = new List<Symbol>();
        foreach (var b in Encoding.UTF8.GetBytes(word.ToArray()))
            if ((_byteIds[b] ?? _unknownId) is { } id)
                symbols.Add(new Symbol { Id = id, Bytes = 1, Previous = symbols.Count - 1, Next = symbols.Count + 1 });
        var list = symbols.ToArray();
        var candidates = new PriorityQueue<(int Left, int Right, int LeftId, int RightId), (int Rank, int Left)>();
        for (var i = 0; i + 1 < list.Length; i++)
            Consider(list, i, i + 1);

        while (candidates.TryDequeue(out var pair, out _))
        {
            var (left, right, leftId, rightId) = pair;
            if (list[left].Id != leftId || list[right].Id != rightId || list[left].Next != right)
                continue;
            list[left].Id = _merges[(leftId, rightId)].Merged;
            list[left].Bytes += list[right].Bytes;
            list[left].Next = list[right].Next;
            list[right].Id = -1;
            if (list[left].Next < list.Length)
            {
                list[list[left].Next].Previous = left;
                Consider(list, left, list[left].Next);
            }
            if (list[left].Previous >= 0)
                Consider(list, list[left].Previous, left);
        }

        return list.Where(symbol => symbol.Id >= 0).Select(symbol => (symbol.Id, symbol.Bytes)).ToArray();

        void Consider(Symbol[] all, int left, int right)
        {
            if (_merges.TryGetValue((all[left].Id, all[right].Id), out var merge))
                candidates.Enqueue((left, right, all[left].Id, all[right].Id), (merge.Rank, left));
        }
    }

    private struct Symbol
    {
        public int Id;
        public int Bytes;
        public int Previous;
        public int Next;
    }
}
