namespace SkillLoc.Models.Merging.Methods;

/// <summary>Fisher-weighted averaging (Matena and Raffel 2022): theta = sum w_i F_i theta_i / sum w_i F_i with the diagonal Fisher
/// information F_i, which <see cref="MergeStatistics"/> computes.</summary>
internal sealed class Fisher : MergeMethod
{
    public override string Name => "fisher";

    public override string Summary => "The mean of the models, each scalar weighted by how much it matters to its model.";

    public override string Origin => "Matena and Raffel 2022, arXiv:2111.09832";

    public override MergeBase Base => MergeBase.Unused;

    public override bool NeedsStatistics => true;

    public override IReadOnlyList<MergeParameter> Parameters { get; } =
    [MergeParameter.Weight(), new("floor", new(1e-6), false, "The least Fisher information.") { Least = 0, IsAboveLeast = true }];

    internal override void Merge(MergeTensor tensor)
    {
        float floor = (float)tensor.Number("floor");
        float[] weights = tensor.Numbers("weight");
        double[] divisors = new double[tensor.Length];
        Span<float> output = tensor.Output;
        output.Clear();
        for (int i = 0; i < weights.Length; i++)
        {
            using var information = new NativeFloats(tensor.Statistics(i));
            ReadOnlySpan<float> values = tensor[i],
                fisher = information.Span;
            for (int j = 0; j < output.Length; j++)
            {
                float weight = weights[i] * Math.Max(fisher.Length == 0 ? floor : fisher[j], floor);
                output[j] += weight * values[j];
                divisors[j] += weight;
            }
        }

        for (int j = 0; j < output.Length; j++)
        {
            output[j] = (float)(output[j] / divisors[j]);
        }
    }
}
