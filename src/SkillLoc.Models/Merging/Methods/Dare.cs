namespace SkillLoc.Models.Merging.Methods;

/// <summary>
/// DARE (Yu et al. 2024): each difference from the base is kept with the probability <c>density</c>, and what is left is scaled up.
/// <c>dare_ties</c> elects signs then, <c>dare_linear</c> sums.
/// </summary>
internal sealed class Dare(bool votes) : TaskVectorMethod
{
    public override string Name => votes ? "dare_ties" : "dare_linear";

    public override string Summary =>
        $"Drops differences from the base at random and scales up the others{(votes ? ", then elects signs" : "")}.";

    public override string Origin => "Yu et al. 2024, arXiv:2311.03099";

    public override IReadOnlyList<MergeParameter> Parameters { get; } =
    [MergeParameter.Weight(), MergeParameter.Density(), MergeParameter.Lambda(), Normalize(false), .. Rescaling.OfChance];

    private protected override SignVote? VoteOf(MergeTensor tensor) => votes ? new() : null;

    private protected override void Thin(MergeTensor tensor, int model)
    {
        double density = tensor.Number("density", model);
        if (density >= 1)
        {
            return;
        }

        string? norm = Rescaling.Of(tensor);
        Span<float> values = tensor[model];
        bool isExpected = norm == "density";
        double before = norm is null || isExpected ? 0 : Rescaling.Measure(norm, values);
        MergeRandom random = tensor.Random(model);
        foreach (ref float value in values)
        {
            value =
                random.NextDouble() >= density ? 0
                : isExpected ? value / (float)density
                : value;
        }

        if (norm is not null && !isExpected)
        {
            Rescaling.Restore(norm, before, values);
        }
    }
}
