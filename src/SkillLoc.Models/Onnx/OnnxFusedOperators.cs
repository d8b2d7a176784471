using SkillLoc.Models.Backbones;
using SkillLoc.Models.NativeCalls;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace SkillLoc.Models.Onnx;

/// <summary>Operators that ONNX Runtime's optimiser makes of several: <c>docs/ContribOperators.md</c> of its repository.</summary>
internal static class OnnxFusedOperators
{
    /// <summary>A product of matrices, each of which may be transposed.</summary>
    public static Tensor Product(OnnxCall call)
    {
        if (call.Integer("transBatchA", 0) != 0 || call.Integer("transBatchB", 0) != 0)
        {
            throw new NotSupportedException("it transposes batches");
        }

        Tensor x = call.Integer("transA", 0) != 0 ? call[0].transpose(-2, -1) : call[0],
            y = call.Integer("transB", 0) != 0 ? call[1].transpose(-2, -1) : call[1];
        return OnnxOperators.Product(x, y).Mul((double)call.Number("alpha", 1));
    }

    /// <summary>The activation of a fused operator.</summary>
    public static Tensor Activate(Tensor x, OnnxCall call) =>
        call.Text("activation") switch
        {
            "Tanh" => x.tanh(),
            "Relu" => F.relu(x),
            "Sigmoid" => x.sigmoid(),
            string other => throw new NotSupportedException($"the activation '{other}' is not known"),
        };

    /// <summary>Layer normalisation over the last dimension.</summary>
    public static Tensor Normalise(Tensor x, Tensor weight, Tensor? bias, OnnxCall call, float epsilon) =>
        OnnxCall.Dimension(call.Integer("axis", -1), x.dim()) == x.dim() - 1
            ? F.layer_norm(x, [x.shape[^1]], weight, bias, call.Number("epsilon", epsilon))
            : throw new NotSupportedException("it is not over the last dimension");

    /// <summary>Normalises the sum of two values and a bias; the sum is the fourth output.</summary>
    public static Tensor[] SkipNormalise(OnnxCall call)
    {
        Tensor sum = OnnxOperators.Binary(call[0], call[1], TensorArithmetic.Add);
        sum = call.Maybe(4) is { } bias ? OnnxOperators.Binary(sum, bias, TensorArithmetic.Add) : sum;
        Tensor none = zeros(0);
        return [Normalise(sum, call[2], call.Maybe(3), call, 1e-12f), none, none, sum];
    }

    /// <summary>The normalised sum of embeddings, the rows' lengths, and the sum.</summary>
    public static Tensor[] Embed(OnnxCall call)
    {
        Tensor ids = call[0];
        Tensor sum = Rows(call[2], ids);
        Tensor positions = call.Maybe(8) is { } own ? Rows(call[3], own) : call[3].narrow(0, 0, ids.shape[1]);
        sum = OnnxOperators.Binary(sum, positions, TensorArithmetic.Add);
        if (call.Maybe(4) is { } types)
        {
            sum = sum.Add(Rows(types, call.Maybe(1) ?? zeros_like(ids)));
        }

        Tensor lengths = call.Maybe(7)?.sum(1) ?? zeros(ids.shape[0], ScalarType.Int64);
        return [Normalise(sum, call[5], call[6], call, 1e-12f), lengths, sum];

        static Tensor Rows(Tensor table, Tensor indices) =>
            table.index_select(0, indices.reshape(-1)).reshape(OnnxCall.Limited([.. indices.shape, table.shape[^1]]));
    }
}
