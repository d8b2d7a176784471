using System.Buffers.Binary;
using System.Globalization;
using System.Runtime.InteropServices;

namespace SkillLoc.Models.Checkpoints;

/// <summary>A tensor in an ONNX file.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">The number of its element type: <see cref="Float32"/>, <see cref="Int64"/> or another.</param>
/// <param name="Shape">The lengths of its dimensions.</param>
/// <param name="Data">Its values, row-major and little-endian; empty where they lie in another file.</param>
internal sealed record OnnxTensor(string Name, int Type, long[] Shape, ArraySegment<byte> Data)
{
    public const int Float32 = 1;
    public const int Int32 = 6;
    public const int Int64 = 7;
    public const int Bool = 9;
    public const int Float16 = 10;
    public const int Float64 = 11;
    public const int BFloat16 = 16;

    /// <summary>Where its values are, if not here.</summary>
    public OnnxExternal? External { get; init; }

    /// <summary>A float32 tensor.</summary>
    public static OnnxTensor Of(long[] shape, float[] values) => new("", Float32, shape, MemoryMarshal.AsBytes<float>(values).ToArray());

    /// <summary>An Int64 tensor.</summary>
    public static OnnxTensor Of(long[] shape, long[] values) => new("", Int64, shape, MemoryMarshal.AsBytes<long>(values).ToArray());

    /// <summary>Values that a file has as a list of numbers, as raw data has them.</summary>
    public static byte[] Raw(int type, IReadOnlyList<long> values)
    {
        int size = type switch
        {
            Int64 => sizeof(long),
            Int32 => sizeof(int),
            Float16 or BFloat16 => sizeof(short),
            _ => 1,
        };
        byte[] bytes = new byte[values.Count * size];
        Span<byte> value = stackalloc byte[sizeof(long)];
        for (int i = 0; i < values.Count; i++)
        {
            BinaryPrimitives.WriteInt64LittleEndian(value, values[i]);
            value[..size].CopyTo(bytes.AsSpan(i * size));
        }

        return bytes;
    }
}

/// <summary>Where a tensor's values are in another file.</summary>
/// <param name="Location">The file, beside the ONNX file.</param>
/// <param name="Offset">Where they begin.</param>
/// <param name="Length">How many bytes they are; null for the rest of the file.</param>
internal sealed record OnnxExternal(string Location, long Offset, long? Length)
{
    /// <summary>The place that a file's entries name.</summary>
    public static OnnxExternal Of(IReadOnlyDictionary<string, string> entries) =>
        new(entries.GetValueOrDefault("location", ""), Number(entries, "offset") ?? 0, Number(entries, "length"));

    private static long? Number(IReadOnlyDictionary<string, string> entries, string key) =>
        entries.TryGetValue(key, out string? text)
            ? long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long number)
                ? number
                : -1
            : null;
}
