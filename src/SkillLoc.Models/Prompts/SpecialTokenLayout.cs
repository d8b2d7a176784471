namespace SkillLoc.Models.Prompts;

/// <summary>Which special tokens stand around texts that have no prompt.</summary>
public enum SpecialTokenLayout
{
    /// <summary>The start token, then each text with a separator after it, as LM-BFF's code has it.</summary>
    Plain,

    /// <summary>
    /// As the checkpoint's own tokenizer has it in Python: what the post-processor of <c>tokenizer.json</c> says, else the family's way
    /// (RoBERTa has two separators between the texts of a pair, T5 ends after each text, GPT-2 nothing).
    /// </summary>
    Checkpoint,
}
