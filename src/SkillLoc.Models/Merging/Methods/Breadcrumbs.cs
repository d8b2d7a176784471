namespace SkillLoc.Models.Merging.Methods;

/// <summary>
/// Model breadcrumbs (Davari and Belilovsky 2024): of each tensor's N differences from the base, the floor(gamma N) largest are dropped as
/// outliers, and of the others the floor(density N) largest are kept.
/// </summary>
/// <remarks>Where there are too few others, fewer outliers are dropped. mergekit keeps nothing of a tensor with floor(gamma N) = 0; here it
/// loses no outlier and keeps the rest.</remarks>
internal sealed class Breadcrumbs(bool votes) : TaskVectorMethod
{
    public override string Name => votes ? "breadcrumbs_ties" : "breadcrumbs";

    public override string Summary =>
        $"Drops the largest and the smallest differences from the base{(votes ? ", then elects signs" : "")}.";

    public override string Origin => "Davari and Belilovsky 2024, arXiv:2312.06795";

    public override IReadOnlyList<MergeParameter> Parameters { get; } =
    [
        MergeParameter.Weight(),
        MergeParameter.Density(),
        new("gamma", new(0.01), true, "The share of the largest differences that is dropped.")
        {
            Least = 0,
            Most = 1,
            IsBelowMost = true,
        },
        MergeParameter.Lambda(),
        Normalize(false),
        .. Rescaling.OfNorms,
    ];

    private protected override SignVote? VoteOf(MergeTensor tensor) => votes ? new() : null;

    private protected override void Thin(MergeTensor tensor, int model)
    {
        double density = tensor.Number("density", model);
        if (density >= 1)
        {
            return;
        }

        int count = tensor.Length;
        long kept = (long)(density * count),
            outliers = Math.Min((long)(tensor.Number("gamma", model) * count), count - kept);
        Span<float> values = tensor[model];
        string? norm = Rescaling.Of(tensor);
        double before = norm is null ? 0 : Rescaling.Measure(norm, values);
        MagnitudeCut low = OrderStatistics.Largest(values, outliers + kept),
            high = OrderStatistics.Largest(values, outliers);
        long lowLeft = low.Equal,
            highLeft = high.Equal;

        // From the end: of equal magnitudes the last are the larger ones, as in mergekit's ascending sort.
        for (int i = values.Length - 1; i >= 0; i--)
        {
            ref float value = ref values[i];
            bool isKept = low.Keeps(value, ref lowLeft),
                isOutlier = high.Keeps(value, ref highLeft);
            if (!isKept || isOutlier)
            {
                value = 0;
            }
        }

        if (norm is not null)
        {
            Rescaling.Restore(norm, before, values);
        }
    }
}
