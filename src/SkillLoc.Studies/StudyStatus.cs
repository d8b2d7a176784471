using System.Globalization;

namespace SkillLoc.Studies;

/// <summary>How far a study's runs are.</summary>
internal sealed record StudyStatus
{
    public required string Id { get; init; }

    public required string Name { get; init; }

    /// <summary>done, failed, running, stopped (its state is there) or open.</summary>
    public required string Status { get; init; }

    /// <summary>Who works on it, or why it failed; null for neither.</summary>
    public string? Note { get; init; }

    public static IReadOnlyList<StudyStatus> Of(string path)
    {
        var folder = new StudyFolder(path);
        var desk = new LeaseDesk(folder.Leases, TimeSpan.Zero, TimeSpan.Zero);
        return
        [
            .. folder
                .ReadManifest()
                .Runs.Select(run =>
                {
                    RunLease.Content? holder = desk.HolderOf(run.Id);
                    string? failure = folder.ReadFailure(run.Id);
                    (string status, string? note) = folder switch
                    {
                        _ when folder.Read(run.Id, null) is not null => ("done", null),
                        _ when holder is { Worker.IsDead: false } => ("running", $"{holder}"),
                        _ when failure is not null => ("failed", folder.FailureFile(run.Id)),
                        _ when holder is not null || Directory.Exists(folder.StateOf(run.Id)) => ("stopped", null),
                        _ => ("open", (string?)null),
                    };
                    return new StudyStatus
                    {
                        Id = run.Id,
                        Name = run.Name,
                        Status = status,
                        Note = note,
                    };
                }),
        ];
    }

    public override string ToString() => $"{Status, -8} {Id}  {Name}{(Note is null ? "" : $" ({Note})")}";

    /// <summary>Such as "3 done, 1 running".</summary>
    public static string Counts(IEnumerable<StudyStatus> runs) =>
        string.Join(
            ", ",
            runs.CountBy(run => run.Status, StringComparer.Ordinal)
                .OrderBy(each => each.Key, StringComparer.Ordinal)
                .Select(each => string.Create(CultureInfo.InvariantCulture, $"{each.Value} {each.Key}"))
        );
}
