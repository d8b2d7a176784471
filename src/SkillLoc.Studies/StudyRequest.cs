namespace SkillLoc.Studies;

/// <summary>Which study is asked for.</summary>
/// <param name="Plan">The path of the plan, a JSON file.</param>
public sealed record StudyRequest(string Plan)
{
    /// <summary>A checkpoint folder or name in place of the plan's; null for the plan's.</summary>
    public string? Checkpoint { get; init; }

    /// <summary>A data folder in place of the plan's; null for the plan's.</summary>
    public string? Data { get; init; }

    /// <summary>Names of the plan's parts (tasks or experiments) that are wanted; empty for all.</summary>
    public IReadOnlyList<string> Only { get; init; } = [];
}
