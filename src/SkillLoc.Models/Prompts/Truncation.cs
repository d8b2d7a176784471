namespace SkillLoc.Models.Prompts;

/// <summary>What is cut when a row is longer than the limit.</summary>
public enum Truncation
{
    /// <summary>The ends of the sentences, the longest first; the template with its mask and separators stays whole.</summary>
    Sentences,

    /// <summary>The sequence's end: its first tokens are kept, whatever they are.</summary>
    Tail,

    /// <summary>The sequence's start: its last tokens are kept, whatever they are.</summary>
    Head,
}
