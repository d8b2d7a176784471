using System.Globalization;

namespace SkillLoc.Benchmarks;

/// <summary>The largest resident set of this process (Linux).</summary>
public static class PeakMemory
{
    /// <summary>Bytes of a MiB.</summary>
    public const double BytesPerMiB = 1 << 20;

    /// <summary>The peak since the process or <see cref="Restart"/> began.</summary>
    /// <returns>MiB.</returns>
    public static double MiB() => Read("VmHWM:");

    /// <summary>Collects garbage and sets the peak back to what is resident now.</summary>
    /// <returns>What is resident now, in MiB.</returns>
    public static double Restart()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        File.WriteAllText("/proc/self/clear_refs", "5");
        return Read("VmRSS:");
    }

    private static double Read(string field) =>
        double.Parse(
            File.ReadLines("/proc/self/status")
                .First(line => line.StartsWith(field, StringComparison.Ordinal))[field.Length..]
                .Replace("kB", "", StringComparison.Ordinal),
            CultureInfo.InvariantCulture
        ) / 1024;
}
