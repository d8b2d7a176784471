using SkillLoc.Models.Backbones;

namespace SkillLoc.Models.Tuning;

/// <summary>Biases of low rank on linear maps (methods, C.3); see <see cref="LowRankBias"/>.</summary>
public sealed record LowRankBiasOptions : TuningOptions
{
    /// <summary>r, the rank.</summary>
    public int Rank { get; init; } = 8;

    /// <summary>The bias is scaled by alpha / r.</summary>
    public double Alpha { get; init; } = 16;

    /// <summary>The linear maps that get a bias. One on the keys changes no score, since it adds the same to a query's scores of all of
    /// them.</summary>
    public LinearLayers Targets { get; init; } = LinearLayers.Query | LinearLayers.Value;

    /// <summary>Whether all maps have one R together, instead of one each.</summary>
    public bool ShareR { get; init; }

    /// <summary>Whether B R passes through a hyperbolic tangent and a third matrix C (methods, C.3).</summary>
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
