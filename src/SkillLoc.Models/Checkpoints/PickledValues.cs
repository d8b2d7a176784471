using TorchSharp;

namespace SkillLoc.Models.Checkpoints;

/// <summary>The description of a tensor in a pickle: a view of a storage, in elements.</summary>
internal sealed record PickledTensor(PickledStorage Storage, long Offset, long[] Shape, long[] Stride)
{
    /// <summary>The number of elements from the first to the last, both included: what a strided view spans.</summary>
    public Int128 Span
    {
        get
        {
            Int128 span = 1;
            for (int i = 0; i < Shape.Length; i++)
            {
                span += (Int128)(Shape[i] - 1) * Stride[i];
            }

            return Shape.Contains(0) ? 0 : span;
        }
    }

    /// <summary>Whether the elements lie one after another in row-major order.</summary>
    public bool IsContiguous
    {
        get
        {
            Int128 expected = 1;
            for (int i = Shape.Length - 1; i >= 0; i--)
            {
                if (Shape[i] != 1 && Stride[i] != expected)
                {
                    return Shape.Contains(0);
                }

                expected *= Shape[i];
            }
            return true;
        }
    }
}

/// <summary>The description of a block of values in a pickle, stored under <paramref name="Key"/>.</summary>
internal sealed record PickledStorage(torch.ScalarType Dtype, string Key, long Elements);

/// <summary>A dictionary in a pickle, in its order.</summary>
internal sealed class PickledDictionary
{
    public List<(object? Key, object? Value)> Items { get; } = [];
}
