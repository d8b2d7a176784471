namespace SkillLoc.Models.Prompts;

/// <summary>The layout of special tokens around texts without a prompt.</summary>
public enum SpecialTokenLayout
{
    /// <summary>The start token, then each text followed by a separator, as in LM-BFF's code.</summary>
    Plain,

    /// <summary>
    /// As in the checkpoint's Python tokenizer: the post-processor of <c>tokenizer.json</c>, else the default of the family (RoBERTa: two
    /// separators between the texts of a pair, T5: an end token after each text, GPT-2: none).
    /// </summary>
    Checkpoint,
}
