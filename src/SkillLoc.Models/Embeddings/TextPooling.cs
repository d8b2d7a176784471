namespace SkillLoc.Models.Embeddings;

/// <summary>How the hidden states of a text are pooled into one vector.</summary>
public enum TextPooling
{
    /// <summary>The mean over the row's tokens, without padding.</summary>
    Mean,

    /// <summary>The hidden state of the first token.</summary>
    FirstToken,

    /// <summary>The hidden state of the mask, which needs a template.</summary>
    Mask,
}
