namespace SkillLoc.Models.Merging.Methods;

/// <summary>
/// TALL masks (Wang et al. 2024): tau_M = lambda sum tau_i, and the mask of task i is where |tau_i| is at least threshold |tau_M - tau_i|.
/// The model of task i is theta_0 + mask_i tau_M.
/// </summary>
internal sealed class TallMask : MergeMethod
{
    public override string Name => "tall_mask";

    public override string Summary => "One task's model, cut by its mask from the sum of all differences.";

    public override string Origin => "Wang et al. 2024, arXiv:2405.07813";

    public override IReadOnlyList<MergeParameter> Parameters { get; } =
    [.. Common, new("task", new(0), false, "The model, counted from 0, whose task it is.") { Least = 0 }];

    /// <summary>The parameters of the vector and the masks.</summary>
    public static IReadOnlyList<MergeParameter> Common { get; } =
    [
        MergeParameter.Weight(),
        MergeParameter.Lambda(),
        new("threshold", new(0.4), false, "How much of the distance from the sum a difference must have to be its task's.") { Least = 0 },
    ];

    internal override void Merge(MergeTensor tensor)
    {
        int task = (int)tensor.Number("task");
        if (task >= tensor.Count)
        {
            throw new InvalidDataException($"The parameter 'task' is {task}, and there are {tensor.Count} models, counted from 0.");
        }

        Sum(tensor);
        float threshold = (float)tensor.Number("threshold");
        Span<float> output = tensor.Output,
            own = tensor[task];
        ReadOnlySpan<float> basis = tensor.Base;
        for (int j = 0; j < output.Length; j++)
        {
            output[j] = IsIn(own[j], output[j], threshold) ? basis[j] + output[j] : basis[j];
        }
    }

    /// <summary>Whether a scalar is in a task's mask.</summary>
    public static bool IsIn(float own, float merged, float threshold) => MathF.Abs(own) >= threshold * MathF.Abs(merged - own);

    /// <summary>Sets the output to the multi-task vector and the models to their differences from the base.</summary>
    public static void Sum(MergeTensor tensor)
    {
        tensor.SubtractBase();
        float[] weights = tensor.Numbers("weight");
        float lambda = (float)tensor.Number("lambda");
        Span<float> output = tensor.Output;
        for (int j = 0; j < output.Length; j++)
        {
            float sum = 0;
            for (int i = 0; i < weights.Length; i++)
            {
                sum += tensor[i][j] * weights[i];
            }

            output[j] = sum * lambda;
        }
    }
}
