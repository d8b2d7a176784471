namespace SkillLoc.Models.Merging.Methods;

/// <summary>
/// The Karcher mean of directions: from their normalised mean u, repeat T = sum a_i (theta_i / sin theta_i) (u_i - cos theta_i u) and
/// u = cos |T| u + sin |T| T / |T|, normalised, until |T| is small. The result has the mean of the models' lengths.
/// </summary>
internal sealed class Karcher : MergeMethod
{
    public override string Name => "karcher";

    public override string Summary => "The mean of directions on the sphere, found by iteration, with the mean of the lengths.";

    public override string Origin => "Karcher 1977; as in mergekit";

    public override MergeBase Base => MergeBase.Unused;

    public override IReadOnlyList<MergeParameter> Parameters { get; } =
    [
        new("max_iter", new(10), false, "Most iterations.") { Least = 1 },
        new("tol", new(1e-5), false, "Angles and steps below it count as none.") { Least = 0, IsAboveLeast = true },
    ];

    internal override void Merge(MergeTensor tensor)
    {
        double least = tensor.Number("tol");
        double[] norms = [.. Enumerable.Range(0, tensor.Count).Select(i => VectorMath.Norm(tensor[i]))];
        int[] moved = [.. Enumerable.Range(0, tensor.Count).Where(i => norms[i] > least)];
        Span<float> mean = tensor.Output;
        mean.Clear();
        if (moved.Length == 0)
        {
            return;
        }

        double share = 1.0 / moved.Length;
        foreach (int i in moved)
        {
            VectorMath.AddTo(mean, tensor[i], share / norms[i]);
        }

        double norm = VectorMath.Norm(mean);
        if (norm < least)
        {
            mean.Clear();
            VectorMath.AddTo(mean, tensor[moved[0]], 1 / norms[moved[0]]);
        }
        else
        {
            VectorMath.Scale(mean, 1 / norm);
        }

        float[] tangent = new float[tensor.Length];
        for (int step = 0; step < (int)tensor.Number("max_iter"); step++)
        {
            Array.Clear(tangent);
            foreach (int i in moved)
            {
                double cosine = Math.Clamp(VectorMath.Dot(mean, tensor[i]) / norms[i], -1, 1),
                    angle = Math.Acos(cosine);
                if (angle >= least)
                {
                    double factor = share * angle / Math.Sin(angle);
                    VectorMath.AddTo(tangent, tensor[i], factor / norms[i]);
                    VectorMath.AddTo(tangent, mean, -factor * cosine);
                }
            }

            double size = VectorMath.Norm(tangent);
            if (size < least)
            {
                break;
            }

            VectorMath.Scale(mean, Math.Cos(size));
            VectorMath.AddTo(mean, tangent, Math.Sin(size) / size);
            if (VectorMath.Norm(mean) is var length && length > least)
            {
                VectorMath.Scale(mean, 1 / length);
            }
        }

        VectorMath.Scale(mean, norms.Average());
    }
}
