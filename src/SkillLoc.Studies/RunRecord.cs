using System.Text.Json;

namespace SkillLoc.Studies;

/// <summary>What <c>runs/ID/result.json</c> holds: the same bytes whoever measured, by the same program.</summary>
internal sealed record RunRecord
{
    public int Schema { get; init; } = StudyFolder.Schema;

    public required string Id { get; init; }

    public required string Name { get; init; }

    public required string Study { get; init; }

    public required int StudyVersion { get; init; }

    public required string Version { get; init; }

    public required string Commit { get; init; }

    public int? Seed { get; init; }

    public required JsonElement Settings { get; init; }

    public required JsonElement Result { get; init; }

    public StudyBuild Build() => new(Version, Commit);
}
