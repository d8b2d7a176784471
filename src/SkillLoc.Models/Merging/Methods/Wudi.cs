using SkillLoc.Models.NativeCalls;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Merging.Methods;

/// <summary>
/// WUDI (Cheng et al. 2025): from tau = sum tau_i, steps of Adam minimise sum ||(tau - tau_i) tau_i^T||^2 / ||tau_i||^2, the interference with
/// each task's own directions.
/// </summary>
/// <remarks>The gradient, 2 sum (tau - tau_i) tau_i^T tau_i / ||tau_i||^2, is written out, so that no product of the size of the matrix's
/// longer side is in memory.</remarks>
internal sealed class Wudi : MatrixMethod
{
    private const double FirstDecay = 0.9;
    private const double SecondDecay = 0.999;
    private const double Epsilon = 1e-8;

    public override string Name => "wudi";

    public override string Summary => "Moves the sum of the differences to where it disturbs each task's own directions least.";

    public override string Origin => "Cheng et al. 2025, arXiv:2503.08099";

    public override IReadOnlyList<MergeParameter> Parameters { get; } =
    [
        MergeParameter.Lambda(),
        new("steps", new(300), false, "Steps of Adam.") { Least = 0 },
        new("learning_rate", new(1e-5), false, "Adam's learning rate.") { Least = 0, IsAboveLeast = true },
    ];

    private protected override Tensor Merge(Tensor[] differences, MergeTensor tensor)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor merged = Sum(differences);

        // sum (tau - tau_i) G_i = tau sum G_i - sum tau_i G_i.
        Tensor grams = zeros([merged.size(1), merged.size(1)], merged.dtype),
            targets = zeros_like(merged);
        foreach (Tensor difference in differences)
        {
            using DisposeScope one = NewDisposeScope();
            Tensor square = difference.mul(difference).sum();
            if (square.to(ScalarType.Float64).data<double>()[0] > 0)
            {
                Tensor gram = difference.t().mm(difference).div(square);
                grams.Add_(gram);
                targets.Add_(difference.mm(gram));
            }
        }

        Tensor first = zeros_like(merged),
            second = zeros_like(merged);
        double rate = tensor.Number("learning_rate");
        int steps = (int)tensor.Number("steps");
        for (int step = 1; step <= steps; step++)
        {
            using DisposeScope one = NewDisposeScope();
            Tensor gradient = merged.mm(grams).sub_(targets).Mul_(2);
            first.Mul_(FirstDecay).Add_(gradient, 1 - FirstDecay);
            second.Mul_(SecondDecay).Addcmul_(gradient, gradient, 1 - SecondDecay);
            Tensor size = second.sqrt().Div_(Math.Sqrt(1 - Math.Pow(SecondDecay, step))).Add_(Epsilon);
            merged.Addcdiv_(first, size, -rate / (1 - Math.Pow(FirstDecay, step)));
        }

        return merged.MoveToOuterDisposeScope();
    }
}
