namespace SkillLoc.Studies;

/// <summary>What a study's folder says of itself, <c>study.json</c>: enough for its status and for merging, without the data.</summary>
internal sealed record StudyManifest
{
    public int Schema { get; init; } = StudyFolder.Schema;

    public required string Study { get; init; }

    public required int StudyVersion { get; init; }

    public required IReadOnlyList<Entry> Runs { get; init; }

    /// <summary>What was given in place of the plan's own.</summary>
    public string? Checkpoint { get; init; }

    public string? Data { get; init; }

    public IReadOnlyList<string> Only { get; init; } = [];

    public static StudyManifest Of(IStudy study, IReadOnlyList<PlannedRun> runs, StudyRequest? request) =>
        new()
        {
            Study = study.Name,
            StudyVersion = study.Version,
            Runs =
            [
                .. runs.Select(run => new Entry(
                    run.Id,
                    run.Run.Name,
                    run.Run.Seed,
                    [.. run.After.Select(earlier => earlier.Id)],
                    run.Run.HasTemporaryFiles
                )),
            ],
            Checkpoint = request?.Checkpoint,
            Data = request?.Data,
            Only = request?.Only ?? [],
        };

    /// <summary>The request that the study was made by, given where its plan lies now.</summary>
    public StudyRequest Request(string plan) =>
        new(plan)
        {
            Checkpoint = Checkpoint,
            Data = Data,
            Only = Only,
        };

    /// <summary>The runs that come after a run.</summary>
    public IEnumerable<Entry> Readers(string id) => Runs.Where(run => run.After.Contains(id, StringComparer.Ordinal));

    internal sealed record Entry(string Id, string Name, int? Seed, IReadOnlyList<string> After, bool HasTemporaryFiles);
}
