namespace SkillLoc.Models.Merging.Methods;

/// <summary>
/// Model Stock (Jang et al. 2024): with c the mean cosine of two differences from the base and t = N c / (1 + (N - 1) c), theta = t
/// mean(theta_i) + (1 - t) theta_0; of each tensor, or of each row.
/// </summary>
internal sealed class ModelStock : MergeMethod
{
    private const double LeastProduct = 1e-6;

    public override string Name => "model_stock";

    public override string Summary => "Goes from the base towards the models' mean as far as the models agree in direction.";

    public override string Origin => "Jang et al. 2024, arXiv:2403.19522";

    public override int LeastModels => 2;

    public override IReadOnlyList<MergeParameter> Parameters { get; } =
    [MergeParameter.Flag("filter_wise", false, "Whether each row has its own angle.")];

    internal override void Merge(MergeTensor tensor)
    {
        int row = tensor.Flag("filter_wise") ? Math.Max(tensor.Columns, 1) : Math.Max(tensor.Length, 1);
        tensor.SubtractBase();
        Span<float> output = tensor.Output;
        ReadOnlySpan<float> basis = tensor.Base;
        int count = tensor.Count;
        for (int start = 0; start < output.Length; start += row)
        {
            double cosine = 0;
            for (int i = 0; i < count; i++)
            {
                for (int j = i + 1; j < count; j++)
                {
                    ReadOnlySpan<float> x = tensor[i].Slice(start, row),
                        y = tensor[j].Slice(start, row);
                    double norms = Math.Max(VectorMath.Norm(x) * VectorMath.Norm(y), LeastProduct);
                    cosine += Math.Clamp(VectorMath.Dot(x, y) / norms, -1, 1);
                }
            }

            cosine /= count * (count - 1) / 2.0;
            double t = count * cosine / (1 + ((count - 1) * cosine));
            for (int k = start; k < start + row; k++)
            {
                double mean = 0;
                for (int i = 0; i < count; i++)
                {
                    mean += tensor[i][k];
                }

                output[k] = (float)(basis[k] + (t * mean / count));
            }
        }
    }
}
