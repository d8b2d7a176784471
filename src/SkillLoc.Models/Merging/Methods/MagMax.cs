namespace SkillLoc.Models.Merging.Methods;

/// <summary>MagMax (Marczak et al. 2024): of each scalar the difference of largest magnitude, of equal ones the later model's; theta =
/// theta_0 + lambda tau.</summary>
internal sealed class MagMax : MergeMethod
{
    public override string Name => "magmax";

    public override string Summary => "Takes the largest change of each scalar.";

    public override string Origin => "Marczak et al. 2024, arXiv:2407.06322";

    public override IReadOnlyList<MergeParameter> Parameters { get; } = [MergeParameter.Lambda(0.5)];

    internal override void Merge(MergeTensor tensor)
    {
        tensor.SubtractBase();
        float lambda = (float)tensor.Number("lambda");
        Span<float> output = tensor.Output;
        output.Clear();
        for (int i = 0; i < tensor.Count; i++)
        {
            Span<float> values = tensor[i];
            for (int j = 0; j < output.Length; j++)
            {
                output[j] = MathF.Abs(values[j]) >= MathF.Abs(output[j]) ? values[j] : output[j];
            }
        }

        ReadOnlySpan<float> basis = tensor.Base;
        for (int j = 0; j < output.Length; j++)
        {
            output[j] = basis[j] + (lambda * output[j]);
        }
    }
}
