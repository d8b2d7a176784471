namespace SkillLoc.Models.Merging.Methods;

/// <summary>
/// Arcee fusion: the importance of a scalar is its difference from the base times the Kullback-Leibler divergence of its row, both rows as
/// softmax distributions. Differences of an importance from median + 1.5 interquartile ranges on are kept.
/// </summary>
/// <remarks>mergekit estimates the quartiles of large tensors from a random million; here they are exact. The divergence of
/// nearly equal rows is mostly rounding in mergekit's float32; here it is computed in double precision, so that scalars within some 0.1 % of
/// the threshold may fall on its other side.</remarks>
internal sealed class ArceeFusion : MergeMethod
{
    private const double Epsilon = 1e-8;

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
        for (int start = 0; start < output.Length; start += columns)
        {
            double divergence = Divergence(other.Slice(start, columns), basis.Slice(start, columns));
            for (int i = start; i < start + columns; i++)
            {
                output[i] = (float)(MathF.Abs(other[i] - basis[i]) * divergence);
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

    private static double Divergence(ReadOnlySpan<float> first, ReadOnlySpan<float> second)
    {
        (double most, double sum) = Normalizer(first);
        (double otherMost, double otherSum) = Normalizer(second);
        double divergence = 0;
        for (int i = 0; i < first.Length; i++)
        {
            double p = (Math.Exp(first[i] - most) / sum) + Epsilon,
                q = (Math.Exp(second[i] - otherMost) / otherSum) + Epsilon;
            divergence += p * Math.Log(p / q);
        }

        return divergence;

        static (double Most, double Sum) Normalizer(ReadOnlySpan<float> row)
        {
            double most = double.NegativeInfinity,
                sum = 0;
            foreach (float value in row)
            {
                most = Math.Max(most, value);
            }

            foreach (float value in row)
            {
                sum += Math.Exp(value - most);
            }

            return (most, sum);
        }
    }
}
