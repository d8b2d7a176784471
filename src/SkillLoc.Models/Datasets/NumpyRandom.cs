namespace SkillLoc.Models.Datasets;

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
        for (var i = 1u; i < Length; i++)
            _state[i] = (1812433253u * (_state[i - 1] ^ (_state[i - 1] >> 30))) + i;
    }

    /// <summary>Shuffles in place.</summary>
    /// <typeparam name="T">The type of the values.</typeparam>
    /// <param name="values">The values.</param>
    public void Shuffle<T>(Span<T> values)
    {
        for (var i = values.Length - 1; i > 0; i--)
        {
            var j = (int)Below((uint)i);
            (values[i], values[j]) = (values[j], values[i]);
        }
    }

    // A number from 0 to max: bits are drawn until they are one.
    private uint Below(uint max)
    {
        var mask = uint.MaxValue >> System.Numerics.BitOperations.LeadingZeroCount(max);
        uint value;
        do
            value = Next() & mask;
        while (value > max);
        return value;
    }

    private uint Next()
    {
        if (_next == Length)
            Twist();
        var y = _state[_next++];
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c5680u;
        y ^= (y << 15) & 0xefc60000u;
        return y ^ (y >> 18);
    }

    private void Twist()
    {
        for (var i = 0; i < Length; i++)
        {
            var y = (_state[i] & 0x80000000u) | (_state[(i + 1) % Length] & 0x7fffffffu);
            _state[i] = _state[(i + Middle) % Length] ^ (y >> 1) ^ ((y & 1) * 0x9908b0dfu);
        }
        _next = 0;
    }
}
