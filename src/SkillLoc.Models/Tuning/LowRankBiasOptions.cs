using SkillLoc.Models.Backbones;

namespace SkillLoc.Models.Tuning;

/// <summary>Low-rank biases of linear layers (methods, C.3); see <see cref="LowRankBias"/>.</summary>
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
