using SkillLoc.Models.NativeCalls;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Merging.Methods;

/// <summary>Isotropic merging (Marczak et al. 2025, Iso-C): all singular values of a matrix of summed differences become their mean.</summary>
internal sealed class Isotropic : MatrixMethod
{
    public override string Name => "iso_c";

    public override string Summary => "Sums the differences and makes all singular values of each matrix equal.";

    public override string Origin => "Marczak et al. 2025, arXiv:2502.04959";

    public override IReadOnlyList<MergeParameter> Parameters { get; } = [MergeParameter.Lambda()];

    private protected override Tensor Merge(Tensor[] differences, MergeTensor tensor)
    {
        using DisposeScope scope = NewDisposeScope();
        (Tensor u, Tensor s, Tensor vh) = linalg.svd(Sum(differences), fullMatrices: false);
        return u.mm(vh).mul(s.mean()).MoveToOuterDisposeScope();
    }
}
