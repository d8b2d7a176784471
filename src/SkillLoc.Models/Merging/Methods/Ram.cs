namespace SkillLoc.Models.Merging.Methods;

/// <summary>
/// Reinforced agent merging (2026): a scalar that one model changed is added whole, one that several changed is their mean. RAM+ scales a
/// model's own scalars by 1 + r min(shared / own, alpha), with the numbers of scalars of the tensor that it shares and has alone.
/// </summary>
internal sealed class Ram(bool plus) : MergeMethod
{
    public override string Name => plus ? "ramplus_tl" : "ram";

    public override string Summary =>
        plus
            ? "As ram, and scales up what a model has alone, the more it shares."
            : "Adds what one model changed, averages what several changed.";

    public override string Origin => "arXiv:2601.13572";

    public override IReadOnlyList<MergeParameter> Parameters { get; } =
    [
        new("epsilon", new(1e-5), false, "Differences up to it count as none.") { Least = 0 },
        .. plus
            ?
            [
                new("r", new(0.1), false, "How much a model's own scalars are scaled up.") { Least = 0 },
                new MergeParameter("alpha", new(0.2), false, "The most of shared / own that counts.") { Least = 0 },
            ]
            : Array.Empty<MergeParameter>(),
    ];

    internal override void Merge(MergeTensor tensor)
    {
        tensor.SubtractBase();
        double epsilon = tensor.Number("epsilon");
        Span<float> output = tensor.Output;

        // How many models changed a scalar.
        output.Clear();
        for (int i = 0; i < tensor.Count; i++)
        {
            Span<float> values = tensor[i];
            for (int j = 0; j < output.Length; j++)
            {
                output[j] += MathF.Abs(values[j]) > epsilon ? 1 : 0;
            }
        }

        float[] scales = [.. Enumerable.Range(0, tensor.Count).Select(i => plus ? Scale(tensor, i, epsilon) : 1)];
        ReadOnlySpan<float> basis = tensor.Base;
        for (int j = 0; j < output.Length; j++)
        {
            float count = output[j],
                sum = 0;
            for (int i = 0; i < scales.Length; i++)
            {
                float value = tensor[i][j];
                if (MathF.Abs(value) > epsilon)
                {
                    sum += count == 1 ? value * scales[i] : value / count;
                }
            }

            output[j] = basis[j] + sum;
        }
    }

    private static float Scale(MergeTensor tensor, int model, double epsilon)
    {
        long shared = 0,
            own = 0;
        Span<float> values = tensor[model],
            counts = tensor.Output;
        for (int j = 0; j < values.Length; j++)
        {
            if (MathF.Abs(values[j]) > epsilon)
            {
                shared += counts[j] > 1 ? 1 : 0;
                own += counts[j] == 1 ? 1 : 0;
            }
        }

        double ratio = shared / Math.Max(own, epsilon);
        return (float)(1 + (tensor.Number("r") * Math.Min(ratio, tensor.Number("alpha"))));
    }
}
