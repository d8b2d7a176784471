namespace SkillLoc.Models.Prompts;

/// <summary>A special token that a template inserts.</summary>
public enum SpecialPiece
{
    /// <summary><c>cls</c>: the token that starts a sequence.</summary>
    Cls,

    /// <summary><c>mask</c>: the token whose prediction is the label.</summary>
    Mask,

    /// <summary><c>sep</c>: the separator.</summary>
    Sep,

    /// <summary><c>sep+</c>: the separator, after which the next segment (token type) begins.</summary>
    SepAndNextSegment,
}
