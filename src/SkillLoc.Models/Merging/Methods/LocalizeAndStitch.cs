namespace SkillLoc.Models.Merging.Methods;

/// <summary>
/// Localize-and-Stitch without data (He et al. 2025): each model keeps the largest differences from the base, over all tensors together;
/// a scalar that several kept is their mean. There is no scale to tune.
/// </summary>
internal sealed class LocalizeAndStitch : MergeMethod
{
    private readonly List<OrderStatistics> _orders = [];
    private readonly List<double> _densities = [];
    private readonly List<MagnitudeCut> _cuts = [];
    private readonly List<long> _left = [];

    public override string Name => "localize_and_stitch";

    public override string Summary =>
        "Keeps each model's largest changes, over all tensors together, and averages only where they overlap.";

    public override string Origin => "He et al. 2025, arXiv:2408.13656, without data";

    public override IReadOnlyList<MergeParameter> Parameters { get; } = [MergeParameter.Density(0.05)];

    internal override int Passes => 2;

    internal override void Observe(int pass, MergeTensor tensor)
    {
        tensor.SubtractBase();
        for (int i = 0; i < tensor.Count; i++)
        {
            if (_orders.Count == i)
            {
                _orders.Add(new(magnitudes: true));
                _densities.Add(tensor.Number("density", i));
            }

            _orders[i].Add(tensor[i]);
        }
    }

    internal override void EndPass(int pass)
    {
        for (int i = 0; i < _orders.Count; i++)
        {
            long kept = (long)(_densities[i] * _orders[i].Count);
            if (pass == 0)
            {
                _orders[i].Refine(Math.Min(_orders[i].Count - kept, _orders[i].Count - 1));
            }
            else
            {
                _cuts.Add(kept == 0 ? MagnitudeCut.None : _orders[i].Cut());
                _left.Add(_cuts[i].Equal);
            }
        }
    }

    internal override void Merge(MergeTensor tensor)
    {
        tensor.SubtractBase();
        Span<float> output = tensor.Output;
        ReadOnlySpan<float> basis = tensor.Base;
        long[] left = [.. _left];
        for (int j = 0; j < output.Length; j++)
        {
            float sum = 0;
            int count = 0;
            for (int i = 0; i < left.Length; i++)
            {
                if (_cuts[i].Keeps(tensor[i][j], ref left[i]))
                {
                    sum += tensor[i][j];
                    count++;
                }
            }

            output[j] = count == 0 ? basis[j] : basis[j] + (sum / count);
        }

        _left.Clear();
        _left.AddRange(left);
    }
}
