using SkillLoc.Models.NativeCalls;
using TorchSharp;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace SkillLoc.Models.Onnx;

/// <summary>Attention as one operator: ONNX's own since operator set 23, and the two that ONNX Runtime's optimiser makes.</summary>
internal static class OnnxAttentions
{
    private const string LooksBack = "it is a decoder's attention, which looks back or at other texts";

    /// <summary>ONNX Runtime's <c>Attention</c>: queries, keys and values of one projection.</summary>
    public static Tensor Packed(OnnxCall call)
    {
        if (call.Integer("unidirectional", 0) != 0 || call.Maybe(4) is not null || call.Integer("do_rotary", 0) != 0)
        {
            throw new NotSupportedException(LooksBack);
        }

        Tensor all = OnnxOperators.Binary(OnnxOperators.Product(call[0], call[1]), call[2], TensorArithmetic.Add);
        if (all.dim() != 3 || all.shape[^1] % 3 != 0)
        {
            throw new NotSupportedException($"queries, keys and values are of shape [{string.Join(", ", all.shape)}]");
        }

        Tensor[] parts = all.chunk(3, -1);
        return Masked(call, parts[0], parts[1], parts[2], call.Maybe(3), call.Maybe(5));
    }

    /// <summary>ONNX Runtime's <c>MultiHeadAttention</c>: queries, keys and values by themselves, and their joint bias.</summary>
    public static Tensor MultiHead(OnnxCall call)
    {
        if (call.Integer("unidirectional", 0) != 0 || call.Maybe(6) is not null || call.Maybe(7) is not null)
        {
            throw new NotSupportedException(LooksBack);
        }

        Tensor[] parts = [call[0], call[1], call[2]];
        if (call.Maybe(3) is { } bias)
        {
            Tensor[] biases = bias.chunk(3, 0);
            parts = [.. parts.Select((part, place) => OnnxOperators.Binary(part, biases[place], TensorArithmetic.Add))];
        }

        return Masked(call, parts[0], parts[1], parts[2], call.Maybe(4), call.Maybe(5));
    }

    /// <summary>ONNX's <c>Attention</c>: heads in a dimension of their own, or as an attribute.</summary>
    public static Tensor Standard(OnnxCall call)
    {
        if (call.Integer("is_causal", 0) != 0 || call.Maybe(4) is not null || call.Maybe(5) is not null || call.Number("softcap", 0) != 0)
        {
            throw new NotSupportedException(LooksBack);
        }

        bool isSplit = call[0].dim() == 4;
        long heads = isSplit ? call[0].shape[1] : call.Integer("q_num_heads", 0);
        if ((isSplit ? call[1].shape[1] : call.Integer("kv_num_heads", 0)) != heads)
        {
            throw new NotSupportedException("keys have another number of heads than queries");
        }

        Tensor[] parts = isSplit
            ? [call[0], call[1], call[2]]
            : [.. new[] { call[0], call[1], call[2] }.Select(part => Split(part, heads))];
        Tensor scores = Scores(call, parts[0], parts[1]);
        if (call.Maybe(3) is { } mask)
        {
            scores =
                mask.dtype == ScalarType.Bool
                    ? scores.MaskedFill(mask.logical_not().expand(OnnxCall.Broadcast(mask.shape, scores.shape)), double.NegativeInfinity)
                    : OnnxOperators.Binary(scores, mask, TensorArithmetic.Add);
        }

        Tensor context = OnnxOperators.Product(F.softmax(scores, -1), parts[2]);
        return isSplit ? context : Joined(context);
    }

    private static Tensor Masked(OnnxCall call, Tensor query, Tensor key, Tensor value, Tensor? mask, Tensor? bias)
    {
        long heads = call.Integer("num_heads", 0);
        Tensor scores = Scores(call, Split(query, heads), Split(key, heads));
        if (mask is not null)
        {
            // Lengths of the rows, or 1 for their tokens.
            Tensor read = mask.dim() switch
            {
                1 => TensorArithmetic.Arange(0, scores.shape[^1], CPU).lt(mask.unsqueeze(-1)),
                2 => mask.ne(zeros_like(mask)),
                _ => throw new NotSupportedException($"its mask has {mask.dim()} dimensions"),
            };
            scores = scores.MaskedFill(
                read.logical_not().reshape(read.shape[0], 1, 1, read.shape[1]),
                call.Number("mask_filter_value", -10000)
            );
        }

        scores = bias is null ? scores : OnnxOperators.Binary(scores, bias, TensorArithmetic.Add);
        return Joined(OnnxOperators.Product(F.softmax(scores, -1), Split(value, heads)));
    }

    private static Tensor Scores(OnnxCall call, Tensor query, Tensor key)
    {
        double scale = call.Number("scale", 0);
        return OnnxOperators.Product(query, key.transpose(-2, -1)).Mul(scale == 0 ? 1 / Math.Sqrt(query.shape[^1]) : scale);
    }

    private static Tensor Split(Tensor x, long heads) =>
        x.shape is [var rows, var length, var width] && heads > 0 && width % heads == 0
            ? x.reshape(rows, length, heads, width / heads).transpose(1, 2)
            : throw new NotSupportedException($"{heads} heads do not divide a value of shape [{string.Join(", ", x.shape)}]");

    private static Tensor Joined(Tensor context) =>
        context.transpose(1, 2).reshape(context.shape[0], context.shape[2], context.shape[1] * context.shape[3]);
}
