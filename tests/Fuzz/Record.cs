using System.Globalization;
using System.Text;

namespace SkillLoc.Fuzz;

/// <summary>A file of executions by target, to which this process adds its own.</summary>
/// <param name="path">The file; null for none.</param>
internal sealed class Record(string? path)
{
    private readonly Dictionary<string, (long Read, long Refused, int Findings, double Seconds)> _before = Before(path);

    /// <summary>Writes what was before and what these runs did.</summary>
    public void Add(IReadOnlyList<Run> runs)
    {
        long all = runs.Sum(run => run.Read + run.Refused);
        Console.WriteLine(
            string.Create(
                CultureInfo.InvariantCulture,
                $"{DateTime.UtcNow:HH:mm:ss} {all} executions, {runs.Sum(run => run.Findings)} findings, {runs.Sum(run => run.Files.Count)} files kept"
            )
        );
        if (path is null)
        {
            return;
        }

        var sums = new SortedDictionary<string, (long Read, long Refused, int Findings, double Seconds)>(_before, StringComparer.Ordinal);
        foreach (Run run in runs)
        {
            (long read, long refused, int findings, double seconds) = sums.GetValueOrDefault(run.Target.Name);
            sums[run.Target.Name] = (read + run.Read, refused + run.Refused, findings + run.Findings, seconds + run.Time.TotalSeconds);
        }

        var text = new StringBuilder("target\tread\trefused\tfindings\tseconds\n");
        foreach ((string name, (long read, long refused, int findings, double seconds)) in sums)
        {
            text.Append(CultureInfo.InvariantCulture, $"{name}\t{read}\t{refused}\t{findings}\t{seconds:F0}\n");
        }

        File.WriteAllText(path + ".new", text.ToString());
        File.Move(path + ".new", path, overwrite: true);
    }

    /// <summary>What some runs did, for people.</summary>
    public static string Table(IReadOnlyList<Run> runs)
    {
        var text = new StringBuilder("target\tread\trefused\tfindings\tper second\tslowest ms\tmost MB\n");
        foreach (Run run in runs)
        {
            text.Append(
                CultureInfo.InvariantCulture,
                $"{run.Target.Name}\t{run.Read}\t{run.Refused}\t{run.Findings}\t{(run.Read + run.Refused) / Math.Max(run.Time.TotalSeconds, 0.001):F0}\t{run.Slowest.TotalMilliseconds:F0}\t{run.MostAllocated / 1048576.0:F1}\n"
            );
        }

        return text.ToString();
    }

    private static Dictionary<string, (long Read, long Refused, int Findings, double Seconds)> Before(string? path)
    {
        var sums = new Dictionary<string, (long Read, long Refused, int Findings, double Seconds)>(StringComparer.Ordinal);
        foreach (
            string[] columns in (path is not null && File.Exists(path) ? File.ReadLines(path) : []).Skip(1).Select(line => line.Split('\t'))
        )
        {
            sums.Add(
                columns[0],
                (
                    long.Parse(columns[1], CultureInfo.InvariantCulture),
                    long.Parse(columns[2], CultureInfo.InvariantCulture),
                    int.Parse(columns[3], CultureInfo.InvariantCulture),
                    double.Parse(columns[4], CultureInfo.InvariantCulture)
                )
            );
        }

        return sums;
    }
}
