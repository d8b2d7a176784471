using SkillLoc.Models.Backbones;

namespace SkillLoc.Models.Tuning;

/// <summary>LoRA: low-rank updates of linear layers (Hu et al. 2022); see <see cref="Lora"/>.</summary>
public sealed record LoraOptions : TuningOptions
{
    /// <summary>The rank r, 1 or more; 8 by default.</summary>
    public int Rank { get; init; } = 8;

    /// <summary>alpha, above 0; the update is scaled by alpha / r. 16 by default.</summary>
    public double Alpha { get; init; } = 16;

    /// <summary>The target modules; queries and values by default.</summary>
    public LinearLayers Targets { get; init; } = LinearLayers.Query | LinearLayers.Value;

    /// <summary>Whether A and B have biases, which start at zero; false by default (methods, C.3).</summary>
    public bool Bias { get; init; }

    /// <summary>Whether the product of A and B passes through tanh and a third layer C (methods, C.3), which cannot be folded into the
    /// model; false by default.</summary>
    public bool Mlp { get; init; }

    /// <inheritdoc/>
    internal override Lora Build(LanguageModel model, ParameterSource source)
    {
        RequirePositive(Rank, "LoRA's Rank");
        RequirePositive(Alpha, "LoRA's Alpha");
        RequireMaps(Targets, "LoRA's Targets");
        return new(model, this, source);
    }
}
