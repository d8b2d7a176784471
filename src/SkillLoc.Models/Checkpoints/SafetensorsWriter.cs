using System.Buffers;
using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;
using System.Text.Encodings.Web;
using System.Text.Json;
using TorchSharp;

namespace SkillLoc.Models.Checkpoints;

/// <summary>Writes the safetensors format tensor by tensor, copying one piece of a tensor at a time.</summary>
/// <remarks>Our own since TorchSharp.PyBridge 1.4 writes no metadata, which grafts and states need, and overwrites files in
/// place.</remarks>
public static class SafetensorsWriter
{
    private const int Alignment = 8;

    // Names and metadata are read by machines: nothing needs escaping beyond what JSON asks for.
    private static readonly JsonWriterOptions HeaderOptions = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Writes a file; an existing one is replaced once the new one is complete.</summary>
    /// <param name="path">The file.</param>
    /// <param name="tensors">The tensors in the order of the header, on any device and with any layout.</param>
    /// <param name="metadata">Free-form metadata, or null.</param>
    /// <param name="storeAs">The type in which floating-point tensors are stored; null keeps their own. Other tensors keep theirs.</param>
    /// <exception cref="ArgumentException">A name occurs twice or is reserved, or a tensor's type cannot be stored.</exception>
    /// <exception cref="IOException">The file could not be written; an existing one is unchanged.</exception>
    public static void Write(
        string path,
        IEnumerable<(string Name, torch.Tensor Value)> tensors,
        IReadOnlyDictionary<string, string>? metadata = null,
        torch.ScalarType? storeAs = null
    ) => AtomicFile.Write(path, stream => Write(stream, tensors, metadata, storeAs));

    /// <summary>Writes to a stream, which is left open.</summary>
    /// <param name="stream">A writable stream.</param>
    /// <param name="tensors">The tensors in the order of the header, on any device and with any layout.</param>
    /// <param name="metadata">Free-form metadata, or null.</param>
    /// <param name="storeAs">The type in which floating-point tensors are stored; null keeps their own. Other tensors keep theirs.</param>
    /// <exception cref="ArgumentException">A name occurs twice or is reserved, or a tensor's type cannot be stored.</exception>
    public static void Write(
        Stream stream,
        IEnumerable<(string Name, torch.Tensor Value)> tensors,
        IReadOnlyDictionary<string, string>? metadata = null,
        torch.ScalarType? storeAs = null
    )
    {
        ArgumentNullException.ThrowIfNull(stream);
        ArgumentNullException.ThrowIfNull(tensors);
        if (storeAs is { } type && !ElementTypes.IsFloatingPoint(type))
        {
            throw new ArgumentException($"Weights can be stored as Float64, Float32, Float16 or BFloat16, not as {type}.", nameof(storeAs));
        }

        List<Entry> entries = Plan(tensors.Select(tensor => (Info(tensor.Name, tensor.Value, storeAs), (torch.Tensor?)tensor.Value)));
        WriteHeader(stream, entries, metadata);
        foreach (Entry? entry in entries.OrderBy(entry => entry.Offset))
        {
            TensorBytes.Write(entry.Value!, entry.Info.Dtype, stream.Write);
        }
    }

    /// <summary>Writes tensors that are made one at a time.</summary>
    /// <param name="stream">A writable stream.</param>
    /// <param name="tensors">What they will be, in the order of the header.</param>
    /// <param name="make">Makes one, of any type; it is disposed when it is written.</param>
    /// <param name="metadata">Free-form metadata, or null.</param>
    internal static void Write(
        Stream stream,
        IEnumerable<TensorInfo> tensors,
        Func<TensorInfo, torch.Tensor> make,
        IReadOnlyDictionary<string, string>? metadata
    )
    {
        List<Entry> entries = Plan(tensors.Select(info => (info, (torch.Tensor?)null)));
        WriteHeader(stream, entries, metadata);
        foreach (Entry? entry in entries.OrderBy(entry => entry.Offset))
        {
            using torch.Tensor value = make(entry.Info);
            TensorBytes.Write(value, entry.Info.Dtype, stream.Write);
        }
    }

    private static TensorInfo Info(string name, torch.Tensor value, torch.ScalarType? storeAs)
    {
        torch.ScalarType type = storeAs is { } wanted && ElementTypes.IsFloatingPoint(value.dtype) ? wanted : value.dtype;
        long[] shape = value.shape;
        return ElementTypes.Size(type) != 0 && ElementTypes.ByteLength(type, shape) is { } byteLength
            ? new(name, type, shape, byteLength)
            : throw new ArgumentException(
                $"Tensor '{name}' is of type {type}; safetensors files can hold {ElementTypes.SafetensorsNames}.",
                nameof(value)
            );
    }

    private static List<Entry> Plan(IEnumerable<(TensorInfo Info, torch.Tensor? Value)> tensors)
    {
        var names = new HashSet<string>(StringComparer.Ordinal) { "__metadata__" };
        var entries = new List<Entry>();
        foreach ((TensorInfo info, torch.Tensor? value) in tensors)
        {
            if (!names.Add(info.Name))
            {
                throw new ArgumentException($"The tensor name '{info.Name}' occurs twice or is reserved.", nameof(tensors));
            }

            entries.Add(new Entry(info, value));
        }

        // Larger elements first, so that every tensor is aligned to its own element size: readers that map the file ask for it.
        long offset = 0;
        foreach (Entry? entry in entries.OrderByDescending(entry => ElementTypes.Size(entry.Info.Dtype)))
        {
            entry.Offset = offset;
            offset += entry.Info.ByteLength;
        }
        return entries;
    }

    private static void WriteHeader(Stream stream, List<Entry> entries, IReadOnlyDictionary<string, string>? metadata)
    {
        using var header = new MemoryStream();
        header.Write(stackalloc byte[sizeof(long)]);
        using (var json = new Utf8JsonWriter(header, HeaderOptions))
        {
            json.WriteStartObject();
            if (metadata is { Count: > 0 })
            {
                json.WriteStartObject("__metadata__");
                foreach ((string? key, string? value) in metadata)
                {
                    json.WriteString(key, value);
                }

                json.WriteEndObject();
            }
            foreach (Entry entry in entries)
            {
                json.WriteStartObject(entry.Info.Name);
                json.WriteString("dtype", ElementTypes.SafetensorsName(entry.Info.Dtype));
                WriteIntegers(json, "shape", entry.Info.Shape);
                WriteIntegers(json, "data_offsets", [entry.Offset, entry.Offset + entry.Info.ByteLength]);
                json.WriteEndObject();
            }
            json.WriteEndObject();
        }
        while (header.Length % Alignment != 0)
        {
            header.WriteByte((byte)' ');
        }

        Span<byte> bytes = header.GetBuffer().AsSpan(0, (int)header.Length);
        BinaryPrimitives.WriteInt64LittleEndian(bytes, bytes.Length - sizeof(long));
        stream.Write(bytes);
    }

    private static void WriteIntegers(Utf8JsonWriter json, string name, ReadOnlySpan<long> values)
    {
        json.WriteStartArray(name);
        foreach (long value in values)
        {
            json.WriteNumberValue(value);
        }

        json.WriteEndArray();
    }

    private sealed class Entry(TensorInfo info, torch.Tensor? value)
    {
        public TensorInfo Info { get; } = info;

        public torch.Tensor? Value { get; } = value;

        public long Offset { get; set; }
    }
}
