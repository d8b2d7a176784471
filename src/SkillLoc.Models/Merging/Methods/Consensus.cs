namespace SkillLoc.Models.Merging.Methods;

/// <summary>Consensus merging (Wang et al. 2024): of the multi-task vector the scalars that are in the TALL masks of at least k
/// tasks.</summary>
internal sealed class Consensus : MergeMethod
{
    public override string Name => "consensus";

    public override string Summary => "Keeps what the TALL masks of at least k tasks have in common.";

    public override string Origin => "Wang et al. 2024, arXiv:2405.07813";

    public override IReadOnlyList<MergeParameter> Parameters { get; } =
    [.. TallMask.Common, new("k", new(2), false, "The least number of masks; 0 is task arithmetic.") { Least = 0 }];

    internal override void Merge(MergeTensor tensor)
    {
        TallMask.Sum(tensor);
        float threshold = (float)tensor.Number("threshold");
        double least = tensor.Number("k");
        Span<float> output = tensor.Output;
        ReadOnlySpan<float> basis = tensor.Base;
        for (int j = 0; j < output.Length; j++)
        {
            int masks = 0;
            for (int i = 0; i < tensor.Count; i++)
            {
                masks += TallMask.IsIn(tensor[i][j], output[j], threshold) ? 1 : 0;
            }

            output[j] = masks >= least ? basis[j] + output[j] : basis[j];
        }
    }
}
