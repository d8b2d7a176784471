namespace SkillLoc.Models.Merging.Methods;

/// <summary>theta = w theta_1 + (1 - w) theta_0 with w = min(t / |theta_0 - theta_1|, 1): the nearer, the more of the other
/// model.</summary>
internal sealed class NearSwap : MergeMethod
{
    public override string Name => "nearswap";

    public override string Summary => "Takes scalars of the other model where they are near those of the base.";

    public override string Origin => "mergekit";

    public override int MostModels => 1;

    public override IReadOnlyList<MergeParameter> Parameters { get; } =
    [new("t", null, false, "Up to this distance a scalar is the other model's.") { Least = 0, IsAboveLeast = true }];

    internal override void Merge(MergeTensor tensor)
    {
        float t = (float)tensor.Number("t");
        ReadOnlySpan<float> first = tensor.Base,
            second = tensor[0];
        Span<float> output = tensor.Output;
        for (int i = 0; i < output.Length; i++)
        {
            float distance = MathF.Abs(first[i] - second[i]),
                weight = distance <= t ? 1 : t / distance;
            output[i] = (weight * second[i]) + ((1 - weight) * first[i]);
        }
    }
}
