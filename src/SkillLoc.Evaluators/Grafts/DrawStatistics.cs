namespace SkillLoc.Evaluators;

/// <summary>Statistics of a metric over several draws of a random control, such as random masks; use at least 5 (methods, D.6).</summary>
/// <param name="Mean">The mean.</param>
/// <param name="StandardDeviation">The sample standard deviation, over n - 1; NaN for a single draw.</param>
/// <param name="Count">n, the number of draws.</param>
public sealed record DrawStatistics(double Mean, double StandardDeviation, int Count)
{
    /// <summary>Computes the statistics of draws.</summary>
    /// <param name="values">The metric of each draw.</param>
    /// <returns>Mean and standard deviation.</returns>
    /// <exception cref="ArgumentException">There are no draws.</exception>
    public static DrawStatistics Of(IReadOnlyCollection<double> values)
    {
        ArgumentNullException.ThrowIfNull(values);
        if (values.Count == 0)
        {
            throw new ArgumentException("There are no draws.", nameof(values));
        }

        double mean = values.Average();
        return new(mean, Math.Sqrt(values.Sum(value => (value - mean) * (value - mean)) / (values.Count - 1)), values.Count);
    }
}
