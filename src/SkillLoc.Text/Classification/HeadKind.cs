namespace SkillLoc.Models.Classification;

/// <summary>The classification head: how logits of labels are computed from hidden states.</summary>
public enum HeadKind
{
    /// <summary>
    /// The pre-trained language-model head, restricted to the label words (prompt mode): at the mask of the template or soft prompt, at the
    /// first token without either, or, for causal models, at the options of an autoregressive prompt.
    /// </summary>
    LabelWords,

    /// <summary>
    /// The sequence-classification head of the Python classes: dense, activation (tanh; in DistilBERT ReLU, in ELECTRA GELU), output
    /// projection on the first token; for causal models one projection without bias on the last token.
    /// </summary>
    SequenceClassification,

    /// <summary>One linear layer on the first token; not for causal models.</summary>
    FirstTokenLinear,

    /// <summary>One linear layer on the mask of a template; not for causal models.</summary>
    MaskTokenLinear,

    /// <summary>
    /// No head: the model generates its answer (T5, which supports no other kind). With labels, each label has an answer and its logit is
    /// the answer's log-likelihood; without labels the output is the generated text alone.
    /// </summary>
    Generation,
}

/// <summary>The requirements of each kind of head.</summary>
internal static class HeadKinds
{
    /// <summary>Whether it uses the pre-trained language-model head, and so the vocabulary.</summary>
    public static bool ReadsVocabulary(this HeadKind kind) => kind is HeadKind.LabelWords or HeadKind.Generation;

    /// <summary>Whether it reads the mask of a template.</summary>
    public static bool ReadsTemplate(this HeadKind kind) => kind is HeadKind.LabelWords or HeadKind.MaskTokenLinear;

    /// <summary>Whether causal models have it, which see all of a row at its last token only.</summary>
    public static bool IsForCausal(this HeadKind kind) => kind is HeadKind.LabelWords or HeadKind.SequenceClassification;
}
