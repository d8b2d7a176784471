namespace SkillLoc.Models.Merging.Methods;

/// <summary>
/// Spherical interpolation with t = w_1 / (w_0 + w_1); with a base, of the differences from it. Tensors are one vector each, or their rows
/// or columns are.
/// </summary>
internal sealed class NuSlerp : MergeMethod
{
    private const double LeastWeights = 1e-6;
    private const double LeastNorm = 1e-7;
    private const double LeastSine = 1e-8;

    public override string Name => "nuslerp";

    public override string Summary => "Spherical interpolation by weights, of models or of their differences from a base.";

    public override string Origin => "mergekit";

    public override MergeBase Base => MergeBase.Optional;

    public override int LeastModels => 2;

    public override int MostModels => 2;

    public override IReadOnlyList<MergeParameter> Parameters { get; } =
    [
        MergeParameter.Weight(),
        MergeParameter.Flag("nuslerp_flatten", true, "Whether a tensor is one vector."),
        MergeParameter.Flag(
            "nuslerp_row_wise",
            false,
            "Without `nuslerp_flatten`: whether the vectors run along the first dimension instead of the last."
        ),
    ];

    internal override void Merge(MergeTensor tensor)
    {
        double one = tensor.Number("weight", 0),
            sum = one + tensor.Number("weight", 1);
        double t = Math.Abs(sum) < LeastWeights ? 0.5 : tensor.Number("weight", 1) / sum;
        if (tensor.HasBase)
        {
            tensor.SubtractBase();
        }

        int length = tensor.Length;
        if (tensor.Flag("nuslerp_flatten") || length == 0)
        {
            Interpolate(tensor, t, 0, length, 1);
        }
        else if (tensor.Flag("nuslerp_row_wise") && tensor.Shape.Length > 1)
        {
            // Along the first dimension.
            int stride = length / (int)tensor.Shape[0];
            for (int start = 0; start < stride; start++)
            {
                Interpolate(tensor, t, start, (int)tensor.Shape[0], stride);
            }
        }
        else
        {
            for (int start = 0; start < length; start += tensor.Columns)
            {
                Interpolate(tensor, t, start, tensor.Columns, 1);
            }
        }

        if (tensor.HasBase)
        {
            tensor.AddBase();
        }
    }

    /// <summary>Interpolates one vector of a tensor.</summary>
    private static void Interpolate(MergeTensor tensor, double t, int start, int count, int stride)
    {
        ReadOnlySpan<float> x = tensor[0],
            y = tensor[1];
        Span<float> output = tensor.Output;
        double product = 0,
            xx = 0,
            yy = 0;
        int end = start + (count * stride);
        for (int i = start; i < end; i += stride)
        {
            product += (double)x[i] * y[i];
            xx += (double)x[i] * x[i];
            yy += (double)y[i] * y[i];
        }

        double cosine = product / (Math.Max(Math.Sqrt(xx), LeastNorm) * Math.Max(Math.Sqrt(yy), LeastNorm));
        double angle = Math.Acos(Math.Clamp(cosine, -1, 1)),
            sine = Math.Sin(angle);
        bool isStraight = Math.Abs(sine) < LeastSine;
        double first = isStraight ? 1 - t : Math.Sin((1 - t) * angle) / sine,
            second = isStraight ? t : Math.Sin(t * angle) / sine;
        for (int i = start; i < end; i += stride)
        {
            output[i] = (float)((first * x[i]) + (second * y[i]));
        }
    }
}
