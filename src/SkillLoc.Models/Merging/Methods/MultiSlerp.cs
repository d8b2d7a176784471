namespace SkillLoc.Models.Merging.Methods;

/// <summary>
/// Barycentric interpolation on a sphere: unit vectors u_i are projected to the tangent space at their weighted mean m, summed there, and
/// projected back: r = cos |T| m + sin |T| T / |T|, scaled by the weighted mean of the norms. With a base, of the differences from it.
/// </summary>
internal sealed class MultiSlerp : MergeMethod
{
    public override string Name => "multislerp";

    public override string Summary => "A weighted mean of directions and of lengths, of models or of their differences from a base.";

    public override string Origin => "mergekit";

    public override MergeBase Base => MergeBase.Optional;

    public override IReadOnlyList<MergeParameter> Parameters { get; } =
    [
        MergeParameter.Weight(),
        MergeParameter.Flag("normalize_weights", true, "Whether the weights are divided by their sum."),
        new("eps", new(1e-8), false, "The least length of a vector.") { Least = 0, IsAboveLeast = true },
    ];

    internal override void Merge(MergeTensor tensor)
    {
        double least = tensor.Number("eps");
        double[] weights = [.. Enumerable.Range(0, tensor.Count).Select(i => tensor.Number("weight", i))];
        if (tensor.Flag("normalize_weights"))
        {
            double total = MergeChecks.Total((float)weights.Sum(), tensor);
            weights = [.. weights.Select(weight => weight / total)];
        }

        if (tensor.HasBase)
        {
            tensor.SubtractBase();
        }

        // The mean direction.
        Span<float> mean = tensor.Output;
        mean.Clear();
        double[] norms = new double[tensor.Count];
        double length = 0;
        for (int i = 0; i < tensor.Count; i++)
        {
            norms[i] = VectorMath.Norm(tensor[i]);
            length += norms[i] * weights[i];
            VectorMath.AddTo(mean, tensor[i], weights[i] / (norms[i] + least));
        }

        double meanNorm = VectorMath.Norm(mean);
        if (meanNorm < least)
        {
            Straight(tensor, weights);
            return;
        }

        // The models become their tangents at the mean, the first of them their weighted sum.
        VectorMath.Scale(mean, 1 / meanNorm);
        for (int i = 0; i < tensor.Count; i++)
        {
            double factor = 1 / (norms[i] + least),
                along = VectorMath.Dot(tensor[i], mean) * factor;
            Span<float> values = tensor[i],
                sum = tensor[0];
            for (int j = 0; j < values.Length; j++)
            {
                double tangent = ((values[j] * factor) - (along * mean[j])) * weights[i];
                sum[j] = (float)(i == 0 ? tangent : sum[j] + tangent);
            }
        }

        double angle = VectorMath.Norm(tensor[0]) + least;
        VectorMath.Scale(mean, Math.Cos(angle) * length);
        VectorMath.AddTo(mean, tensor[0], Math.Sin(angle) / angle * length);
        if (tensor.HasBase)
        {
            tensor.AddBase();
        }
    }

    /// <summary>A straight line, where two models point in opposite directions.</summary>
    private static void Straight(MergeTensor tensor, double[] weights)
    {
        bool isStill = Enumerable.Range(0, tensor.Count).All(i => VectorMath.Largest(tensor[i]) == 0);
        if (tensor.Count > 2 && !isStill)
        {
            throw new InvalidDataException(
                $"The models' directions cancel out in '{tensor.Name}', so that they have no mean direction: change 'weight'."
            );
        }

        tensor.Output.Clear();
        for (int i = 0; i < tensor.Count; i++)
        {
            VectorMath.AddTo(tensor.Output, tensor[i], weights[i]);
        }

        if (tensor.HasBase)
        {
            tensor.AddBase();
        }
    }
}
