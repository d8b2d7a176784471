using SkillLoc.Models.Backbones;

namespace SkillLoc.Models.Tuning;

/// <summary>LoRA: low-rank updates of linear layers (Hu et al. 2022).</summary>
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

/// <summary>Low-rank biases of linear layers (methods, C.3).</summary>
public sealed record LowRankBiasOptions : TuningOptions
{
    /// <summary>The rank r, 1 or more; 8 by default.</summary>
    public int Rank { get; init; } = 8;

    /// <summary>alpha, above 0; the bias is scaled by alpha / r. 16 by default.</summary>
    public double Alpha { get; init; } = 16;

    /// <summary>The target modules; queries and values by default. A bias on the keys has no effect, since it adds the same to all scores
    /// of a query.</summary>
    public LinearLayers Targets { get; init; } = LinearLayers.Query | LinearLayers.Value;

    /// <summary>Whether all target modules share one R; false by default.</summary>
    public bool ShareR { get; init; }

    /// <summary>Whether B R passes through tanh and a third matrix C (methods, C.3); false by default.</summary>
    public bool Mlp { get; init; }

    /// <inheritdoc/>
    internal override LowRankBias Build(LanguageModel model, ParameterSource source)
    {
        RequirePositive(Rank, "The low-rank biases' Rank");
        RequirePositive(Alpha, "The low-rank biases' Alpha");
        RequireMaps(Targets, "The low-rank biases' Targets");
        return new(model, this, source);
    }
}

/// <summary>The linear layers of a transformer block. In T5's decoder, they include those of the cross-attention.</summary>
[Flags]
public enum LinearLayers
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>The attention's queries.</summary>
    Query = 1,

    /// <summary>The attention's keys.</summary>
    Key = 2,

    /// <summary>The attention's values.</summary>
    Value = 4,

    /// <summary>The attention's output projection.</summary>
    AttentionOutput = 8,

    /// <summary>The feed-forward block's projection to its neurons; with a gate (T5 1.1), both projections.</summary>
    Up = 16,

    /// <summary>The feed-forward block's projection from its neurons.</summary>
    Down = 32,
}
