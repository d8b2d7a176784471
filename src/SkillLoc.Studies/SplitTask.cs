using SkillLoc.Models.Datasets;
using SkillLoc.Models.Prompts;

namespace SkillLoc.Studies;

/// <summary>A data set of a study, whose files are split into rows to learn from, to choose by and to judge by, and the task that it
/// is.</summary>
public sealed record SplitTask
{
    /// <summary>What the tables call it.</summary>
    public required string Name { get; init; }

    /// <summary>A task of the registry: template, label words, limits. For a T5 checkpoint one of the text-to-text tasks.</summary>
    public required string Task { get; init; }

    /// <summary>Other labels and words than the registry's, in order; for a T5 checkpoint the answer to each label.</summary>
    public IReadOnlyDictionary<string, string>? Words { get; init; }

    /// <summary>One to three files, which are split by the rule of <see cref="DataSplits"/>.</summary>
    public required IReadOnlyList<StudyFile> Sources { get; init; }

    /// <summary>Template and label words.</summary>
    /// <returns>The task.</returns>
    /// <exception cref="ArgumentException">There is no such task, or words do not fit.</exception>
    public PromptTask Find()
    {
        PromptTask task = PromptTasks.Find(Task);
        return Words is null ? task : task with { Verbalizer = new Verbalizer(Words) };
    }
}
