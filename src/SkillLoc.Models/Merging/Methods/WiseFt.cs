namespace SkillLoc.Models.Merging.Methods;

/// <summary>theta = (1 - alpha) theta_0 + alpha theta_1 (Wortsman et al. 2022).</summary>
internal sealed class WiseFt : MergeMethod
{
    public override string Name => "wise_ft";

    public override string Summary => "A point of the straight line from the base (alpha 0) to one fine-tuned model (alpha 1).";

    public override string Origin => "Wortsman et al. 2022, arXiv:2109.01903";

    public override int MostModels => 1;

    public override IReadOnlyList<MergeParameter> Parameters { get; } =
    [new("alpha", new(0.5), false, "The place on the line.") { Least = 0, Most = 1 }];

    internal override void Merge(MergeTensor tensor) => Interpolation.Linear(tensor.Number("alpha"), tensor.Base, tensor[0], tensor.Output);
}

/// <summary>Straight lines.</summary>
internal static class Interpolation
{
    /// <summary>(1 - t) x + t y.</summary>
    public static void Linear(double t, ReadOnlySpan<float> x, ReadOnlySpan<float> y, Span<float> output)
    {
        (float first, float second) = ((float)(1 - t), (float)t);
        for (int i = 0; i < output.Length; i++)
        {
            output[i] = (first * x[i]) + (second * y[i]);
        }
    }
}
