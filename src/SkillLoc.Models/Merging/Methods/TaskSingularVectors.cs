using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Merging.Methods;

/// <summary>
/// Task singular vectors (Gargiulo et al. 2025): of each task's matrix the first r / n singular vectors are kept, r the rank and n the number
/// of models; those of all tasks side by side are made orthogonal (the nearest orthogonal matrix: P Q^T of U = P S Q^T); tau = U Sigma V^T.
/// </summary>
internal sealed class TaskSingularVectors : MatrixMethod
{
    public override string Name => "tsv_m";

    public override string Summary => "Joins the first singular vectors of all tasks' matrices and makes them orthogonal.";

    public override string Origin => "Gargiulo et al. 2025, arXiv:2412.00081";

    public override IReadOnlyList<MergeParameter> Parameters { get; } = [MergeParameter.Lambda()];

    private protected override Tensor Merge(Tensor[] differences, MergeTensor tensor)
    {
        using DisposeScope scope = NewDisposeScope();
        long kept = Math.Max(Math.Min(tensor.Shape[0], tensor.Shape[1]) / differences.Length, 1);
        var left = new List<Tensor>();
        var values = new List<Tensor>();
        var right = new List<Tensor>();
        foreach (Tensor difference in differences)
        {
            (Tensor u, Tensor s, Tensor vh) = linalg.svd(difference, fullMatrices: false);
            left.Add(u.narrow(1, 0, kept));
            values.Add(s.narrow(0, 0, kept));
            right.Add(vh.narrow(0, 0, kept));
        }

        Tensor one = Orthogonal(cat(left, 1)),
            other = Orthogonal(cat(right, 0));
        return one.mul(cat(values, 0)).mm(other).MoveToOuterDisposeScope();

        static Tensor Orthogonal(Tensor matrix)
        {
            (Tensor u, _, Tensor vh) = linalg.svd(matrix, fullMatrices: false);
            return u.mm(vh);
        }
    }
}
