using System.Globalization;

namespace SkillLoc.ServeLoad;

/// <summary>What a run of requests came to.</summary>
/// <param name="Latencies">How long each request took that was answered with 200, sorted.</param>
/// <param name="Failed">The number of others, by their status; 0 stands for none.</param>
/// <param name="Time">How long the run took.</param>
public sealed record LoadResult(IReadOnlyList<TimeSpan> Latencies, IReadOnlyDictionary<int, int> Failed, TimeSpan Time)
{
    /// <summary>Answers a second.</summary>
    public double Rate => Latencies.Count / Time.TotalSeconds;

    /// <summary>The latency that a share of the requests did not exceed.</summary>
    public TimeSpan Quantile(double share) =>
        Latencies.Count == 0
            ? TimeSpan.Zero
            : Latencies[Math.Clamp((int)Math.Ceiling(share * Latencies.Count) - 1, 0, Latencies.Count - 1)];

    public override string ToString() =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"{Latencies.Count} requests, {Rate:F0} a second, p50 {Milliseconds(0.5):F1} ms, p90 {Milliseconds(0.9):F1} ms, "
                + $"p99 {Milliseconds(0.99):F1} ms ({Milliseconds(0.99) / Milliseconds(0.5):F1} times p50), longest {Milliseconds(1):F1} ms"
        ) + string.Concat(Failed.Select(pair => $", {pair.Value} with status {pair.Key}"));

    private double Milliseconds(double share) => Quantile(share).TotalMilliseconds;
}
