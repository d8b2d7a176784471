namespace SkillLoc.Models.Embeddings;

/// <summary>How the hidden states of a text are pooled into one vector.</summary>
public enum TextPooling
{
    /// <summary>The mean over the row's tokens, without padding.</summary>
    Mean,

    /// <summary>The hidden state of the first token.</summary>
    FirstToken,

    /// <summary>The position that a head reads: the mask's where a template has one, the last token's of a causal model (GPT-2), else the
    /// first token's. With a soft prompt it is the slot that is scored, and in T5's decoder the first step.</summary>
    ScoredPosition,

    /// <summary>The largest value of each dimension over the row's tokens, without padding.</summary>
    Max,
}
