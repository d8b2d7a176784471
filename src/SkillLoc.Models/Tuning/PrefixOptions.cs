using System.Text.Json.Serialization;
using SkillLoc.Models.Backbones;

namespace SkillLoc.Models.Tuning;

/// <summary>Trainable keys and values before each layer's own (Li and Liang 2021); see <see cref="PrefixTuning"/>.</summary>
public sealed record PrefixOptions : TuningOptions
{
    /// <summary>The number of keys and values in each layer.</summary>
    public int Length { get; init; } = 100;

    /// <summary>The width of the projection that the keys and values are made by; null trains them directly.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public int? ProjectionSize { get; init; } = 512;

    /// <summary>The standard deviation that the table, or else the keys and values, are drawn with.</summary>
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
