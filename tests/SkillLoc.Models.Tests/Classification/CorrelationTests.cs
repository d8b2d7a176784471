using SkillLoc.Models.Classification;
using SkillLoc.Models.Prompts;

namespace SkillLoc.Models.Tests.Classification;

public class CorrelationTests
{
    [Fact]
    public void WithoutTiesBothAreThoseWorkedOutByHand()
    {
        // Deviations -2 -1 0 1 2 and -1 -2 1 0 2: products 8, squares 10 and 10. The values are their own ranks.
        double[] x = [1, 2, 3, 4, 5],
            y = [2, 1, 4, 3, 5];
        Assert.Equal(0.8, Correlation.Pearson(x, y), 12);
        Assert.Equal(0.8, Correlation.Spearman(x, y), 12);

        // The usual example of hours before the television against intelligence: 1 - 6 * 194 / (10 * 99).
        double[] intelligence = [106, 100, 86, 101, 99, 103, 97, 113, 112, 110],
            hours = [7, 27, 2, 50, 28, 29, 20, 12, 6, 17];
        Assert.Equal(-29.0 / 165, Correlation.Spearman(intelligence, hours), 12);
    }

    [Fact]
    public void TiesShareTheMeanOfTheirRanks()
    {
        // Ranks 1 2.5 2.5 4 and 1 2 3.5 3.5: products of deviations 3.75, squares 4.5 and 4.5.
        double[] x = [1, 2, 2, 4],
            y = [10, 20, 30, 30];
        Assert.Equal(3.75 / 4.5, Correlation.Spearman(x, y), 12);
        Assert.Equal(27.5 / Math.Sqrt(4.75 * 275), Correlation.Pearson(x, y), 12);
    }

    [Fact]
    public void LinesDoNotChangePearsonsAndRisingFunctionsDoNotChangeSpearmans()
    {
        var random = new Random(3);
        double[] x = [.. Enumerable.Range(0, 50).Select(_ => random.NextDouble())],
            y = [.. x.Select(value => value + random.NextDouble())];
        Assert.Equal(Correlation.Pearson(x, y), Correlation.Pearson([.. x.Select(value => (3 * value) - 7)], y), 12);
        Assert.Equal(-Correlation.Pearson(x, y), Correlation.Pearson(x, [.. y.Select(value => -value)]), 12);
        Assert.Equal(Correlation.Spearman(x, y), Correlation.Spearman([.. x.Select(Math.Exp)], y), 12);
        Assert.NotEqual(Correlation.Pearson(x, y), Correlation.Spearman(x, y), 6);
        Assert.Equal(1, Correlation.Spearman(x, [.. x.Select(Math.Exp)]), 12);
    }

    [Fact]
    public void OfAConstantThereIsNoneAndTrainingCounts0()
    {
        // The mean of these is not exactly 0.1 in floating point.
        double[] constant = [.. Enumerable.Repeat(0.1, 10)],
            rising = [.. Enumerable.Range(0, 10)];
        Assert.True(double.IsNaN(Correlation.Pearson(constant, rising)));
        Assert.True(double.IsNaN(Correlation.Spearman(rising, constant)));
        Assert.Equal(0, ClassificationMetric.Evaluate(constant, rising));
        Assert.Equal(1, ClassificationMetric.Evaluate(rising, rising), 12);
    }

    [Fact]
    public void SeriesAreAsLongAsEachOtherAndNotEmpty()
    {
        Assert.Throws<ArgumentException>(() => Correlation.Pearson([1, 2], [1]));
        Assert.Throws<ArgumentException>(() => Correlation.Spearman([], []));
        Assert.Throws<ArgumentException>(() => ClassificationMetric.Evaluate(PromptMetric.Correlation, [0, 1], [0, 1]));
    }
}
