namespace SkillLoc.Models.Prompts;

/// <summary>
/// The definition of a task: a <see cref="PromptTask"/> with label words, or a <see cref="Generation.TextToTextTask"/> with generated
/// answers (T5).
/// </summary>
/// <param name="Name">The task's name.</param>
public abstract record TaskDefinition(string Name)
{
    /// <summary>The task's name.</summary>
    public virtual string Name { get; init; } = Name;
}
