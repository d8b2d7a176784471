using SkillLoc.Models.Datasets;
using SkillLoc.Models.Prompts;
using SkillLoc.Studies;

namespace SkillLoc.SkillNeuronStudy;

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

    /// <summary>A question that makes a balanced binary set of three or four labels (<see cref="BinaryTasks.Ask"/>).</summary>
    public BinaryQuestion? Question { get; init; }

    /// <summary>The labels in the order that the question needs.</summary>
    public IReadOnlyList<string>? Labels { get; init; }

    /// <summary>Labels whose rows are taken, renamed to 0, 1, ... (<see cref="BinaryTasks.Subset"/>).</summary>
    public IReadOnlyList<string>? Subset { get; init; }

    /// <summary>A human-written prompt, whose words' embeddings stand in for a tuned one.</summary>
    public required string Prompt { get; init; }

    /// <summary>Template and label words.</summary>
    /// <exception cref="ArgumentException">There is no such task, or words do not fit.</exception>
    public PromptTask Find()
    {
        PromptTask task = PromptTasks.Find(Task);
        return Words is null ? task : task with { Verbalizer = new Verbalizer(Words) };
    }

    /// <summary>Reads a source and makes the rows of it that the task asks for.</summary>
    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="InvalidDataException">A row is not as the format says, or a label is missing.</exception>
    public IReadOnlyList<LabeledText> Read(StudyFile source, string folder)
    {
        IReadOnlyList<LabeledText> rows = source.Read(folder);
        return Question is { } question ? BinaryTasks.Ask(rows, Labels!, question)
            : Subset is { } labels ? BinaryTasks.Subset(rows, labels)
            : rows;
    }
}
