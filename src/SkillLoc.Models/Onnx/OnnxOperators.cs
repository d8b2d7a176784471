using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.NativeCalls;
using TorchSharp;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace SkillLoc.Models.Onnx;

/// <summary>The operators that exported encoders are made of.</summary>
internal static class OnnxOperators
{
    private const string Microsoft = "com.microsoft";

    private static readonly Dictionary<string, Func<OnnxCall, Tensor>> Known = new(StringComparer.Ordinal)
    {
        ["Abs"] = call => call[0].abs(),
        ["Add"] = call => Binary(call, TensorArithmetic.Add),
        ["And"] = call => Binary(call, (x, y) => x.logical_and(y)),
        ["Cast"] = call => call[0].to(TypeOf(call.Integer("to", 0))),
        ["CastLike"] = call => call[0].to(call[1].dtype),
        ["Clip"] = Clip,
        ["Concat"] = Concat,
        ["ConstantOfShape"] = call =>
            (call.Tensor("value") ?? zeros(1)).reshape([]).expand(OnnxCall.Limited(call.Integers(0))).contiguous(),
        ["CumSum"] = CumSum,
        ["Div"] = call => Binary(call, (x, y) => x.dtype == ScalarType.Int64 ? x.div(y, RoundingMode.trunc) : x.div(y)),
        ["Dropout"] = call => call[0],
        ["Equal"] = call => Binary(call, (x, y) => x.eq(y)),
        ["Erf"] = call => call[0].erf(),
        ["Exp"] = call => call[0].exp(),
        ["Expand"] = call => call[0].expand(OnnxCall.Broadcast(call[0].shape, call.Integers(1))),
        ["Flatten"] = Flatten,
        ["Gather"] = Gather,
        ["GatherElements"] = call =>
            call[0].gather(OnnxCall.Dimension(call.Integer("axis", 0), call[0].dim()), Counted(call[1], call[0], call)),
        ["GatherND"] = GatherAt,
        ["Gemm"] = Gemm,
        ["Greater"] = call => Binary(call, (x, y) => x.gt(y)),
        ["GreaterOrEqual"] = call => Binary(call, (x, y) => x.ge(y)),
        ["Identity"] = call => call[0],
        ["IsInf"] = call => call[0].isinf(),
        ["IsNaN"] = call => call[0].isnan(),
        ["Less"] = call => Binary(call, (x, y) => x.lt(y)),
        ["LessOrEqual"] = call => Binary(call, (x, y) => x.le(y)),
        ["Log"] = call => call[0].log(),
        ["MatMul"] = call => Product(call[0], call[1]),
        ["Max"] = call => call.All.Aggregate((x, y) => Binary(x, y, (first, second) => first.maximum(second))),
        ["Min"] = call => call.All.Aggregate((x, y) => Binary(x, y, (first, second) => first.minimum(second))),
        ["Mul"] = call => Binary(call, (x, y) => x * y),
        ["Neg"] = call => call[0].negative(),
        ["Not"] = call => call[0].logical_not(),
        ["Or"] = call => Binary(call, (x, y) => x.logical_or(y)),
        ["Pow"] = call => Binary(call, (x, y) => x.pow(y)),
        ["Range"] = Range,
        ["Reciprocal"] = call => call[0].reciprocal(),
        ["ReduceMax"] = call => call[0].amax(Axes(call), call.Integer("keepdims", 1) != 0),
        ["ReduceMean"] = call => call[0].mean(Axes(call), call.Integer("keepdims", 1) != 0),
        ["ReduceSum"] = call => call[0].sum(Axes(call), call.Integer("keepdims", 1) != 0),
        ["Relu"] = call => F.relu(call[0]),
        ["Reshape"] = Reshape,
        ["Shape"] = Shape,
        ["Sigmoid"] = call => call[0].sigmoid(),
        ["Size"] = call => tensor(call[0].numel()),
        ["Slice"] = Slice,
        ["Softmax"] = Softmax,
        ["Sqrt"] = call => call[0].sqrt(),
        ["Squeeze"] = Squeeze,
        ["Sub"] = call => Binary(call, (x, y) => x - y),
        ["Tanh"] = call => call[0].tanh(),
        ["Transpose"] = Transpose,
        ["Unsqueeze"] = Unsqueeze,
        ["Where"] = Where,
    };

    // LayerNormalization and Gelu became operators of ONNX itself later than of ONNX Runtime, which writes them without a domain, too.
    private static readonly Dictionary<string, Func<OnnxCall, Tensor[]>> Fused = new(StringComparer.Ordinal)
    {
        ["Attention"] = call => [call.Node.Domain == Microsoft ? OnnxAttentions.Packed(call) : OnnxAttentions.Standard(call)],
        ["BiasGelu"] = call => [Activation.Gelu(Binary(call, TensorArithmetic.Add))],
        ["EmbedLayerNormalization"] = OnnxFusedOperators.Embed,
        ["FastGelu"] = call => [Activation.TanhGelu(call.Maybe(1) is { } bias ? Binary(call[0], bias, TensorArithmetic.Add) : call[0])],
        ["FusedGemm"] = call => [OnnxFusedOperators.Activate(Gemm(call), call)],
        ["FusedMatMul"] = call => [OnnxFusedOperators.Product(call)],
        ["Gelu"] = call => [call.Text("approximate") == "tanh" ? Activation.TanhGelu(call[0]) : Activation.Gelu(call[0])],
        ["LayerNormalization"] = call => [OnnxFusedOperators.Normalise(call[0], call[1], call.Maybe(2), call, 1e-5f)],
        ["MultiHeadAttention"] = call => [OnnxAttentions.MultiHead(call)],
        ["QuickGelu"] = call => [call[0] * call[0].Mul((double)call.Number("alpha", 1.702f)).sigmoid()],
        ["SkipLayerNormalization"] = OnnxFusedOperators.SkipNormalise,
        ["Split"] = Split,
    };

    // What holds weights in fewer bits.
    private static readonly HashSet<string> Quantised = new(StringComparer.Ordinal)
    {
        "ConvInteger",
        "DequantizeLinear",
        "DynamicQuantizeLinear",
        "DynamicQuantizeMatMul",
        "GatherBlockQuantized",
        "MatMulBnb4",
        "MatMulInteger",
        "MatMulIntegerToFloat",
        "MatMulNBits",
        "QAttention",
        "QEmbedLayerNormalization",
        "QGemm",
        "QLinearMatMul",
        "QuantizeLinear",
    };

    /// <summary>Whether a node computes with quantised weights.</summary>
    public static bool IsQuantised(OnnxNode node) => Quantised.Contains(node.Operator);

    /// <summary>Computes a node.</summary>
    /// <param name="node">The node.</param>
    /// <param name="inputs">Its inputs.</param>
    /// <param name="read">Reads the tensor of an attribute.</param>
    /// <returns>Its outputs, or the first ones of them.</returns>
    /// <exception cref="NotSupportedException">The operator is unknown, or used as it is not in encoders.</exception>
    public static Tensor[] Compute(OnnxNode node, Tensor?[] inputs, Func<OnnxTensor, Tensor> read)
    {
        var call = new OnnxCall(node, inputs, read);
        return node.Domain is "" or "ai.onnx" && Known.TryGetValue(node.Operator, out Func<OnnxCall, Tensor>? compute) ? [compute(call)]
            : node.Domain is "" or "ai.onnx" or Microsoft && Fused.TryGetValue(node.Operator, out Func<OnnxCall, Tensor[]>? fused)
                ? fused(call)
            : throw new NotSupportedException(
                $"the operator {(node.Domain.Length > 0 ? $"{node.Domain}.{node.Operator}" : node.Operator)} is not known"
            );
    }

    /// <summary>x · y with the batch dimensions of both.</summary>
    /// <remarks>What does not fit is refused here: TorchSharp's matmul ends the process where libtorch throws.</remarks>
    public static Tensor Product(Tensor x, Tensor y)
    {
        if (
            x.shape is not [.., var rows, var inner]
            || y.shape is not [.., var other, var columns]
            || inner != other
            || x.dtype != ScalarType.Float32
            || y.dtype != ScalarType.Float32
        )
        {
            throw new NotSupportedException(
                $"it multiplies {x.dtype} [{string.Join(", ", x.shape)}] by {y.dtype} [{string.Join(", ", y.shape)}]"
            );
        }

        OnnxCall.Limited([.. OnnxCall.Broadcast(x.shape.AsSpan()[..^2], y.shape.AsSpan()[..^2]), rows, columns]);
        return x.matmul(y);
    }

    /// <summary>What two values make element by element.</summary>
    public static Tensor Binary(Tensor x, Tensor y, Func<Tensor, Tensor, Tensor> compute)
    {
        OnnxCall.Broadcast(x.shape, y.shape);
        return compute(x, y);
    }

    private static Tensor Binary(OnnxCall call, Func<Tensor, Tensor, Tensor> compute) => Binary(call[0], call[1], compute);

    private static ScalarType TypeOf(long type) =>
        type switch
        {
            OnnxTensor.Float32 or OnnxTensor.Float16 or OnnxTensor.BFloat16 or OnnxTensor.Float64 => ScalarType.Float32,
            OnnxTensor.Int32 or OnnxTensor.Int64 => ScalarType.Int64,
            OnnxTensor.Bool => ScalarType.Bool,
            _ => throw new NotSupportedException($"ONNX's type {type} is none that encoders compute with"),
        };

    private static Tensor Clip(OnnxCall call)
    {
        Tensor x = call[0];
        x = call.Maybe(1) is { } least ? Binary(x, least, (value, bound) => value.maximum(bound)) : x;
        return call.Maybe(2) is { } most ? Binary(x, most, (value, bound) => value.minimum(bound)) : x;
    }

    private static Tensor Concat(OnnxCall call)
    {
        Tensor[] parts = call.All;
        long axis = OnnxCall.Dimension(call.Integer("axis", 0), parts[0].dim());
        return cat(parts, axis);
    }

    private static Tensor CumSum(OnnxCall call) =>
        call.Integer("exclusive", 0) == 0 && call.Integer("reverse", 0) == 0
            ? call[0].cumsum(OnnxCall.Dimension(call.Integers(1)[0], call[0].dim()))
            : throw new NotSupportedException("it sums in another way than encoders do");

    private static Tensor Flatten(OnnxCall call)
    {
        long[] shape = call[0].shape;
        int axis = (int)call.Integer("axis", 1);
        axis = axis < 0 ? axis + shape.Length : axis;
        long rows = shape[..axis].Aggregate(1L, (product, size) => product * size);
        return call[0].reshape(rows, -1);
    }

    /// <summary>Indices with those below 0, which count from the end, as others.</summary>
    private static Tensor Counted(Tensor indices, Tensor data, OnnxCall call)
    {
        long size = data.shape[OnnxCall.Dimension(call.Integer("axis", 0), data.dim())];
        return where(indices.lt(zeros_like(indices)), indices.Add(size), indices);
    }

    private static Tensor Gather(OnnxCall call)
    {
        Tensor data = call[0],
            indices = Counted(call[1], data, call);
        int axis = (int)OnnxCall.Dimension(call.Integer("axis", 0), data.dim());
        long[] shape = OnnxCall.Limited([.. data.shape[..axis], .. indices.shape, .. data.shape[(axis + 1)..]]);
        return data.index_select(axis, indices.reshape(-1)).reshape(shape);
    }

    private static Tensor GatherAt(OnnxCall call)
    {
        Tensor data = call[0],
            indices = call[1];
        int depth = (int)indices.shape[^1];
        if (call.Integer("batch_dims", 0) != 0)
        {
            throw new NotSupportedException("it has batch dimensions");
        }

        Tensor place = zeros(indices.shape[..^1], ScalarType.Int64);
        for (int i = 0; i < depth; i++)
        {
            place = place.Mul(data.shape[i]).Add(indices.select(-1, i));
        }

        long[] rest = data.shape[depth..];
        Tensor rows = data.reshape([data.shape[..depth].Aggregate(1L, (product, size) => product * size), .. rest]);
        return rows.index_select(0, place.reshape(-1)).reshape(OnnxCall.Limited([.. place.shape, .. rest]));
    }

    /// <summary>alpha · x · y + beta · bias.</summary>
    private static Tensor Gemm(OnnxCall call)
    {
        Tensor x = call.Integer("transA", 0) != 0 ? call[0].t() : call[0],
            y = call.Integer("transB", 0) != 0 ? call[1].t() : call[1];
        Tensor product = Product(x, y).Mul((double)call.Number("alpha", 1));
        return call.Maybe(2) is { } bias ? Binary(product, bias.Mul((double)call.Number("beta", 1)), TensorArithmetic.Add) : product;
    }

    private static Tensor Range(OnnxCall call)
    {
        (long start, long stop, long step) = (call.Integers(0)[0], call.Integers(1)[0], call.Integers(2)[0]);
        if (step == 0)
        {
            throw new NotSupportedException("its step is 0");
        }

        var count = Int128.Max(0, (((Int128)stop - start) + step - Math.Sign(step)) / step);
        OnnxCall.Limited((long)Int128.Min(count, long.MaxValue));
        return TensorArithmetic.Arange(start, count == 0 ? start : stop, CPU, step);
    }

    private static long[] Axes(OnnxCall call) =>
        call.Integers("axes", 1) is { Length: > 0 } axes ? axes : [.. Enumerable.Range(0, (int)call[0].dim()).Select(axis => (long)axis)];

    private static Tensor Reshape(OnnxCall call)
    {
        long[] shape = call.Integers(1);
        if (call.Integer("allowzero", 0) == 0)
        {
            shape = [.. shape.Select((size, place) => size == 0 ? call[0].shape[place] : size)];
        }

        return call[0].reshape(shape);
    }

    private static Tensor Shape(OnnxCall call)
    {
        long[] shape = call[0].shape;
        int start = Place(call.Integer("start", 0)),
            end = Place(call.Integer("end", shape.Length));
        return tensor(start < end ? shape[start..end] : []);

        int Place(long place) => (int)Math.Clamp(place < 0 ? place + shape.Length : place, 0, shape.Length);
    }

    private static Tensor Slice(OnnxCall call)
    {
        Tensor x = call[0];
        long[] starts = call.Integers("starts", 1) ?? [],
            ends = call.Integers("ends", 2) ?? [];
        long[] axes = call.Integers("axes", 3) ?? [.. Enumerable.Range(0, starts.Length).Select(axis => (long)axis)],
            steps = call.Integers("steps", 4) ?? [.. Enumerable.Repeat(1L, starts.Length)];
        for (int i = 0; i < starts.Length; i++)
        {
            long axis = OnnxCall.Dimension(axes[i], x.dim()),
                size = x.shape[axis],
                step = steps[i];
            if (step is 0 or long.MinValue)
            {
                throw new NotSupportedException($"its step is {step}");
            }

            // Backwards, what is taken ends behind its last element.
            (long lowest, long highest) = step > 0 ? (0L, size) : (-1L, size - 1);
            long first = Math.Clamp(starts[i] < 0 ? starts[i] + size : starts[i], step > 0 ? 0 : Math.Min(0, highest), highest),
                last = Math.Clamp(ends[i] < 0 ? ends[i] + size : ends[i], lowest, highest);
            List<long> places = [];
            for (long place = first; step > 0 ? place < last : place > last; place += step)
            {
                places.Add(place);
            }

            x = step == 1 ? x.narrow(axis, first, Math.Max(last - first, 0)) : x.index_select(axis, tensor(places.ToArray()));
        }

        return x;
    }

    private static Tensor Softmax(OnnxCall call)
    {
        long rank = call[0].dim();
        return OnnxCall.Dimension(call.Integer("axis", -1), rank) == rank - 1
            ? F.softmax(call[0], -1)
            : throw new NotSupportedException("it is not over the last dimension");
    }

    private static Tensor[] Split(OnnxCall call)
    {
        long axis = OnnxCall.Dimension(call.Integer("axis", 0), call[0].dim()),
            size = call[0].shape[axis];
        long[] sizes = call.Integers("split", 1) ?? [.. Enumerable.Repeat(size / call.Node.Outputs.Count, call.Node.Outputs.Count)];
        return call[0].split(sizes, axis);
    }

    private static Tensor Squeeze(OnnxCall call)
    {
        Tensor x = call[0];
        HashSet<long> axes =
        [
            .. call.Integers("axes", 1)?.Select(axis => OnnxCall.Dimension(axis, x.dim()))
                ?? Enumerable.Range(0, (int)x.dim()).Where(axis => x.shape[axis] == 1).Select(axis => (long)axis),
        ];
        return x.reshape([.. x.shape.Where((_, axis) => !axes.Contains(axis))]);
    }

    private static Tensor Transpose(OnnxCall call) =>
        call[0]
            .permute(
                call.Node.Attributes.GetValueOrDefault("perm")?.Integers
                    ?? [.. Enumerable.Range(1, (int)call[0].dim()).Select(axis => call[0].dim() - axis)]
            );

    private static Tensor Unsqueeze(OnnxCall call)
    {
        long[] axes = call.Integers("axes", 1) ?? throw new NotSupportedException("it has no axes");
        long rank = call[0].dim() + axes.Length;
        Tensor x = call[0];
        foreach (long axis in axes.Select(axis => OnnxCall.Dimension(axis, rank)).Order())
        {
            x = x.unsqueeze(axis);
        }

        return x;
    }

    private static Tensor Where(OnnxCall call)
    {
        OnnxCall.Broadcast(OnnxCall.Broadcast(call[0].shape, call[1].shape), call[2].shape);
        return where(call[0], call[1], call[2]);
    }
}
