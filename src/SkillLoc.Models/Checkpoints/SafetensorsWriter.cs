using System.Buffers.Binary;
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
        torch.ScalarType? storeAs = null) =>
        AtomicFile.Write(path, stream => Write(stream, tensors, metadata, storeAs));

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
        torch.ScalarType? storeAs = null)
    {
        ArgumentNullException.ThrowIfNull(stream);
        ArgumentNullException.ThrowIfNull(tensors);
        if (storeAs is { } type && !ElementTypes.IsFloatingPoint(type))
            throw new ArgumentException($"Weights can be stored as Float64, Float32, Float16 or BFloat16, not as {type}.", nameof(storeAs));

        var entries = Plan(tensors, storeAs);
        WriteHeader(stream, entries, metadata);
        foreach (var entry in entries.OrderBy(entry => entry.Offset))
            TensorBytes.Write(entry.Value, entry.Info.Dtype, stream.Write);
    }

    private static List<Entry> Plan(IEnumerable<(string Name, torch.Tensor Value)> tensors, torch.ScalarType? storeAs)
    {
        var names = new HashSet<string>(StringComparer.Ordinal) { "__metadata__" };
        var entries = new List<Entry>();
        foreach (var (name, value) in tensors)
        {
            if (!names.Add(name))
                throw new ArgumentException($"The tensor name '{name}' occurs twice or is reserved.", nameof(tensors));
            var type = storeAs is { } wanted && ElementTypes.IsFloatingPoint(value.dtype) ? wanted : value.dtype;
            var shape = value.shape;
            if (ElementTypes.Size(type) == 0 || ElementTypes.ByteLength(type, shape) is not { } byteLength)
                throw new ArgumentException($"Tensor '{name}' is of type {type}; safetensors files can hold {ElementTypes.SafetensorsNames}.", nameof(tensors));
            entries.Add(new Entry(new TensorInfo(name, type, shape, byteLength), value));
        }

        // Larger elements first, so that every tensor is aligned to its own element size: readers that map the file ask for it.
        long offset = 0;
        foreach (var entry in entries.OrderByDescending(entry => ElementTypes.Size(entry.Info.Dtype)))
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
                foreach (var (key, value) in metadata)
                    json.WriteString(key, value);
                json.WriteEndObject();
            }
            foreach (var entry in entries)
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
            header.WriteByte((byte)' ');
        var bytes = header.GetBuffer().AsSpan(0, (int)header.Length);
        BinaryPrimitives.WriteInt64LittleEndian(bytes, bytes.Length - sizeof(long));
        stream.Write(bytes);
    }

    private static void WriteIntegers(Utf8JsonWriter json, string name, ReadOnlySpan<long> values)
    {
        json.WriteStartArray(name);
        foreach (var value in values)
            json.WriteNumberValue(value);
        json.WriteEndArray();
    }

    private sealed class Entry(TensorInfo info, torch.Tensor value)
    {
        public TensorInfo Info { get; } = info;

        public torch.Tensor Value { get; } = value;

        public long Offset { get; set; }
    }
}
