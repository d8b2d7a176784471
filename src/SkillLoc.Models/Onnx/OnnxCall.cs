using SkillLoc.Models.Checkpoints;
using static TorchSharp.torch;

namespace SkillLoc.Models.Onnx;

/// <summary>A node with its inputs, as an operator reads them.</summary>
/// <param name="node">The node.</param>
/// <param name="inputs">Its inputs; null for those that are left out.</param>
/// <param name="read">Reads the tensor of an attribute.</param>
internal sealed class OnnxCall(OnnxNode node, Tensor?[] inputs, Func<OnnxTensor, Tensor> read)
{
    // No value of a graph that is run over a few tokens comes near it, and a hostile file is refused before memory is taken.
    private const long MostElements = 1L << 29;

    /// <summary>The node.</summary>
    public OnnxNode Node => node;

    /// <summary>All inputs.</summary>
    public Tensor[] All => [.. inputs.Select((_, place) => this[place])];

    /// <summary>An input.</summary>
    public Tensor this[int place] => Maybe(place) ?? throw new NotSupportedException($"it has no input {place + 1}");

    /// <summary>An input; null if it is left out.</summary>
    public Tensor? Maybe(int place) => place < inputs.Length ? inputs[place] : null;

    /// <summary>A whole number among the attributes.</summary>
    public long Integer(string name, long fallback) => Attribute(name)?.Integer ?? fallback;

    /// <summary>A number among the attributes.</summary>
    public float Number(string name, float fallback) => Attribute(name)?.Number ?? fallback;

    /// <summary>A text among the attributes.</summary>
    public string Text(string name) => Attribute(name)?.Text ?? "";

    /// <summary>A tensor among the attributes.</summary>
    public Tensor? Tensor(string name) => Attribute(name)?.Tensor is { } tensor ? read(tensor) : null;

    /// <summary>Whole numbers that older operator sets have as an attribute and newer ones as an input; null for none.</summary>
    public long[]? Integers(string name, int place) => Maybe(place) is { } input ? Values(input) : Attribute(name)?.Integers;

    /// <summary>The whole numbers of an input.</summary>
    public long[] Integers(int place) => Values(this[place]);

    /// <summary>A dimension, counted from the first one.</summary>
    public static long Dimension(long axis, long rank) =>
        axis >= -rank && axis < rank ? (axis + rank) % rank : throw new NotSupportedException($"{rank} dimensions have no axis {axis}");

    /// <summary>The shape that two shapes are broadcast to.</summary>
    public static long[] Broadcast(ReadOnlySpan<long> one, ReadOnlySpan<long> other)
    {
        long[] shape = new long[Math.Max(one.Length, other.Length)];
        for (int i = 1; i <= shape.Length; i++)
        {
            (long first, long second) = (i <= one.Length ? one[^i] : 1, i <= other.Length ? other[^i] : 1);
            shape[^i] =
                first == second || second == 1 ? first
                : first == 1 ? second
                : throw new NotSupportedException($"sizes {first} and {second} do not fit");
        }

        return Limited(shape);
    }

    /// <summary>A shape that is not too large.</summary>
    public static long[] Limited(params long[] shape)
    {
        Int128 elements = 1;
        foreach (long size in shape)
        {
            elements *= size >= 0 ? Math.Max(size, 1) : throw new NotSupportedException($"a size is {size}");
            if (elements > MostElements)
            {
                throw new NotSupportedException($"a value of shape [{string.Join(", ", shape)}] is too large");
            }
        }

        return shape;
    }

    private OnnxAttribute? Attribute(string name) => node.Attributes.GetValueOrDefault(name);

    private static long[] Values(Tensor tensor) =>
        tensor.dtype == ScalarType.Int64
            ? tensor.contiguous().data<long>().ToArray()
            : throw new NotSupportedException($"its input is {tensor.dtype} and should be Int64");
}
