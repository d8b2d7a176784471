namespace SkillLoc.Models.Prompts;

/// <summary>How rows that exceed the length limit are truncated.</summary>
public enum Truncation
{
    /// <summary>Cuts the ends of the sentences, the longest first, and keeps the template with its mask and separators.</summary>
    Sentences,

    /// <summary>Cuts the end of the sequence, whatever the tokens are.</summary>
    Tail,

    /// <summary>Cuts the start of the sequence, whatever the tokens are.</summary>
    Head,
}
