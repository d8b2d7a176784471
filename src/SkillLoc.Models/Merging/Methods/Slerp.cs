namespace SkillLoc.Models.Merging.Methods;

/// <summary>
/// Spherical interpolation of each tensor as one vector: with the angle Omega between the two, sin((1 - t) Omega) / sin Omega v_0 +
/// sin(t Omega) / sin Omega v_1. Where the cosine is above 0.9995 in size, a straight line.
/// </summary>
internal sealed class Slerp : MergeMethod
{
    private const double Colinear = 0.9995;
    private const double LeastNorm = 1e-8;

    public override string Name => "slerp";

    public override string Summary => "Spherical interpolation between the base (t = 0) and one model (t = 1).";

    public override string Origin => "Shoemake 1985; as in mergekit";

    public override int MostModels => 1;

    public override IReadOnlyList<MergeParameter> Parameters { get; } = [new("t", null, false, "The place.") { Least = 0, Most = 1 }];

    internal override void Merge(MergeTensor tensor)
    {
        double t = tensor.Number("t");
        ReadOnlySpan<float> first = tensor.Base,
            second = tensor[0];
        double cosine = VectorMath.Dot(first, second) / (Size(first) * Size(second));
        if (Math.Abs(cosine) > Colinear)
        {
            Interpolation.Linear(t, first, second, tensor.Output);
            return;
        }

        double angle = Math.Acos(cosine);
        float one = (float)(Math.Sin(angle - (angle * t)) / Math.Sin(angle)),
            other = (float)(Math.Sin(angle * t) / Math.Sin(angle));
        Span<float> output = tensor.Output;
        for (int i = 0; i < output.Length; i++)
        {
            output[i] = (one * first[i]) + (other * second[i]);
        }

        static double Size(ReadOnlySpan<float> x) => VectorMath.Norm(x) is > LeastNorm and var norm ? norm : 1;
    }
}
