using TorchSharp;

namespace SkillLoc.Models.Checkpoints;

/// <summary>The element types that checkpoints support.</summary>
internal static class ElementTypes
{
    // PyTorch's own limit.
    private const int MaxDimensions = 64;

    private static readonly (torch.ScalarType Type, string Safetensors, string Storage, string Torch, int Size)[] Known =
    [
        (torch.ScalarType.Float64, "F64", "DoubleStorage", "float64", 8),
        (torch.ScalarType.Float32, "F32", "FloatStorage", "float32", 4),
        (torch.ScalarType.Float16, "F16", "HalfStorage", "float16", 2),
        (torch.ScalarType.BFloat16, "BF16", "BFloat16Storage", "bfloat16", 2),
        (torch.ScalarType.Int64, "I64", "LongStorage", "int64", 8),
        (torch.ScalarType.Int32, "I32", "IntStorage", "int32", 4),
        (torch.ScalarType.Int16, "I16", "ShortStorage", "int16", 2),
        (torch.ScalarType.Int8, "I8", "CharStorage", "int8", 1),
        (torch.ScalarType.Byte, "U8", "ByteStorage", "uint8", 1),
        (torch.ScalarType.Bool, "BOOL", "BoolStorage", "bool", 1),
    ];

    /// <summary>The safetensors names, for messages.</summary>
    public static string SafetensorsNames { get; } = string.Join(", ", Known.Select(known => known.Safetensors));

    public static bool IsFloatingPoint(torch.ScalarType type) =>
        type is torch.ScalarType.Float64 or torch.ScalarType.Float32 or torch.ScalarType.Float16 or torch.ScalarType.BFloat16;

    /// <summary>Returns the size of an element in bytes; 0 if checkpoints do not support the type.</summary>
    public static int Size(torch.ScalarType type) => Array.Find(Known, known => known.Type == type).Size;

    /// <summary>The name in a safetensors header.</summary>
    public static string SafetensorsName(torch.ScalarType type) => Array.Find(Known, known => known.Type == type).Safetensors;

    /// <summary>The name in Python, without <c>torch.</c> before it.</summary>
    public static string TorchName(torch.ScalarType type) => Array.Find(Known, known => known.Type == type).Torch;

    public static torch.ScalarType? FromSafetensors(string name) => Find(known => string.Equals(known.Safetensors, name, StringComparison.Ordinal));

    /// <summary>The element type of a Python storage class such as <c>FloatStorage</c>.</summary>
    public static torch.ScalarType? FromStorage(string name) => Find(known => string.Equals(known.Storage, name, StringComparison.Ordinal));

    public static torch.ScalarType? FromTorch(string name) => Find(known => string.Equals(known.Torch, name, StringComparison.Ordinal));

    /// <summary>The number of bytes of a tensor; null if the shape is impossible.</summary>
    public static long? ByteLength(torch.ScalarType type, ReadOnlySpan<long> shape)
    {
        if (shape.Length > MaxDimensions)
            return null;
        Int128 length = Size(type);
        foreach (var dimension in shape)
        {
            if (dimension < 0)
                return null;
            length *= Math.Max(dimension, 1);
            if (length > long.MaxValue)
                return null;
        }
        return shape.Contains(0) ? 0 : (long)length;
    }

    private static torch.ScalarType? Find(Predicate<(torch.ScalarType Type, string Safetensors, string Storage, string Torch, int Size)> match)
    {
        var index = Array.FindIndex(Known, match);
        return index < 0 ? null : Known[index].Type;
    }
}
