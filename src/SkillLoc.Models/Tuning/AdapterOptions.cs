using SkillLoc.Models.Backbones;

namespace SkillLoc.Models.Tuning;

/// <summary>Bottlenecks within the layers (methods, C.3); see <see cref="Adapters"/>.</summary>
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

    /// <summary>The standard deviation that the up-projection is drawn with; 0, the default, starts it at <see cref="InitialMean"/>, and so
    /// training at the pre-trained model. The mode-connectivity paper draws both
    /// projections with one (methods, C.3).</summary>
    public double InitialUpDeviation { get; init; }

    /// <summary>The mean that both projections are drawn with (methods, C.3).</summary>
    public double InitialMean { get; init; }

    /// <inheritdoc/>
    internal override Adapters Build(LanguageModel model, ParameterSource source)
    {
        if (BottleneckSize is { } size)
        {
            RequirePositive(size, "The adapters' BottleneckSize");
        }

        RequirePositive(InitialDeviation, "The adapters' InitialDeviation");
        if (!(InitialUpDeviation >= 0) || !double.IsFinite(InitialUpDeviation))
        {
            throw new ArgumentException($"The adapters' InitialUpDeviation is {InitialUpDeviation}; it must be 0 or above.");
        }

        if (!double.IsFinite(InitialMean))
        {
            throw new ArgumentException($"The adapters' InitialMean is {InitialMean}; it must be a finite number.");
        }

        return new(model, this, source);
    }
}
