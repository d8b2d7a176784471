namespace SkillLoc.Models.Prompts;

/// <summary>
/// What a model is asked about a text: a <see cref="PromptTask"/>, whose label words fill a prompt, or a
/// <see cref="Generation.TextToTextTask"/>, whose answers a model writes (T5).
/// </summary>
/// <param name="Name">The task's name.</param>
public abstract record TaskDefinition(string Name)
{
    /// <summary>The task's name.</summary>
    public virtual string Name { get; init; } = Name;
}
