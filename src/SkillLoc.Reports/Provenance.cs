using System.Globalization;
using SkillLoc.Reports.Drawing;

namespace SkillLoc.Reports;

/// <summary>
/// Where numbers come from, for the foot of a picture. Records know some of it (rows, seeds of resamples) and the report adds that; the
/// rest is the caller's to say. What a picture leaves out is that of its report.
/// </summary>
public sealed record Provenance
{
    /// <summary>The rows that were measured, such as "872 rows of SST-2's dev.tsv"; null for what the record itself says.</summary>
    public string? Rows { get; init; }

    /// <summary>The seeds of the runs; null if none are known.</summary>
    public IReadOnlyList<long>? Seeds { get; init; }

    /// <summary>What was chosen, and on which rows: "sparsity on 100 validation rows"; "nothing" is worth saying, too.</summary>
    public string? Chosen { get; init; }

    /// <summary>The command that repeats it.</summary>
    public string? Command { get; init; }

    /// <summary>Fingerprints of models and data by name, such as those of <c>CheckpointFingerprint</c>; the first 16 characters are
    /// shown.</summary>
    public IReadOnlyDictionary<string, string>? Fingerprints { get; init; }

    /// <summary>Of what was computed from weights, without rows.</summary>
    internal static Provenance WeightsAlone { get; } = new() { Rows = "none: the weights alone" };

    /// <summary>This, and what it leaves out from another.</summary>
    internal Provenance Or(Provenance other) =>
        new()
        {
            Rows = Rows ?? other.Rows,
            Seeds = Seeds ?? other.Seeds,
            Chosen = Chosen ?? other.Chosen,
            Command = Command ?? other.Command,
            Fingerprints = Fingerprints ?? other.Fingerprints,
        };

    /// <summary>The lines at the foot of a picture.</summary>
    internal IReadOnlyList<string> Lines(string intervals)
    {
        const int Most = 12;
        var lines = new List<string>
        {
            Line("Rows", Rows ?? "not given"),
            Line(
                "Seeds",
                Seeds is { Count: > 0 } seeds
                    ? string.Join(", ", seeds.Take(Most).Select(seed => seed.ToString(CultureInfo.InvariantCulture)))
                        + (seeds.Count > Most ? FormattableString.Invariant($" and {seeds.Count - Most} more") : "")
                    : "not given"
            ),
            Line("Chosen", Chosen ?? "not given"),
            Line("Intervals", intervals.Length > 0 ? intervals : "none"),
        };
        if (Command is not null)
        {
            lines.Add(Line("Command", Command));
        }

        if (Fingerprints is { Count: > 0 } fingerprints)
        {
            lines.Add(
                Line("Fingerprints", string.Join(", ", fingerprints.Take(Most).Select(pair => $"{pair.Key} {Words.Short(pair.Value, 17)}")))
            );
        }

        return lines;

        static string Line(string name, string text) => $"{name}: {Words.Short(text, 400)}";
    }
}
