namespace SkillLoc.Fuzz;

/// <summary>Random numbers that are the same for the same seed (xorshift64*), and cheap.</summary>
internal sealed class Dice
{
    private ulong _state;

    public Dice(int seed, string name)
    {
        _state = 14695981039346656037UL ^ (uint)seed;
        foreach (char letter in name)
        {
            _state = (_state ^ letter) * 1099511628211UL;
        }

        _state = _state == 0 ? 1 : _state;
    }

    /// <summary>A number from 0 to below <paramref name="end"/>; 0 where that is not above 0.</summary>
    public int Next(int end) => end <= 0 ? 0 : (int)(Next() % (ulong)end);

    public ulong Next()
    {
        _state ^= _state >> 12;
        _state ^= _state << 25;
        _state ^= _state >> 27;
        return _state * 2685821657736338717UL;
    }

    public bool OneIn(int count) => Next(count) == 0;

    public T Pick<T>(IReadOnlyList<T> values) => values[Next(values.Count)];
}
