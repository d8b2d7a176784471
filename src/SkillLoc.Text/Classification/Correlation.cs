namespace SkillLoc.Models.Classification;

/// <summary>Correlation coefficients.</summary>
public static class Correlation
{
    /// <summary>Pearson's correlation: the strength of the linear relation of two series.</summary>
    /// <param name="x">One series.</param>
    /// <param name="y">The other series, of the same length.</param>
    /// <returns>From -1 to 1; NaN if a series is constant.</returns>
    /// <exception cref="ArgumentException">There are no values, or the series differ in length.</exception>
    public static double Pearson(ReadOnlySpan<double> x, ReadOnlySpan<double> y)
    {
        if (x.Length == 0 || x.Length != y.Length)
        {
            throw new ArgumentException($"There are {x.Length} and {y.Length} values to correlate.", nameof(y));
        }

        double meanX = Mean(x),
            meanY = Mean(y),
            squaresX = 0,
            squaresY = 0,
            products = 0;
        for (int i = 0; i < x.Length; i++)
        {
            double dx = x[i] - meanX,
                dy = y[i] - meanY;
            squaresX += dx * dx;
            squaresY += dy * dy;
            products += dx * dy;
        }

        // Rounding may leave a constant series a little spread around its mean, so that is told by the values themselves.
        return IsConstant(x) || IsConstant(y) ? double.NaN : Math.Clamp(products / (Math.Sqrt(squaresX) * Math.Sqrt(squaresY)), -1, 1);
    }

    /// <summary>Spearman's correlation: Pearson's of the ranks, with tied values at their mean rank.</summary>
    /// <param name="x">One series.</param>
    /// <param name="y">The other series, of the same length.</param>
    /// <returns>From -1 to 1; NaN if a series is constant.</returns>
    /// <exception cref="ArgumentException">There are no values, or the series differ in length.</exception>
    public static double Spearman(ReadOnlySpan<double> x, ReadOnlySpan<double> y) => Pearson(Ranks(x), Ranks(y));

    private static double Mean(ReadOnlySpan<double> values)
    {
        double sum = 0;
        foreach (double value in values)
        {
            sum += value;
        }

        return sum / values.Length;
    }

    private static bool IsConstant(ReadOnlySpan<double> values) => !values.ContainsAnyExcept(values[0]);

    private static double[] Ranks(ReadOnlySpan<double> values)
    {
        double[] sorted = values.ToArray();
        int[] order = [.. Enumerable.Range(0, sorted.Length)];
        Array.Sort(sorted, order);
        double[] ranks = new double[sorted.Length];
        for (int start = 0, end; start < sorted.Length; start = end)
        {
            for (end = start + 1; end < sorted.Length && sorted[end] == sorted[start]; end++) { }

            // Ranks count from 1: start + 1 to end.
            foreach (int place in order.AsSpan(start, end - start))
            {
                ranks[place] = (start + 1 + end) / 2.0;
            }
        }

        return ranks;
    }
}
