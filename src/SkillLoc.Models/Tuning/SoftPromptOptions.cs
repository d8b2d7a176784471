using SkillLoc.Models.Backbones;

namespace SkillLoc.Models.Tuning;

/// <summary>Trainable vectors before the text, or after a causal model's (methods, B.1); see <see cref="SoftPrompt"/>.</summary>
public sealed record SoftPromptOptions : TuningOptions
{
    /// <summary>P, the number of slots: the mask, which is read, and P - 1 trainable vectors; of a causal model and of T5 P trainable
    /// vectors.</summary>
    public int Size { get; init; } = 16;

    /// <summary>The id of the mask token; null takes the tokenizer's (in a classifier) or the configuration's. A
    /// causal model and T5 need none.</summary>
    public int? MaskTokenId { get; init; }

    /// <inheritdoc/>
    internal override SoftPrompt Build(LanguageModel model, ParameterSource source) => new(model, this, source);
}
