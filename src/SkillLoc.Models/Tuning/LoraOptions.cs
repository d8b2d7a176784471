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

    /// <inheritdoc/>
    internal override Lora Build(LanguageModel model, ParameterSource source)
    {
        RequirePositive(Rank, "LoRA's Rank");
        RequirePositive(Alpha, "LoRA's Alpha");
        const LinearLayers All = LinearLayers.Query | LinearLayers.Key | LinearLayers.Value | LinearLayers.AttentionOutput
            | LinearLayers.Up | LinearLayers.Down;
        if (Targets == LinearLayers.None || (Targets & ~All) != LinearLayers.None)
        {
            throw new ArgumentException($"LoRA's Targets are '{Targets}'; they must be one or more of {All}.");
        }

        return new(model, this, source);
    }
}
