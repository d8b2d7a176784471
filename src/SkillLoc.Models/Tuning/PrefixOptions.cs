using System.Text.Json.Serialization;
using SkillLoc.Models.Backbones;

namespace SkillLoc.Models.Tuning;

/// <summary>Prefix tuning: trainable keys and values prepended in each layer (Li and Liang 2021).</summary>
public sealed record PrefixOptions : TuningOptions
{
    /// <summary>Number of keys and values in each layer, 1 or more; 100 by default.</summary>
    public int Length { get; init; } = 100;

    /// <summary>Width of the projection that produces the keys and values, 1 or more; null trains them directly. 512 by default.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public int? ProjectionSize { get; init; } = 512;

    /// <summary>Standard deviation of the initialisation of the table, or of the keys and values without a projection, above 0; 0.02 by
    /// default.</summary>
    public double InitialDeviation { get; init; } = 0.02;

    /// <inheritdoc/>
    internal override PrefixTuning Build(LanguageModel model, ParameterSource source)
    {
        RequirePositive(Length, "The prefix's Length");
        RequirePositive(InitialDeviation, "The prefix's InitialDeviation");
        if (ProjectionSize is { } size)
        {
            RequirePositive(size, "The prefix's ProjectionSize");
        }

        return new(model, this, source);
    }
}
