namespace SkillLoc.Models.Classification;

/// <summary>What turns a hidden state into one logit per label.</summary>
public enum HeadKind
{
    /// <summary>The pre-trained language-model head, read at the mask for the label words only (prompt mode).</summary>
    LabelWords,

    /// <summary>Dense, tanh, output projection on the first token: the standard sequence-classification head.</summary>
    SequenceClassification,

    /// <summary>One linear layer on the first token.</summary>
    FirstTokenLinear,

    /// <summary>One linear layer on the mask of a template.</summary>
    MaskTokenLinear,
}
