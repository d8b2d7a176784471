using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Tokenization;

namespace SkillLoc.Pretrain;

/// <summary>Tokenised passages, and how they become batches of pieces.</summary>
public sealed class Passages
{
    private const int ShortestUseful = 8;
    private const int Special = 2;

    private readonly List<int[]> _training = [];
    private readonly List<int[]> _heldOut = [];
    private readonly CheckpointTokenizer _tokenizer;

    /// <summary>Tokenises texts. A text that occurs twice counts once, whatever its case, spaces and punctuation.</summary>
    /// <param name="texts">The texts.</param>
    /// <param name="leftOut">Texts that are not to be used.</param>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="heldOut">The share that is kept back; which texts these are depends on the texts alone.</param>
    public Passages(IEnumerable<string> texts, IEnumerable<string> leftOut, CheckpointTokenizer tokenizer, double heldOut)
    {
        ArgumentNullException.ThrowIfNull(texts);
        ArgumentNullException.ThrowIfNull(leftOut);
        _tokenizer = tokenizer;
        var seen = new HashSet<UInt128>();
        foreach (string text in leftOut)
        {
            seen.Add(Identity(text));
        }

        foreach (string text in texts)
        {
            UInt128 identity = Identity(text);
            if (!seen.Add(identity))
            {
                LeftOut++;
                continue;
            }

            int[] ids = tokenizer.Encode(" " + text);
            if (ids.Length + Special >= ShortestUseful)
            {
                ((uint)identity < heldOut * uint.MaxValue ? _heldOut : _training).Add(ids);
            }
        }
    }

    /// <summary>How many passages are trained on.</summary>
    public int Count => _training.Count;

    /// <summary>How many passages are kept back.</summary>
    public int HeldOutCount => _heldOut.Count;

    /// <summary>How many texts were repetitions or had to be left out.</summary>
    public int LeftOut { get; }

    /// <summary>The tokens that are trained on, special ones aside.</summary>
    public long Tokens => _training.Sum(ids => (long)ids.Length);

    /// <summary>
    /// One pass over the passages, cut anew into pieces of varying length, each piece between the special tokens. Batches hold pieces of
    /// similar length and come in random order.
    /// </summary>
    /// <param name="pass">The pass's number: with the seed it determines everything.</param>
    /// <param name="seed">The seed.</param>
    /// <param name="shortest">The fewest tokens of a piece, unless its passage has fewer.</param>
    /// <param name="longest">The most tokens of a piece.</param>
    /// <param name="tokensPerBatch">The most tokens of a batch, padding included.</param>
    public IEnumerable<int[][]> Batches(int pass, int seed, int shortest, int longest, int tokensPerBatch)
    {
        var random = new Random(HashSeed(seed, pass));
        int[][] pieces = [.. _training.SelectMany(ids => Cut(ids, random, shortest, longest))];
        random.Shuffle(pieces);

        // Sorting by length within parts of the pass keeps the order of texts random.
        int part = Math.Max(1, 64 * tokensPerBatch / longest);
        foreach (int[][] together in pieces.Chunk(part))
        {
            int[][] batches = [.. LengthBatches.Split([.. together.Select(piece => piece.Length)], tokensPerBatch)];
            random.Shuffle(batches);
            foreach (int[] batch in batches)
            {
                yield return [.. batch.Select(i => together[i])];
            }
        }
    }

    /// <summary>Held-out pieces of one exact length, special tokens included, at most so many tokens together.</summary>
    public IReadOnlyList<int[]> HeldOutPieces(int length, int tokens)
    {
        List<int[]> pieces = [];
        foreach (int[] ids in _heldOut)
        {
            for (int start = 0; start + length - Special <= ids.Length; start += length - Special)
            {
                pieces.Add(Wrap(ids.AsSpan(start, length - Special)));
            }
        }

        int[][] shuffled = [.. pieces];
        new Random(length).Shuffle(shuffled);
        return shuffled[..Math.Min(shuffled.Length, tokens / length)];
    }

    /// <summary>How often each token occurs in what is trained on.</summary>
    public long[] Frequencies(int vocabulary)
    {
        long[] counts = new long[vocabulary];
        foreach (int id in _training.SelectMany(ids => ids))
        {
            counts[id]++;
        }

        return counts;
    }

    /// <summary>How much less than others common tokens are to be hidden: by the square root of <paramref name="share"/> over their own
    /// share of the texts, where that is larger (the subsampling of Mikolov et al. 2013), and all the more the others, so that as many
    /// tokens are hidden as before.</summary>
    /// <param name="share">From which share of the texts a token is common; 0 makes all alike.</param>
    /// <param name="vocabulary">How many tokens there are.</param>
    /// <returns>A weight for each token id, whose mean over the texts is 1; null for all alike.</returns>
    public double[]? MaskWeights(double share, int vocabulary)
    {
        if (share == 0)
        {
            return null;
        }

        long[] counts = Frequencies(vocabulary);
        double total = counts.Sum();
        double[] weights = [.. counts.Select(count => Math.Min(1, Math.Sqrt(share * total / Math.Max(1, count))))];
        double mean = counts.Zip(weights, (count, weight) => count * weight).Sum() / total;
        return [.. weights.Select(weight => weight / mean)];
    }

    /// <summary>A seed for <see cref="Random"/> that differs for every pair.</summary>
    internal static int HashSeed(int seed, int number) => unchecked((seed * 1_000_003) + number);

    private IEnumerable<int[]> Cut(int[] ids, Random random, int shortest, int longest)
    {
        for (int start = 0; start < ids.Length; )
        {
            // Half of the pieces are as long as possible: those train the last positions.
            int length = random.Next(2) == 0 ? longest : random.Next(shortest, longest + 1);
            int count = Math.Min(length - Special, ids.Length - start);
            if (count + Special >= ShortestUseful)
            {
                yield return Wrap(ids.AsSpan(start, count));
            }

            start += count;
        }
    }

    private int[] Wrap(ReadOnlySpan<int> ids) => [_tokenizer.ClsId, .. ids, _tokenizer.SepId];

    private static UInt128 Identity(string text)
    {
        string letters = string.Concat(text.Where(char.IsLetterOrDigit)).ToLowerInvariant();
        return BinaryPrimitives.ReadUInt128LittleEndian(SHA256.HashData(Encoding.UTF8.GetBytes(letters)));
    }
}
