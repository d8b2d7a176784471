using SkillLoc.Models.Backbones;

namespace SkillLoc.Models.Tuning;

/// <summary>Bottlenecks within the layers (decision 18); see <see cref="Adapters"/>.</summary>
public sealed record AdapterOptions : TuningOptions
{
    /// <summary>Where a layer's adapters are.</summary>
    public AdapterPlacement Placement { get; init; }

    /// <summary>The bottleneck's width; null takes a sixteenth of the hidden size.</summary>
    public int? BottleneckSize { get; init; }

    /// <summary>The non-linearity; null takes <see cref="AdapterActivation.Relu"/> for Pfeiffer's placement and
    /// <see cref="AdapterActivation.GeluNew"/> for Houlsby's.</summary>
    public AdapterActivation? Activation { get; init; }

    /// <summary>Whether both projections have biases.</summary>
    public bool Bias { get; init; } = true;

    /// <summary>The standard deviation that the down-projection is drawn with.</summary>
    public double InitialDeviation { get; init; } = 0.02;

    /// <inheritdoc/>
    internal override Adapters Build(LanguageModel model, ParameterSource source)
    {
        if (BottleneckSize is { } size)
        {
            RequirePositive(size, "The adapters' BottleneckSize");
        }

        RequirePositive(InitialDeviation, "The adapters' InitialDeviation");
        return new(model, this, source);
    }
}
