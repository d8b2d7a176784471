namespace SkillLoc.Reports.Pictures;

/// <summary>Intervals of shares and of seeds.</summary>
internal static class Intervals
{
    /// <summary>What the foot of a picture says of them.</summary>
    public const string OverRows = "95 % of the shares that resampled rows have (bootstrap over rows, the exact percentiles)";

    /// <summary>The 2.5 % and 97.5 % percentiles of the share of right rows over all resamples of the rows: percentiles of the binomial
    /// distribution, to which a bootstrap with ever more resamples leads.</summary>
    public static double[] OfShare(double share, long rows)
    {
        if (rows <= 0 || !(share is >= 0 and <= 1))
        {
            return [double.NaN, double.NaN];
        }

        if (share is 0 or 1)
        {
            return [share, share];
        }

        // Weights relative to that of the mode.
        long mode = Math.Clamp((long)Math.Round(rows * share), 0, rows),
            reach = (long)Math.Ceiling(8 * Math.Sqrt(rows * share * (1 - share))) + 10,
            first = Math.Max(0, mode - reach),
            last = Math.Min(rows, mode + reach);
        double[] weights = new double[last - first + 1];
        double odds = share / (1 - share);
        weights[mode - first] = 1;
        for (long k = mode; k < last; k++)
        {
            weights[k + 1 - first] = weights[k - first] * ((rows - k) / (double)(k + 1) * odds);
        }

        for (long k = mode; k > first; k--)
        {
            weights[k - 1 - first] = weights[k - first] * (k / ((rows - k + 1) * odds));
        }

        double total = weights.Sum();
        return [Percentile(0.025), Percentile(0.975)];

        double Percentile(double wanted)
        {
            double sum = 0;
            for (int i = 0; i < weights.Length; i++)
            {
                sum += weights[i] / total;
                if (sum >= wanted)
                {
                    return (double)(first + i) / rows;
                }
            }

            return 1;
        }
    }

    /// <summary>Mean and sample standard deviation; the deviation of one value is no number.</summary>
    public static double[] OfRuns(IReadOnlyCollection<double> values)
    {
        double mean = values.Average();
        return [mean, Math.Sqrt(values.Sum(value => (value - mean) * (value - mean)) / (values.Count - 1))];
    }
}
