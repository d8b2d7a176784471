using System.Globalization;

namespace SkillLoc.Models.Datasets;

/// <summary>
/// Splits a data set into training, development and test rows (methods, B.5). All programs with the same seed use the same split, so that
/// no training row is a development or test row of another program.
/// </summary>
public static class DataSplits
{
    /// <summary>The default seed of all programs.</summary>
    public const uint DefaultSeed = 0;

    /// <summary>
    /// Splits a data set. Three sources are used as training, development and test rows. Of two, the second is the test set, and the first
    /// is split at random, 80 % for training. One source is split at random, 80 % for training and 10 % for development. Sizes are rounded
    /// down; the last part gets the rest.
    /// </summary>
    /// <param name="sources">One to three sources, such as the rows of a file; they are not changed.</param>
    /// <param name="seed">The seed of NumPy's generator.</param>
    /// <returns>The three splits.</returns>
    /// <exception cref="ArgumentException">There are no sources, or more than three.</exception>
    /// <exception cref="InvalidDataException">A split would be empty.</exception>
    public static (IReadOnlyList<LabeledText> Train, IReadOnlyList<LabeledText> Dev, IReadOnlyList<LabeledText> Test) Split(
        IReadOnlyList<IReadOnlyList<LabeledText>> sources,
        uint seed = DefaultSeed
    )
    {
        ArgumentNullException.ThrowIfNull(sources);
        (IReadOnlyList<LabeledText>, IReadOnlyList<LabeledText>, IReadOnlyList<LabeledText>) splits = sources.Count switch
        {
            1 => Parts(sources[0], (int)(sources[0].Count * 8L / 10), (int)(sources[0].Count / 10L)),
            2 when Parts(sources[0], (int)(sources[0].Count * 8L / 10), null) is var parts => (parts.Item1, parts.Item2, sources[1]),
            3 => (sources[0], sources[1], sources[2]),
            _ => throw new ArgumentException($"A data set has one to three sources, not {sources.Count}.", nameof(sources)),
        };
        return splits.Item1.Count > 0 && splits.Item2.Count > 0 && splits.Item3.Count > 0
            ? splits
            : throw new InvalidDataException(
                $"Sources of {string.Join(", ", sources.Select(source => source.Count))} rows are split into {splits.Item1.Count} to "
                    + "train, "
                    + $"{splits.Item2.Count} for development and {splits.Item3.Count} for the test; each needs one."
            );

        (IReadOnlyList<LabeledText>, IReadOnlyList<LabeledText>, IReadOnlyList<LabeledText>) Parts(
            IReadOnlyList<LabeledText> rows,
            int train,
            int? dev
        )
        {
            LabeledText[] shuffled = rows.ToArray();
            new NumpyRandom(seed).Shuffle<LabeledText>(shuffled);
            int end = train + (dev ?? rows.Count - train);
            return (shuffled[..train], shuffled[train..end], shuffled[end..]);
        }
    }
}

/// <summary>A part of a data set.</summary>
public enum DataSplit
{
    /// <summary>Training rows.</summary>
    Train,

    /// <summary>Development rows, by which the best state is selected.</summary>
    Dev,

    /// <summary>Test rows.</summary>
    Test,
}

/// <summary>A labelled row.</summary>
/// <param name="Text">The first sentence.</param>
/// <param name="TextPair">The second sentence; null for tasks on single sentences.</param>
/// <param name="Label">The label, or the score of a regression as text.</param>
/// <param name="Line">The first line of the row in its file, from 1; 0 without a file.</param>
public sealed record LabeledText(string Text, string? TextPair, string Label, int Line = 0)
{
    /// <summary>Returns the label of a regression as a number.</summary>
    /// <returns>The score.</returns>
    /// <exception cref="FormatException">The label is not a number; a file's labels are checked when its format has a score
    /// range.</exception>
    public float ToScore() => float.Parse(Label, NumberStyles.Float, CultureInfo.InvariantCulture);
}

/// <summary>
/// NumPy's legacy generator, <c>numpy.random.seed(s)</c> and <c>numpy.random.shuffle(list)</c>, bit for bit: the 32-bit Mersenne twister of
/// Matsumoto and Nishimura (1998), seeded by one integer.
/// </summary>
/// <remarks>Our own since Math.NET's twister does not give its 32-bit draws in order: shuffles differ for every seed that was
/// tried.</remarks>
internal sealed class NumpyRandom
{
    private const int Length = 624;
    private const int Middle = 397;

    private readonly uint[] _state = new uint[Length];
    private int _next = Length;

    /// <summary>Seeds a generator.</summary>
    /// <param name="seed">The seed.</param>
    public NumpyRandom(uint seed)
    {
        _state[0] = seed;
        for (uint i = 1u; i < Length; i++)
        {
            _state[i] = (1812433253u * (_state[i - 1] ^ (_state[i - 1] >> 30))) + i;
        }
    }

    /// <summary>Shuffles in place.</summary>
    /// <typeparam name="T">The type of the values.</typeparam>
    /// <param name="values">The values.</param>
    public void Shuffle<T>(Span<T> values)
    {
        for (int i = values.Length - 1; i > 0; i--)
        {
            int j = (int)Below((uint)i);
            (values[i], values[j]) = (values[j], values[i]);
        }
    }

    // A number from 0 to max: bits are drawn until they are one.
    private uint Below(uint max)
    {
        uint mask = uint.MaxValue >> System.Numerics.BitOperations.LeadingZeroCount(max);
        uint value;
        do
        {
            value = Next() & mask;
        } while (value > max);
        return value;
    }

    private uint Next()
    {
        if (_next == Length)
        {
            Twist();
        }

        uint y = _state[_next++];
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c5680u;
        y ^= (y << 15) & 0xefc60000u;
        return y ^ (y >> 18);
    }

    private void Twist()
    {
        for (int i = 0; i < Length; i++)
        {
            uint y = (_state[i] & 0x80000000u) | (_state[(i + 1) % Length] & 0x7fffffffu);
            _state[i] = _state[(i + Middle) % Length] ^ (y >> 1) ^ ((y & 1) * 0x9908b0dfu);
        }
        _next = 0;
    }
}
