namespace SkillLoc.Models.Tokenization;

/// <summary>A token that was added to a vocabulary.</summary>
/// <param name="Content">Its spelling.</param>
/// <param name="Id">Its id.</param>
internal sealed record AddedToken(string Content, int Id)
{
    /// <summary>Whether it is a special token, whose spelling in a text stays text.</summary>
    public bool IsSpecial { get; init; }

    /// <summary>Whether it is found only where no word goes on before or behind it.</summary>
    public bool IsSingleWord { get; init; }

    /// <summary>Whether it takes the white space before it.</summary>
    public bool StripsLeft { get; init; }

    /// <summary>Whether it takes the white space behind it.</summary>
    public bool StripsRight { get; init; }

    /// <summary>Whether it is looked for in normalized texts, itself normalized.</summary>
    public bool IsNormalized { get; init; }
}
