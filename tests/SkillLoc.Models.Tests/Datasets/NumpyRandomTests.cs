using SkillLoc.Models.Datasets;

namespace SkillLoc.Models.Tests.Datasets;

public class NumpyRandomTests
{
    // Drawn by an independent program (methods, A.7); the row of 42 is NumPy's well-known one.
    [Theory]
    [InlineData(42, new[] { 8, 1, 5, 0, 7, 2, 9, 4, 3, 6 })]
    [InlineData(13, new[] { 3, 5, 6, 1, 4, 7, 8, 9, 0, 2 })]
    [InlineData(0, new[] { 2, 8, 4, 9, 1, 6, 7, 3, 0, 5 })]
    public void ItShufflesAsNumPy(uint seed, int[] expected)
    {
        int[] values = [.. Enumerable.Range(0, 10)];
        new NumpyRandom(seed).Shuffle<int>(values);
        Assert.Equal(expected, values);
    }

    // Long enough to twist the state several times; expected of Python's own Mersenne twister, set to NumPy's initial state.
    [Theory]
    [InlineData(42, new[] { 1860, 353, 1333, 905 }, 2008348118)]
    [InlineData(uint.MaxValue, new[] { 815, 455, 879, 1580 }, 2009436410)]
    public void LongListsToo(uint seed, int[] first, long weightedSum)
    {
        int[] values = [.. Enumerable.Range(0, 2000)];
        new NumpyRandom(seed).Shuffle<int>(values);
        Assert.Equal(first, values[..4]);
        Assert.Equal(weightedSum, values.Select((value, i) => (long)i * value).Sum());
    }

    [Fact]
    public void NothingAndOneAreLeftAlone()
    {
        var random = new NumpyRandom(7);
        random.Shuffle<int>([]);
        int[] one = new[] { 3 };
        random.Shuffle<int>(one);
        Assert.Equal([3], one);
    }
}
