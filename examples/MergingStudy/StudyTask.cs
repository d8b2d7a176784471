using SkillLoc.Models.Datasets;
using SkillLoc.Studies;

namespace SkillLoc.MergingStudy;

/// <summary>A data set of the study and the task that it is.</summary>
public sealed record StudyTask
{
    /// <summary>What the tables call it.</summary>
    public required string Name { get; init; }

    /// <summary>A task of the registry: template, label words, limits.</summary>
    public required string Task { get; init; }

    /// <summary>One to three files, which are split by the rule of <see cref="DataSplits"/>.</summary>
    public required IReadOnlyList<StudyFile> Sources { get; init; }
}
