namespace SkillLoc.Models.Merging.Methods;

/// <summary>
/// What task arithmetic and its descendants share: differences from the base are thinned out, weighted, put to a vote of signs, summed,
/// scaled and added to the base.
/// </summary>
internal abstract class TaskVectorMethod : MergeMethod
{
    /// <summary>How signs are elected and the elected are averaged; null sums all.</summary>
    private protected virtual SignVote? VoteOf(MergeTensor tensor) => null;

    private protected static MergeParameter Normalize(bool fallback) =>
        MergeParameter.Flag("normalize", fallback, "Whether the sum is divided by the sum of the weights that are in it.");

    /// <summary>Thins out the differences of a model.</summary>
    private protected virtual void Thin(MergeTensor tensor, int model) { }

    internal override void Merge(MergeTensor tensor)
    {
        tensor.SubtractBase();
        float[] weights = tensor.Numbers("weight");
        for (int i = 0; i < tensor.Count; i++)
        {
            Thin(tensor, i);
        }

        if (VoteOf(tensor) is { } vote)
        {
            vote.Sum(tensor, weights, tensor.Flag("normalize"));
        }
        else
        {
            Sum(tensor, weights);
        }

        float lambda = (float)tensor.Number("lambda");
        Span<float> output = tensor.Output;
        ReadOnlySpan<float> basis = tensor.Base;
        for (int j = 0; j < output.Length; j++)
        {
            output[j] = basis[j] + (output[j] * lambda);
        }
    }

    private static void Sum(MergeTensor tensor, float[] weights)
    {
        Span<float> output = tensor.Output;
        output.Clear();
        for (int i = 0; i < weights.Length; i++)
        {
            ReadOnlySpan<float> values = tensor[i];
            for (int j = 0; j < output.Length; j++)
            {
                output[j] += values[j] * weights[i];
            }
        }

        if (tensor.Flag("normalize"))
        {
            // In float32, as torch sums; Enumerable.Sum adds in double precision.
            float total = weights.Aggregate(0f, (sum, weight) => sum + weight);
            VectorMath.Divide(output, MergeChecks.Total(total, tensor), output);
        }
    }
}

/// <summary>The election of signs (Yadav et al. 2023): of each scalar, only models with the elected sign are averaged.</summary>
internal sealed class SignVote
{
    /// <summary>Whether weights count in the vote; else only in the sum.</summary>
    public bool IsWeighted { get; init; } = true;

    /// <summary>Whether each model has one vote instead of as much as it moved.</summary>
    public bool CountsHeads { get; init; }

    /// <summary>The elected sign where the vote is even; 0 sums nothing.</summary>
    public float SignOfZero { get; init; } = 1;

    /// <summary>Whether the sum is divided by the number of models in it instead of the sum of their weights.</summary>
    public bool DividesByCount { get; init; }

    /// <summary>Returns the elected sign of a scalar.</summary>
    public float Elect(MergeTensor tensor, float[] weights, int scalar)
    {
        float sum = 0;
        for (int i = 0; i < weights.Length; i++)
        {
            float value = IsWeighted ? tensor[i][scalar] * weights[i] : tensor[i][scalar];
            sum += CountsHeads ? MathF.Sign(value) : value;
        }

        return sum > 0 ? 1
            : sum < 0 ? -1
            : SignOfZero;
    }

    /// <summary>Sets the output to the mean, or the sum, of the elected.</summary>
    public void Sum(MergeTensor tensor, float[] weights, bool normalize)
    {
        Span<float> output = tensor.Output;
        for (int j = 0; j < output.Length; j++)
        {
            float sign = Elect(tensor, weights, j),
                sum = 0,
                divisor = 0;
            for (int i = 0; i < weights.Length; i++)
            {
                float value = tensor[i][j],
                    weighted = value * weights[i];
                if (sign != 0 && MathF.Sign(IsWeighted ? weighted : value) == sign)
                {
                    sum += weighted;
                    divisor += DividesByCount ? 1 : weights[i];
                }
            }

            output[j] = normalize && divisor != 0 ? sum / divisor : sum;
        }
    }
}

/// <summary>Brings thinned-out differences back to a measure that they had before.</summary>
internal static class Rescaling
{
    // Measures below it are left.
    private const double Least = 1e-7;

    /// <summary>The parameters <c>rescale</c> and <c>rescale_norm</c> of methods that drop at random.</summary>
    public static IReadOnlyList<MergeParameter> OfChance { get; } =
        Parameters(
            true,
            "What is scaled up to: the sum of magnitudes before (`l1`, mergekit's), their root mean square (`l2`), the largest (`linf`), or "
                + "the expectation (`density`, the paper's: each scalar is divided by the probability with which it was kept).",
            "l1",
            "l2",
            "linf",
            "density"
        );

    /// <summary>The same of methods that drop the smallest.</summary>
    public static IReadOnlyList<MergeParameter> OfNorms { get; } =
        Parameters(
            false,
            "What is scaled up to: the sum of magnitudes before (`l1`), their root mean square (`l2`), or the largest (`linf`).",
            "l1",
            "l2",
            "linf"
        );

    /// <summary>The measure that is kept; null for none.</summary>
    public static string? Of(MergeTensor tensor) => tensor.Flag("rescale") ? tensor.Text("rescale_norm") : null;

    public static double Measure(string norm, ReadOnlySpan<float> values) =>
        norm switch
        {
            "l1" => VectorMath.L1(values),
            "l2" => VectorMath.Norm(values),
            _ => VectorMath.Largest(values),
        };

    /// <summary>Scales values up to what the measure was before.</summary>
    public static void Restore(string norm, double before, Span<float> values)
    {
        double after = Measure(norm, values);
        if (before >= Least && after >= Least)
        {
            VectorMath.Multiply(values, (float)(before / after), values);
        }
    }

    private static IReadOnlyList<MergeParameter> Parameters(bool fallback, string norms, params string[] choices) =>
        [
            MergeParameter.Flag("rescale", fallback, "Whether what is left is scaled up."),
            new("rescale_norm", new("l1"), false, norms) { Choices = choices },
        ];
}
