namespace SkillLoc.Models.Merging.Methods;

/// <summary>
/// DELLA (Deep et al. 2024): a difference of rank r among the R of its row, 1 the smallest, is kept with the probability density - epsilon +
/// 2 epsilon (r - 1) / (R - 1), and what is left is scaled up.
/// </summary>
internal sealed class Della(bool votes) : TaskVectorMethod
{
    public override string Name => votes ? "della" : "della_linear";

    public override string Summary =>
        "Drops differences from the base at random, the smaller of a row with a greater probability, and scales up the others"
        + $"{(votes ? "; then elects signs" : "")}.";

    public override string Origin => "Deep et al. 2024, arXiv:2406.11617";

    public override IReadOnlyList<MergeParameter> Parameters { get; } =
    [
        MergeParameter.Weight(),
        MergeParameter.Density(),
        new("epsilon", new(0.15), true, "Half the spread of the probabilities; density - epsilon and density + epsilon are in (0, 1).")
        {
            Least = 0,
            Most = 0.5,
            IsBelowMost = true,
        },
        MergeParameter.Lambda(),
        Normalize(votes),
        .. Rescaling.OfChance,
    ];

    private protected override SignVote? VoteOf(MergeTensor tensor) => votes ? new() : null;

    /// <summary>Whether an epsilon fits a density.</summary>
    public static bool Fits(double density, double epsilon) => density >= 1 || (density - epsilon > 0 && density + epsilon < 1);

    private protected override void Thin(MergeTensor tensor, int model)
    {
        double density = tensor.Number("density", model),
            epsilon = tensor.Number("epsilon", model);
        if (density >= 1)
        {
            return;
        }

        string? norm = Rescaling.Of(tensor);
        Span<float> values = tensor[model];
        bool isExpected = norm == "density";
        double before = norm is null || isExpected ? 0 : Rescaling.Measure(norm, values);
        MergeRandom random = tensor.Random(model);
        int columns = tensor.Columns;
        float[] magnitudes = new float[columns];
        int[] order = new int[columns];
        for (int start = 0; start < values.Length; start += columns)
        {
            Span<float> row = values.Slice(start, columns);
            for (int i = 0; i < columns; i++)
            {
                magnitudes[i] = MathF.Abs(row[i]);
                order[i] = i;
            }

            Array.Sort(magnitudes, order);
            for (int rank = 0; rank < columns; rank++)
            {
                double probability = density - epsilon + (2 * epsilon * (columns == 1 ? 0 : (double)rank / (columns - 1)));
                ref float value = ref row[order[rank]];
                value =
                    random.NextDouble() >= probability ? 0
                    : isExpected ? value / (float)probability
                    : value;
            }
        }

        if (norm is not null && !isExpected)
        {
            Rescaling.Restore(norm, before, values);
        }
    }
}
