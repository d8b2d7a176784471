using SkillLoc.Models.Backbones;

namespace SkillLoc.Models.Tuning;

/// <summary>A soft prompt: trainable vectors before the text, or after it in causal models (methods, B.1).</summary>
public sealed record SoftPromptOptions : TuningOptions
{
    /// <summary>P, the number of slots, 2 or more: the mask and P - 1 trainable vectors. In causal models and T5, 1 or more trainable
    /// vectors. 16 by default.</summary>
    public int Size { get; init; } = 16;

    /// <summary>Id of the mask token; null (default) uses that of the tokenizer (in a classifier) or of the configuration. Not used by
    /// causal models and T5.</summary>
    public int? MaskTokenId { get; init; }

    /// <inheritdoc/>
    internal override SoftPrompt Build(LanguageModel model, ParameterSource source) => new(model, this, source);
}
