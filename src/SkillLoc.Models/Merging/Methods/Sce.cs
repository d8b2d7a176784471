namespace SkillLoc.Models.Merging.Methods;

/// <summary>
/// SCE (Wan et al. 2024): select the scalars whose differences from the base vary most among the models, weight each model by its mean
/// squared difference, and erase those of the minority's sign: sum w_i tau_i e_i / sum w_i e_i.
/// </summary>
internal sealed class Sce : MergeMethod
{
    public override string Name => "sce";

    public override string Summary => "Selects scalars by variance, weights models by how far they moved, and erases minority signs.";

    public override string Origin => "Wan et al. 2024, arXiv:2408.07990";

    public override IReadOnlyList<MergeParameter> Parameters { get; } =
    [
        new("select_topk", new(1), false, "The share of the varying scalars that is selected.")
        {
            Least = 0,
            IsAboveLeast = true,
            Most = 1,
        },
    ];

    internal override void Merge(MergeTensor tensor)
    {
        tensor.SubtractBase();
        double share = tensor.Number("select_topk");
        if (share < 1)
        {
            Select(tensor, share);
        }

        double[] squares = [.. Enumerable.Range(0, tensor.Count).Select(i => VectorMath.Dot(tensor[i], tensor[i]) / tensor.Length)];
        double total = squares.Sum();
        float[] weights = Array.ConvertAll(squares, square => total == 0 ? 1f / squares.Length : (float)(square / total));
        float[] ones = Array.ConvertAll(weights, _ => 1f);
        var vote = new SignVote { IsWeighted = false };
        Span<float> output = tensor.Output;
        ReadOnlySpan<float> basis = tensor.Base;
        for (int j = 0; j < output.Length; j++)
        {
            float sign = vote.Elect(tensor, ones, j),
                sum = 0,
                divisor = 0;
            for (int i = 0; i < weights.Length; i++)
            {
                if (MathF.Sign(tensor[i][j]) == sign)
                {
                    sum += tensor[i][j] * weights[i];
                    divisor += weights[i];
                }
            }

            output[j] = basis[j] + (divisor == 0 ? sum : sum / divisor);
        }
    }

    /// <summary>Clears the differences of all scalars but those that vary most.</summary>
    private static void Select(MergeTensor tensor, double share)
    {
        Span<float> variances = tensor.Output;
        long varying = 0;
        for (int j = 0; j < variances.Length; j++)
        {
            double mean = 0,
                variance = 0;
            for (int i = 0; i < tensor.Count; i++)
            {
                mean += tensor[i][j];
            }

            mean /= tensor.Count;
            for (int i = 0; i < tensor.Count; i++)
            {
                variance += (tensor[i][j] - mean) * (tensor[i][j] - mean);
            }

            variances[j] = (float)(variance / tensor.Count);
            varying += variances[j] != 0 ? 1 : 0;
        }

        MagnitudeCut cut = OrderStatistics.Largest(variances, (long)(share * varying));
        long left = cut.Equal;
        for (int j = 0; j < variances.Length; j++)
        {
            if (!cut.Keeps(variances[j], ref left))
            {
                for (int i = 0; i < tensor.Count; i++)
                {
                    tensor[i][j] = 0;
                }
            }
        }
    }
}
