namespace SkillLoc;

/// <summary>The checkpoints that are made of the package's weights.</summary>
internal enum MiniLMKind
{
    /// <summary>As published.</summary>
    Encoder,

    /// <summary>With the head for prompts.</summary>
    PromptHead,
}
