using SkillLoc.Models.NativeCalls;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Backbones;

/// <summary>Biases of attention scores by the distance between query and key, as T5 and MPNet have them.</summary>
internal static class RelativePositions
{
    /// <summary>MPNet's number of buckets, which its code fixes.</summary>
    public const int MpnetBuckets = 32;

    /// <summary>The distance beyond which MPNet's share a bucket.</summary>
    public const int MpnetMaxDistance = 128;

    /// <summary>
    /// The bucket of a distance from a query to a key: exact for short distances, then increasingly coarse up to the largest distance,
    /// beyond which all share one.
    /// </summary>
    /// <param name="distance">The key's position less the query's.</param>
    /// <param name="bidirectional">True uses half of the buckets for keys after the query; false puts them into bucket 0.</param>
    /// <param name="buckets">Number of buckets.</param>
    /// <param name="farthest">The end of the last bucket.</param>
    public static int Bucket(int distance, bool bidirectional, int buckets, int farthest)
    {
        int first = 0;
        if (bidirectional)
        {
            buckets /= 2;
            first = distance > 0 ? buckets : 0;
            distance = Math.Abs(distance);
        }
        else
        {
            distance = Math.Max(-distance, 0);
        }

        int exact = buckets / 2;
        if (distance < exact)
        {
            return first + distance;
        }

        // In single precision, as transformers computes it, so that borders fall where its do.
        float step = MathF.Log((float)distance / exact) / (float)Math.Log((double)farthest / exact) * (buckets - exact);
        return first + (int)Math.Min(exact + (double)step, buckets - 1);
    }

    /// <summary>The bias of each distance from a query to a key.</summary>
    /// <param name="table">Biases by bucket, <c>[buckets, heads]</c>.</param>
    /// <param name="first">The first distance.</param>
    /// <param name="last">The last distance.</param>
    /// <param name="bucket">The bucket of a distance.</param>
    /// <returns><c>[distances, heads]</c>.</returns>
    public static Tensor ByDistance(Tensor table, int first, int last, Func<int, int> bucket)
    {
        long[] buckets = [.. Enumerable.Range(first, last - first + 1).Select(distance => (long)bucket(distance))];
        using Tensor index = tensor(buckets, device: table.device);
        return table.index_select(0, index);
    }

    /// <summary>The biases of the scores of queries and keys; keys start at position 0.</summary>
    /// <param name="table">Biases by bucket, <c>[buckets, heads]</c>.</param>
    /// <param name="firstQuery">Position of the first query.</param>
    /// <param name="queries">Number of queries.</param>
    /// <param name="keys">Number of keys.</param>
    /// <param name="bucket">The bucket of a distance.</param>
    /// <returns><c>[1, heads, queries, keys]</c>.</returns>
    public static Tensor Biases(Tensor table, long firstQuery, long queries, long keys, Func<int, int> bucket)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor byDistance = ByDistance(table, -(int)(firstQuery + queries - 1), (int)(keys - firstQuery) - 1, bucket);
        Tensor query = TensorArithmetic.Arange(queries - 1, -1, table.device, step: -1).unsqueeze(1);
        Tensor distance = query.Add(TensorArithmetic.Arange(0, keys, table.device));
        return byDistance
            .index_select(0, distance.view(-1))
            .view(queries, keys, -1)
            .permute(2, 0, 1)
            .unsqueeze(0)
            .MoveToOuterDisposeScope();
    }
}
