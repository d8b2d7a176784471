using SkillLoc.Models.NativeCalls;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Merging.Methods;

/// <summary>
/// RegMean (Jin et al. 2023): a linear layer W, as [in, out], becomes (sum G_i)^-1 sum G_i W_i with the Gram matrix G_i of its inputs under
/// model i, whose values off the diagonal are reduced. All else is averaged.
/// </summary>
internal sealed class RegMean : MergeMethod
{
    public override string Name => "regmean";

    public override string Summary => "Merges linear layers so that their outputs on each model's inputs change least.";

    public override string Origin => "Jin et al. 2023, arXiv:2212.09849";

    public override MergeBase Base => MergeBase.Unused;

    public override bool NeedsStatistics => true;

    public override IReadOnlyList<MergeParameter> Parameters { get; } =
    [
        MergeParameter.Weight(),
        new("off_diagonal", new(0.9), false, "What the values off the diagonal of the Gram matrices are multiplied by.")
        {
            Least = 0,
            Most = 1,
        },
    ];

    internal override void Merge(MergeTensor tensor)
    {
        using DisposeScope scope = NewDisposeScope();
        float[] weights = tensor.Numbers("weight");
        Tensor[] grams = [.. weights.Select((_, i) => tensor.Statistics(i))];
        if (tensor.Shape.Length != 2 || Array.Exists(grams, gram => gram.numel() == 0))
        {
            Linear.Mean(tensor, weights);
            return;
        }

        // Of a matrix that is neither [out, in] nor [in, out] of its Gram matrices there is no such layer.
        long input = grams[0].shape[0];
        bool isStoredByInput = tensor.Shape[0] == input && tensor.Shape[1] != input || IsConv1D(tensor.Name);
        if (tensor.Shape[isStoredByInput ? 0 : 1] != input)
        {
            throw new InvalidDataException(
                $"The Gram matrices of '{tensor.Name}' are of size {input}, and the layer is of [{string.Join(", ", tensor.Shape)}]."
            );
        }

        double keep = tensor.Number("off_diagonal");
        Tensor sum = zeros([input, input], ScalarType.Float64),
            right = zeros([input, tensor.Shape[isStoredByInput ? 1 : 0]], ScalarType.Float64);
        for (int i = 0; i < weights.Length; i++)
        {
            using DisposeScope one = NewDisposeScope();
            Tensor gram = grams[i].to(ScalarType.Float64);
            gram = gram.Mul(keep).Add(diag(diagonal(gram).Mul(1 - keep))).Mul((double)weights[i]);
            Tensor weight = torch.tensor(tensor[i].ToArray(), dtype: ScalarType.Float64).view(tensor.Shape);
            sum.Add_(gram);
            right.Add_(gram.mm(isStoredByInput ? weight : weight.t()));
        }

        Tensor merged = linalg.lstsq(sum, right).Solution;
        merged = (isStoredByInput ? merged : merged.t()).to(ScalarType.Float32).contiguous();
        merged.data<float>().CopyTo(tensor.Output);
    }

    /// <summary>GPT-2's projections, stored as [in, out].</summary>
    private static bool IsConv1D(string name) =>
        name.EndsWith("c_attn.weight", StringComparison.Ordinal)
        || name.EndsWith("c_proj.weight", StringComparison.Ordinal)
        || name.EndsWith("c_fc.weight", StringComparison.Ordinal);
}
