using System.Text.Json.Serialization;
using SkillLoc.Studies;

namespace SkillLoc.GraftingStudy;

/// <summary>A data set of the study and the task that it is.</summary>
public sealed record StudyTask
{
    /// <summary>What the tables call it.</summary>
    public required string Name { get; init; }

    /// <summary>A task of the registry or of the plan's file: template, label words, limits.</summary>
    public required string Task { get; init; }

    /// <summary>The rows that shots are drawn from.</summary>
    public required StudyFile Train { get; init; }

    /// <summary>The rows that are measured on; null holds the plan's number of test rows out of <see cref="Train"/>.</summary>
    public StudyFile? Test { get; init; }

    /// <summary>In place of the plan's numbers of shots, as many: for a data set with small classes. Null takes the plan's.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<int>? Shots { get; init; }

    /// <summary>Names of other data sets with the same labels, whose test rows are measured on too.</summary>
    public IReadOnlyList<string> OutOfDistribution { get; init; } = [];
}
