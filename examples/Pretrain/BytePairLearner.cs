using System.Text;
using SkillLoc.Models.Tokenization;

namespace SkillLoc.Pretrain;

/// <summary>Learns byte-pair merges from word counts, keeping the pairs' counts up to date from merge to merge.</summary>
internal sealed class BytePairLearner
{
    private readonly List<string> _tokens = [.. Enumerable.Range(0, 256).Select(b => ByteAlphabet.CharOf((byte)b).ToString())];
    private readonly Dictionary<string, int> _ids = new(StringComparer.Ordinal);
    private readonly HashSet<string> _forbidden;
    private readonly int[][] _words;
    private readonly long[] _frequencies;
    private readonly Dictionary<(int Left, int Right), Pair> _pairs = [];

    // The most frequent pair first, then the lower ids. An entry whose count is outdated is put back when it comes up.
    private readonly PriorityQueue<((int Left, int Right) Pair, long Count), (long Count, int Left, int Right)> _queue = new();

    /// <summary>Starts from words of single bytes.</summary>
    /// <param name="counts">How often each word occurs.</param>
    /// <param name="forbidden">Tokens that no merge may make.</param>
    public BytePairLearner(IReadOnlyDictionary<string, long> counts, IEnumerable<string> forbidden)
    {
        _forbidden = forbidden.ToHashSet(StringComparer.Ordinal);
        for (int id = 0; id < _tokens.Count; id++)
        {
            _ids.Add(_tokens[id], id);
        }

        // In a fixed order, whatever order the dictionary has.
        KeyValuePair<string, long>[] words = counts.OrderBy(entry => entry.Key, StringComparer.Ordinal).ToArray();
        _words = Array.ConvertAll(words, word => Array.ConvertAll(Encoding.UTF8.GetBytes(word.Key), b => (int)b));
        _frequencies = Array.ConvertAll(words, word => word.Value);
        for (int i = 0; i < _words.Length; i++)
        {
            CountPairs(i, +1);
        }

        foreach (((int Left, int Right) key, Pair? pair) in _pairs)
        {
            Enqueue(key, pair.Count);
        }
    }

    /// <summary>The merges, the first one first.</summary>
    /// <param name="room">How many new tokens there may be.</param>
    /// <param name="minFrequency">How often a pair must occur.</param>
    public List<(string Left, string Right)> Learn(int room, int minFrequency)
    {
        var merges = new List<(string Left, string Right)>();
        int limit = _tokens.Count + room;
        while (_tokens.Count < limit && _queue.TryDequeue(out ((int Left, int Right) Pair, long Count) entry, out _))
        {
            Pair pair = _pairs[entry.Pair];
            if (pair.Count < minFrequency)
            {
                continue;
            }

            if (pair.Count != entry.Count)
            {
                Enqueue(entry.Pair, pair.Count);
                continue;
            }

            (string? left, string? right) = (_tokens[entry.Pair.Left], _tokens[entry.Pair.Right]);
            if (_forbidden.Contains(left + right))
            {
                continue;
            }

            merges.Add((left, right));
            Merge(entry.Pair, pair, IdOf(left + right));
        }
        return merges;
    }

    private int IdOf(string token)
    {
        if (!_ids.TryGetValue(token, out int id))
        {
            id = _tokens.Count;
            _ids.Add(token, id);
            _tokens.Add(token);
        }
        return id;
    }

    private void Merge((int Left, int Right) pair, Pair counted, int merged)
    {
        int[] words = counted.Words.ToArray();
        counted.Words.Clear();
        var changed = new HashSet<(int Left, int Right)>();
        foreach (int word in words)
        {
            int[] symbols = Replace(_words[word], pair, merged);
            if (symbols.Length == _words[word].Length)
            {
                continue;
            }

            CountPairs(word, -1);
            _words[word] = symbols;
            CountPairs(word, +1);
            for (int i = 0; i + 1 < symbols.Length; i++)
            {
                if (symbols[i] == merged || symbols[i + 1] == merged)
                {
                    changed.Add((symbols[i], symbols[i + 1]));
                }
            }
        }
        foreach ((int Left, int Right) key in changed)
        {
            Enqueue(key, _pairs[key].Count);
        }
    }

    private static int[] Replace(int[] symbols, (int Left, int Right) pair, int merged)
    {
        var result = new List<int>(symbols.Length);
        for (int i = 0; i < symbols.Length; i++)
        {
            if (i + 1 < symbols.Length && symbols[i] == pair.Left && symbols[i + 1] == pair.Right)
            {
                result.Add(merged);
                i++;
            }
            else
            {
                result.Add(symbols[i]);
            }
        }
        return [.. result];
    }

    private void CountPairs(int word, int sign)
    {
        int[] symbols = _words[word];
        for (int i = 0; i + 1 < symbols.Length; i++)
        {
            (int, int) key = (symbols[i], symbols[i + 1]);
            if (!_pairs.TryGetValue(key, out Pair? pair))
            {
                _pairs.Add(key, pair = new Pair());
            }

            pair.Count += sign * _frequencies[word];
            if (sign > 0)
            {
                pair.Words.Add(word);
            }
        }
    }

    private void Enqueue((int Left, int Right) pair, long count) => _queue.Enqueue((pair, count), (-count, pair.Left, pair.Right));

    private sealed class Pair
    {
        public long Count { get; set; }

        // Every word that the pair occurs in, and maybe some that it no longer does.
        public HashSet<int> Words { get; } = [];
    }
}
