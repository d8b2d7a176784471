using System.Diagnostics;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Text.Json;

namespace SkillLoc.Studies;

/// <summary>The line of a run in <c>log.jsonl</c>: what happened, which may differ each time, unlike the result.</summary>
internal sealed record RunLine
{
    public const int CurrentSchema = 1;

    public int Schema { get; init; } = CurrentSchema;

    public required DateTime Time { get; init; }

    public required string Study { get; init; }

    public required string Id { get; init; }

    public required string Name { get; init; }

    /// <summary>done, failed or stopped.</summary>
    public required string Status { get; init; }

    public string? Error { get; init; }

    public int? Seed { get; init; }

    public required string Commit { get; init; }

    public required IReadOnlyDictionary<string, string> Versions { get; init; }

    public required string Device { get; init; }

    /// <summary>OMP_NUM_THREADS, or else the processors: bits depend on it.</summary>
    public required string Threads { get; init; }

    public required string Host { get; init; }

    public required int Process { get; init; }

    /// <summary>Wall time of this attempt.</summary>
    public required double Seconds { get; init; }

    /// <summary>The process's, from its start.</summary>
    public required long PeakMemoryBytes { get; init; }

    public required IReadOnlyDictionary<string, double> Metrics { get; init; }

    public static byte[] Of(
        PlannedRun run,
        IStudy study,
        string status,
        string? error,
        StudyBuild build,
        string device,
        TimeSpan time,
        IReadOnlyDictionary<string, double> metrics
    )
    {
        using var self = System.Diagnostics.Process.GetCurrentProcess();
        var line = new RunLine
        {
            Time = DateTime.UtcNow,
            Study = study.Name,
            Id = run.Id,
            Name = run.Run.Name,
            Status = status,
            Error = error,
            Seed = run.Run.Seed,
            Commit = build.Commit,
            Versions = VersionsOf(build),
            Device = device,
            Threads = Environment.GetEnvironmentVariable("OMP_NUM_THREADS") ?? $"{Environment.ProcessorCount}",
            Host = Environment.MachineName,
            Process = Environment.ProcessId,
            Seconds = Math.Round(time.TotalSeconds, 3),
            PeakMemoryBytes = self.PeakWorkingSet64,
            Metrics = metrics,
        };
        return [.. JsonSerializer.SerializeToUtf8Bytes(line, StudyJson.Options), (byte)'\n'];
    }

    private static SortedDictionary<string, string> VersionsOf(StudyBuild build)
    {
        var versions = new SortedDictionary<string, string>(StringComparer.Ordinal)
        {
            ["skillloc"] = build.Version,
            ["dotnet"] = Environment.Version.ToString(),
            ["os"] = $"{RuntimeInformation.RuntimeIdentifier} {Environment.OSVersion.Version}",
        };
        foreach (Assembly assembly in AppDomain.CurrentDomain.GetAssemblies())
        {
            AssemblyName name = assembly.GetName();
            if (name.Name is "TorchSharp" or "Microsoft.ML.Core")
            {
                versions[name.Name] = FileVersionInfo.GetVersionInfo(assembly.Location).ProductVersion?.Split('+')[0] ?? $"{name.Version}";
            }
        }

        return versions;
    }
}
