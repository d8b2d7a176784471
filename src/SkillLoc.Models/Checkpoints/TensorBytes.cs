using SkillLoc.Models.Runtime;
using TorchSharp;

namespace SkillLoc.Models.Checkpoints;

/// <summary>Converts between tensors on any device and little-endian bytes, piece by piece.</summary>
internal static class TensorBytes
{
    // What can be addressed in place goes in large pieces; what is converted or crosses to a device needs a second buffer of this size.
    private const int DirectBytes = 1 << 30;
    private const int StagedBytes = 1 << 24;

    /// <summary>Copies the stored bytes that begin at <paramref name="offset"/> to fill <paramref name="destination"/>.</summary>
    public delegate void Source(long offset, Span<byte> destination);

    /// <summary>Receives the next piece.</summary>
    public delegate void Sink(ReadOnlySpan<byte> piece);

    /// <summary>Returns a new tensor of the stored values, converted and moved to the device.</summary>
    public static torch.Tensor Read(TensorInfo info, Source source, torch.ScalarType? asType, torch.Device? device)
    {
        TorchRuntime.Require();
        torch.Tensor tensor = torch.empty(info.Shape, dtype: asType ?? info.Dtype, device: device ?? torch.CPU);
        try
        {
            if (info.ByteLength > 0)
            {
                Fill(tensor, info, source);
            }

            return tensor;
        }
        catch
        {
            tensor.Dispose();
            throw;
        }
    }

    /// <summary>Passes the values to <paramref name="sink"/> in row-major order as <paramref name="asType"/>.</summary>
    public static void Write(torch.Tensor tensor, torch.ScalarType asType, Sink sink)
    {
        using torch.Tensor detached = tensor.detach();
        using torch.Tensor contiguous = detached.contiguous();
        using torch.Tensor flat = contiguous.reshape(-1);
        bool inPlace = tensor.device.type == DeviceType.CPU && tensor.dtype == asType;
        foreach ((long start, long count) in Pieces(flat.numel(), inPlace, (int)tensor.element_size()))
        {
            using torch.Tensor piece = flat.narrow(0, start, count);
            if (inPlace)
            {
                sink(piece.bytes);
            }
            else
            {
                using torch.Tensor converted = piece.to(asType, torch.CPU);
                sink(converted.bytes);
            }
        }
    }

    private static void Fill(torch.Tensor tensor, TensorInfo info, Source source)
    {
        using torch.Tensor flat = tensor.view(-1);
        bool inPlace = tensor.device.type == DeviceType.CPU && tensor.dtype == info.Dtype;
        int size = ElementTypes.Size(info.Dtype);
        foreach ((long start, long count) in Pieces(flat.numel(), inPlace, size))
        {
            using torch.Tensor piece = flat.narrow(0, start, count);
            if (inPlace)
            {
                source(start * size, piece.bytes);
            }
            else
            {
                using torch.Tensor staged = torch.empty([count], dtype: info.Dtype, device: torch.CPU);
                source(start * size, staged.bytes);
                piece.copy_(staged);
            }
        }
    }

    private static IEnumerable<(long Start, long Count)> Pieces(long elements, bool inPlace, int elementSize)
    {
        long step = (inPlace ? DirectBytes : StagedBytes) / elementSize;
        for (long start = 0; start < elements; start += step)
        {
            yield return (start, Math.Min(step, elements - start));
        }
    }
}

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

    public static torch.ScalarType? FromSafetensors(string name) =>
        Find(known => string.Equals(known.Safetensors, name, StringComparison.Ordinal));

    /// <summary>The element type of a Python storage class such as <c>FloatStorage</c>.</summary>
    public static torch.ScalarType? FromStorage(string name) => Find(known => string.Equals(known.Storage, name, StringComparison.Ordinal));

    public static torch.ScalarType? FromTorch(string name) => Find(known => string.Equals(known.Torch, name, StringComparison.Ordinal));

    /// <summary>The number of bytes of a tensor; null if the shape is impossible.</summary>
    public static long? ByteLength(torch.ScalarType type, ReadOnlySpan<long> shape)
    {
        if (shape.Length > MaxDimensions)
        {
            return null;
        }

        Int128 length = Size(type);
        foreach (long dimension in shape)
        {
            if (dimension < 0)
            {
                return null;
            }

            length *= Math.Max(dimension, 1);
            if (length > long.MaxValue)
            {
                return null;
            }
        }
        return shape.Contains(0) ? 0 : (long)length;
    }

    private static torch.ScalarType? Find(
        Predicate<(torch.ScalarType Type, string Safetensors, string Storage, string Torch, int Size)> match
    )
    {
        int index = Array.FindIndex(Known, match);
        return index < 0 ? null : Known[index].Type;
    }
}
