namespace SkillLoc.Models.Embeddings;

/// <summary>How a text's hidden states become one vector.</summary>
public enum TextPooling
{
    /// <summary>The mean over the row's tokens, without padding.</summary>
    Mean,

    /// <summary>The first token's.</summary>
    FirstToken,

    /// <summary>The mask's, which a template must have.</summary>
    Mask,
}
