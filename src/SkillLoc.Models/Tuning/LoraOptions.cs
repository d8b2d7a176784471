using SkillLoc.Models.Backbones;

namespace SkillLoc.Models.Tuning;

/// <summary>Low-rank updates of linear maps (Hu et al. 2022); see <see cref="Lora"/>.</summary>
public sealed record LoraOptions : TuningOptions
{
    /// <summary>r, the rank.</summary>
    public int Rank { get; init; } = 8;

    /// <summary>The update is scaled by alpha / r.</summary>
    public double Alpha { get; init; } = 16;

    /// <summary>The linear maps that get an update.</summary>
    public LinearLayers Targets { get; init; } = LinearLayers.Query | LinearLayers.Value;

    /// <summary>Whether A and B have biases, which start at zero (methods, C.3).</summary>
    public bool Bias { get; init; }

    /// <summary>Whether what A and B give passes through a hyperbolic tangent and a third map C (methods, C.3), which no weight of the
    /// model can take over.</summary>
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
