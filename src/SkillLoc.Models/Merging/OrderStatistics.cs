using System.Runtime.InteropServices;

namespace SkillLoc.Models.Merging;

/// <summary>
/// Finds an order statistic of float32 values exactly in two passes over them, without sorting or copying: values are counted by the upper
/// half of their bits, then those of the half that holds the wanted one by the lower half. The values may come in pieces, so that those of
/// a whole model are ordered without being in memory together.
/// </summary>
/// <param name="magnitudes">Whether magnitudes are ordered instead of values.</param>
internal sealed class OrderStatistics(bool magnitudes)
{
    private readonly long[] _counts = new long[1 << 16];
    private uint _upper;
    private long _rank;
    private bool _isRefining;

    /// <summary>Number of values counted so far.</summary>
    public long Count { get; private set; }

    /// <summary>Returns the value at a rank.</summary>
    /// <param name="values">The values.</param>
    /// <param name="rank">The number of values below it, from 0.</param>
    /// <param name="magnitudes">Whether magnitudes are ordered.</param>
    public static float At(ReadOnlySpan<float> values, long rank, bool magnitudes)
    {
        var statistics = new OrderStatistics(magnitudes);
        statistics.Add(values);
        statistics.Refine(rank);
        statistics.Add(values);
        return statistics.Result().Value;
    }

    /// <summary>Returns what separates the k largest magnitudes from the others.</summary>
    /// <param name="values">The values.</param>
    /// <param name="k">How many are kept, at most all.</param>
    public static MagnitudeCut Largest(ReadOnlySpan<float> values, long k)
    {
        if (k <= 0)
        {
            return MagnitudeCut.None;
        }

        var statistics = new OrderStatistics(magnitudes: true);
        statistics.Add(values);
        statistics.Refine(values.Length - Math.Min(k, values.Length));
        statistics.Add(values);
        return statistics.Cut();
    }

    /// <summary>Counts values: all of them before <see cref="Refine"/> and once more after it.</summary>
    public void Add(ReadOnlySpan<float> values)
    {
        foreach (float value in values)
        {
            uint key = Key(value);
            if (!_isRefining)
            {
                _counts[key >> 16]++;
            }
            else if (key >> 16 == _upper)
            {
                _counts[key & 0xFFFF]++;
            }
        }

        Count += _isRefining ? 0 : values.Length;
    }

    /// <summary>Chooses the rank, once all values were counted.</summary>
    /// <param name="rank">The number of values below the wanted one, from 0.</param>
    public void Refine(long rank)
    {
        (_upper, _rank) = Find(rank);
        Array.Clear(_counts);
        _isRefining = true;
    }

    /// <summary>The value at the rank, and how many equal ones are below it in rank.</summary>
    public (float Value, long EqualBelow) Result()
    {
        (uint lower, long below) = Find(_rank);
        uint key = (_upper << 16) | lower;
        int bits =
            magnitudes ? (int)key
            : (key & 0x80000000) != 0 ? (int)(key ^ 0x80000000)
            : (int)~key;
        return (BitConverter.Int32BitsToSingle(bits), below);
    }

    /// <summary>The cut below which all magnitudes of lower rank are dropped.</summary>
    public MagnitudeCut Cut()
    {
        (float value, long equalBelow) = Result();
        (uint lower, _) = Find(_rank);
        return new(value, _counts[lower] - equalBelow);
    }

    private (uint Bucket, long Below) Find(long rank)
    {
        for (uint bucket = 0; bucket < _counts.Length; bucket++)
        {
            if (rank < _counts[bucket])
            {
                return (bucket, rank);
            }

            rank -= _counts[bucket];
        }

        throw new ArgumentOutOfRangeException(nameof(rank), rank, "There are fewer values.");
    }

    /// <summary>An unsigned number that is ordered as the values are.</summary>
    private uint Key(float value)
    {
        uint bits = (uint)BitConverter.SingleToInt32Bits(value);
        return magnitudes ? bits & 0x7FFFFFFF
            : (bits & 0x80000000) != 0 ? ~bits
            : bits | 0x80000000;
    }
}

/// <summary>Separates the largest magnitudes from the others. Of those that equal the smallest kept one, the first are kept.</summary>
/// <param name="Smallest">The smallest magnitude that is kept.</param>
/// <param name="Equal">How many of exactly that magnitude are kept.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct MagnitudeCut(float Smallest, long Equal)
{
    /// <summary>Keeps nothing.</summary>
    public static MagnitudeCut None { get; } = new(float.PositiveInfinity, 0);

    /// <summary>Whether a value is kept; to be asked for each in order.</summary>
    /// <param name="value">The value.</param>
    /// <param name="left">How many of the smallest kept magnitude may still be kept, at first <see cref="Equal"/>.</param>
    public bool Keeps(float value, ref long left)
    {
        float magnitude = MathF.Abs(value);
        return magnitude > Smallest || (magnitude == Smallest && left-- > 0);
    }

    /// <summary>Sets all other values to zero.</summary>
    public void Apply(Span<float> values)
    {
        long left = Equal;
        foreach (ref float value in values)
        {
            if (!Keeps(value, ref left))
            {
                value = 0;
            }
        }
    }
}
