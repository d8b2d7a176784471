using System.Globalization;

namespace SkillLoc.Studies;

/// <summary>Who holds a lease: a process, and where its number means something.</summary>
/// <param name="Host">The machine's name.</param>
/// <param name="Space">The machine's start and the container's process numbers; empty where nobody knows.</param>
/// <param name="Process">The process.</param>
/// <param name="Started">When it started, in the machine's own units, so that a number that is used again is not taken for it.</param>
internal sealed record Worker(string Host, string Space, int Process, long Started)
{
    public static Worker Self { get; } =
        new(Environment.MachineName, SpaceHere(), Environment.ProcessId, StartOf(Environment.ProcessId) ?? 0);

    /// <summary>Whether it is known to be dead. Of other machines nothing is known.</summary>
    public bool IsDead => Host == Self.Host && Space.Length > 0 && Space == Self.Space && StartOf(Process) != Started;

    private static string SpaceHere()
    {
        try
        {
            return OperatingSystem.IsLinux()
                ? $"{File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim()} {new FileInfo("/proc/self/ns/pid").LinkTarget}"
                : "";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }

    /// <summary>The field starttime of proc_pid_stat(5); null where no such process runs.</summary>
    private static long? StartOf(int process)
    {
        try
        {
            // The name, in parentheses, may hold anything; after it stand the state and, 19 fields later, the start.
            string stat = File.ReadAllText(string.Create(CultureInfo.InvariantCulture, $"/proc/{process}/stat"));
            string[] fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
            return fields[0] is "Z" or "X" ? null : long.Parse(fields[19], CultureInfo.InvariantCulture);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
