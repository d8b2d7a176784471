namespace SkillLoc.Models.Merging.Methods;

/// <summary>
/// EMR merging (Huang et al. 2024): one vector of elected signs and largest agreeing magnitudes; the model of task i has its scalars where
/// the task agrees in sign, scaled by the quotient of the sums over tensors of mean magnitudes.
/// </summary>
internal sealed class Emr : MergeMethod
{
    private double _own;
    private double _masked;

    public override string Name => "emr";

    public override string Summary => "One task's model from an elected vector, a mask and a scale.";

    public override string Origin => "Huang et al. 2024, arXiv:2405.17461";

    public override IReadOnlyList<MergeParameter> Parameters { get; } =
    [new("task", new(0), false, "The model, counted from 0, whose task it is.") { Least = 0 }];

    internal override int Passes => 1;

    internal override void Observe(int pass, MergeTensor tensor)
    {
        if (tensor.Length > 0)
        {
            int task = Elect(tensor);
            _own += VectorMath.L1(tensor[task]) / tensor.Length;
            Mask(tensor, task);
            _masked += VectorMath.L1(tensor.Output) / tensor.Length;
        }
    }

    internal override void Merge(MergeTensor tensor)
    {
        Mask(tensor, Elect(tensor));
        float scale = _masked == 0 ? 1 : (float)(_own / _masked);
        Span<float> output = tensor.Output;
        ReadOnlySpan<float> basis = tensor.Base;
        for (int j = 0; j < output.Length; j++)
        {
            output[j] = basis[j] + (scale * output[j]);
        }
    }

    /// <summary>Sets the output to the elected vector. An even vote counts as negative.</summary>
    private static int Elect(MergeTensor tensor)
    {
        int task = (int)tensor.Number("task");
        if (task >= tensor.Count)
        {
            throw new InvalidDataException($"The parameter 'task' is {task}, and there are {tensor.Count} models, counted from 0.");
        }

        tensor.SubtractBase();
        Span<float> output = tensor.Output;
        for (int j = 0; j < output.Length; j++)
        {
            float sum = 0,
                largest = 0;
            for (int i = 0; i < tensor.Count; i++)
            {
                sum += tensor[i][j];
            }

            float sign = sum > 0 ? 1 : -1;
            for (int i = 0; i < tensor.Count; i++)
            {
                largest = MathF.Max(largest, sign * tensor[i][j]);
            }

            output[j] = sign * largest;
        }

        return task;
    }

    private static void Mask(MergeTensor tensor, int task)
    {
        Span<float> output = tensor.Output,
            own = tensor[task];
        for (int j = 0; j < output.Length; j++)
        {
            output[j] = own[j] * output[j] > 0 ? output[j] : 0;
        }
    }
}
