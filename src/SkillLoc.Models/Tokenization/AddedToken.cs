namespace SkillLoc.Models.Tokenization;

/// <summary>A token that was added to a vocabulary.</summary>
/// <param name="Content">Its spelling.</param>
/// <param name="Id">Its id.</param>
internal sealed record AddedToken(string Content, int Id)
{
    /// <summary>Whether it is a special token, which is not matched in texts.</summary>
    public bool IsSpecial { get; init; }

    /// <summary>Whether it is matched only as a single word.</summary>
    public bool IsSingleWord { get; init; }

    /// <summary>Whether it includes white space before it.</summary>
    public bool StripsLeft { get; init; }

    /// <summary>Whether it includes white space after it.</summary>
    public bool StripsRight { get; init; }

    /// <summary>Whether it is normalized and matched in normalized texts.</summary>
    public bool IsNormalized { get; init; }
}
