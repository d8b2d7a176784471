namespace SkillLoc.Models.Merging.Methods;

/// <summary>theta = sum w_i theta_i / sum w_i: a model soup (Wortsman et al. 2022). Without normalisation the sum alone.</summary>
internal sealed class Linear : MergeMethod
{
    public override string Name => "linear";

    public override string Summary => "The weighted mean of the models; of equal weights, a uniform soup.";

    public override string Origin => "Wortsman et al. 2022, arXiv:2203.05482";

    public override MergeBase Base => MergeBase.Unused;

    public override IReadOnlyList<MergeParameter> Parameters { get; } =
    [MergeParameter.Weight(), MergeParameter.Flag("normalize", true, "Whether the sum is divided by the sum of the weights.")];

    internal override void Merge(MergeTensor tensor)
    {
        float total = Sum(tensor, tensor.Numbers("weight"));
        if (tensor.Flag("normalize"))
        {
            VectorMath.Divide(tensor.Output, MergeChecks.Total(total, tensor), tensor.Output);
        }
    }

    /// <summary>Sets the output to the weighted mean.</summary>
    public static void Mean(MergeTensor tensor, float[] weights) =>
        VectorMath.Divide(tensor.Output, MergeChecks.Total(Sum(tensor, weights), tensor), tensor.Output);

    private static float Sum(MergeTensor tensor, float[] weights)
    {
        Span<float> output = tensor.Output;
        output.Clear();
        float total = 0;
        for (int i = 0; i < weights.Length; i++)
        {
            ReadOnlySpan<float> values = tensor[i];
            for (int j = 0; j < output.Length; j++)
            {
                output[j] += values[j] * weights[i];
            }

            total += weights[i];
        }

        return total;
    }
}

/// <summary>What methods cannot go on with.</summary>
internal static class MergeChecks
{
    private const float LeastTotal = 1e-8f;

    /// <summary>Returns a sum of weights to divide by.</summary>
    /// <exception cref="InvalidDataException">It is zero.</exception>
    public static float Total(float total, MergeTensor tensor) =>
        MathF.Abs(total) >= LeastTotal
            ? total
            : throw new InvalidDataException(
                $"The weights of the models sum to 0 for '{tensor.Name}', so their mean does not exist: change 'weight', or set "
                    + "'normalize' to false."
            );
}
