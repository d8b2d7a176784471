namespace SkillLoc.Models.Merging.Methods;

/// <summary>
/// Arcee fusion: the importance of a scalar is its difference from the base times the Kullback-Leibler divergence of its row, both rows as
/// softmax distributions. Differences of an importance from median + 1.5 interquartile ranges on are kept.
/// </summary>
/// <remarks>mergekit estimates the quartiles of large tensors from a random million; here they are exact. The divergence of nearly equal rows
/// is mostly rounding, and the threshold depends on it, so that it is computed in float32 in the order of torch's kernels.</remarks>
internal sealed class ArceeFusion : MergeMethod
{
    private const float Epsilon = 1e-8f;

    public override string Name => "arcee_fusion";

    public override string Summary => "Takes only the changes that matter most, by size and by how far they move their row.";

    public override string Origin => "Arcee AI; as in mergekit";

    public override int MostModels => 1;

    public override IReadOnlyList<MergeParameter> Parameters { get; } = [];

    internal override void Merge(MergeTensor tensor)
    {
        ReadOnlySpan<float> basis = tensor.Base,
            other = tensor[0];
        Span<float> output = tensor.Output;
        if (output.Length == 0)
        {
            return;
        }

        int columns = tensor.Columns;
        float[] p = new float[columns],
            q = new float[columns];
        for (int start = 0; start < output.Length; start += columns)
        {
            float divergence = Divergence(other.Slice(start, columns), basis.Slice(start, columns), p, q);
            for (int i = start; i < start + columns; i++)
            {
                output[i] = MathF.Abs(other[i] - basis[i]) * divergence;
            }
        }

        float threshold = Quantile(output, 0.5f) + (1.5f * (Quantile(output, 0.75f) - Quantile(output, 0.25f)));
        for (int i = 0; i < output.Length; i++)
        {
            output[i] = output[i] >= threshold ? basis[i] + (other[i] - basis[i]) : basis[i];
        }
    }

    private static float Quantile(ReadOnlySpan<float> values, float q) =>
        OrderStatistics.At(values, (long)(q * (values.Length - 1)), magnitudes: false);

    private static float Divergence(ReadOnlySpan<float> first, ReadOnlySpan<float> second, float[] p, float[] q)
    {
        Float32Rows.Softmax(first, p);
        Float32Rows.Softmax(second, q);
        for (int i = 0; i < p.Length; i++)
        {
            float one = p[i] + Epsilon;
            p[i] = one * MathF.Log(one / (q[i] + Epsilon));
        }

        return Float32Rows.Sum(p);
    }
}
