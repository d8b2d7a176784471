namespace SkillLoc.Models.Classification;

/// <summary>What turns a hidden state into one logit per label.</summary>
public enum HeadKind
{
    /// <summary>
    /// The pre-trained language-model head (prompt mode), for the label words only: read at the mask of the template or the soft prompt,
    /// without either at the first token, or, of a causal model, after the text for the options of an autoregressive prompt.
    /// </summary>
    LabelWords,

    /// <summary>
    /// The standard sequence-classification head: dense, tanh, output projection on the first token; of a causal model one projection
    /// without bias on the last token.
    /// </summary>
    SequenceClassification,

    /// <summary>One linear layer on the first token; not for causal models.</summary>
    FirstTokenLinear,

    /// <summary>One linear layer on the mask of a template; not for causal models.</summary>
    MaskTokenLinear,

    /// <summary>
    /// No head: the model writes its answer (T5, which takes nothing else). Where there are labels, each has an answer, and a label's
    /// logit is the log-likelihood of its answer; without labels there is the written text alone.
    /// </summary>
    Generation,
}
