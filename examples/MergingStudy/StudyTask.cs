using SkillLoc.Models.Datasets;
using SkillLoc.Models.Prompts;
using SkillLoc.Studies;

namespace SkillLoc.MergingStudy;

/// <summary>A data set of the study and the task that it is.</summary>
public sealed record StudyTask
{
    /// <summary>What the tables call it.</summary>
    public required string Name { get; init; }

    /// <summary>A task of the registry: template, label words, limits.</summary>
    public required string Task { get; init; }

    /// <summary>Other labels and words than the registry's, in order.</summary>
    public IReadOnlyDictionary<string, string>? Words { get; init; }

    /// <summary>One to three files, which are split by the rule of <see cref="DataSplits"/>.</summary>
    public required IReadOnlyList<StudyFile> Sources { get; init; }

    /// <summary>Template and label words.</summary>
    /// <exception cref="ArgumentException">There is no such task, or words do not fit.</exception>
    public PromptTask Find()
    {
        PromptTask task = PromptTasks.Find(Task);
        return Words is null ? task : task with { Verbalizer = new Verbalizer(Words) };
    }
}
