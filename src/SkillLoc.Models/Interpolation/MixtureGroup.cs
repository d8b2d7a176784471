namespace SkillLoc.Models.Interpolation;

/// <summary>A group of parameters with one mixing weight.</summary>
/// <param name="Name">The name of the group, such as <c>roberta.encoder.layer.0</c> or <c>decoder.block.1.cross_attention</c>.</param>
/// <param name="Parameters">Their names, in the order of the checkpoints.</param>
/// <param name="Weight">w; positive infinity uses only the first endpoint, negative infinity only the second.</param>
public sealed record MixtureGroup(string Name, IReadOnlyList<string> Parameters, float Weight)
{
    /// <summary>s = sigmoid(w), the share of the first end, from 0 to 1.</summary>
    public double FirstShare => 1 / (1 + Math.Exp(-Weight));

    /// <summary>1 - s = sigmoid(-w), the share of the second end.</summary>
    public double SecondShare => 1 / (1 + Math.Exp(Weight));
}
