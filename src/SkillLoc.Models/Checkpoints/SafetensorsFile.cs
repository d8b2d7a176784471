using System.Buffers;
using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;
using System.Text.Encodings.Web;
using System.Text.Json;
using TorchSharp;

namespace SkillLoc.Models.Checkpoints;

/// <summary>
/// Reads the safetensors format: an 8-byte little-endian header length, a JSON header, and the tensors' bytes without gaps. Files are
/// memory-mapped: opening reads only the header, and reading a tensor only that tensor.
/// </summary>
/// <remarks>Our own since TorchSharp.PyBridge 1.4 reads no metadata and does not look whether tensors overlap.</remarks>
public sealed unsafe partial class SafetensorsFile : ITensorStore
{
    // The limit of Hugging Face's reader, which keeps a corrupt length from being allocated.
    private const long MaxHeaderBytes = 100_000_000;
    private const string MetadataKey = "__metadata__";

    private readonly Dictionary<string, (TensorInfo Info, long Offset)> _byName = new(StringComparer.Ordinal);
    private readonly byte* _data;
    private IDisposable? _memory;

    private SafetensorsFile(string path, IDisposable memory, byte* bytes, long length)
    {
        Path = path;
        _memory = memory;
        long headerLength = HeaderLength(bytes, length);
        _data = bytes + sizeof(long) + headerLength;
        (Metadata, Tensors) = ReadHeader(
            new UnmanagedMemoryStream(bytes + sizeof(long), headerLength),
            length - sizeof(long) - headerLength
        );
    }

    /// <inheritdoc/>
    public string Path { get; }

    /// <summary>The free-form metadata; empty if there is none.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <inheritdoc/>
    public IReadOnlyList<TensorInfo> Tensors { get; }

    /// <summary>Maps a file and checks its header against its length.</summary>
    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    /// <exception cref="InvalidDataException">The file is invalid; the message names the tensor and says what is expected.</exception>
    public static SafetensorsFile Open(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        if (!File.Exists(path))
        {
            throw new FileNotFoundException($"There is no safetensors file '{path}'.", path);
        }

        var map = new MappedFile(path);
        return Create(path, map, map.Bytes, map.Length);
    }

    /// <summary>Reads tensors from bytes in memory, which must not change until the result is disposed.</summary>
    /// <param name="bytes">A whole safetensors file.</param>
    /// <param name="name">Its name in error messages.</param>
    /// <exception cref="InvalidDataException">The bytes are invalid; the message names the tensor and says what is expected.</exception>
    public static SafetensorsFile FromBytes(ReadOnlyMemory<byte> bytes, string name = "safetensors in memory")
    {
        MemoryHandle pinned = bytes.Pin();
        return Create(name, pinned, (byte*)pinned.Pointer, bytes.Length);
    }

    /// <summary>Reads tensors from the rest of a stream, which is read to its end and left open.</summary>
    /// <param name="stream">A stream at the start of the header length.</param>
    /// <param name="name">Its name in error messages.</param>
    /// <exception cref="InvalidDataException">The bytes are invalid; the message names the tensor and says what is expected.</exception>
    public static SafetensorsFile FromStream(Stream stream, string name = "safetensors stream")
    {
        ArgumentNullException.ThrowIfNull(stream);
        using var buffer = new MemoryStream();
        stream.CopyTo(buffer);
        return FromBytes(buffer.GetBuffer().AsMemory(0, (int)buffer.Length), name);
    }

    /// <inheritdoc/>
    public bool Contains(string name) => _byName.ContainsKey(name);

    /// <inheritdoc/>
    public torch.Tensor Read(string name, torch.ScalarType? asType = null, torch.Device? device = null)
    {
        (TensorInfo? info, long offset) = Find(name);
        torch.Tensor tensor = TensorBytes.Read(info, (from, destination) => Copy(offset + from, destination), asType, device);
        if (_memory is MappedFile)
        {
            MappedFile.Forget(_data + offset, info.ByteLength);
        }

        return tensor;
    }

    /// <summary>Copies stored bytes of a tensor, little endian and in row-major order.</summary>
    /// <param name="name">The tensor's name.</param>
    /// <param name="offset">The first byte, counted from the start of the tensor.</param>
    /// <param name="destination">Filled completely.</param>
    /// <exception cref="KeyNotFoundException">No tensor has this name.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The tensor has no such bytes.</exception>
    public void CopyBytes(string name, long offset, Span<byte> destination)
    {
        (TensorInfo? info, long start) = Find(name);
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, info.ByteLength - destination.Length);
        Copy(start + offset, destination);
    }

    /// <summary>Closes the file. Tensors that were read stay valid.</summary>
    public void Dispose()
    {
        _memory?.Dispose();
        _memory = null;
    }

    private static SafetensorsFile Create(string path, IDisposable memory, byte* bytes, long length)
    {
        try
        {
            return new SafetensorsFile(path, memory, bytes, length);
        }
        catch
        {
            memory.Dispose();
            throw;
        }
    }

    private (TensorInfo Info, long Offset) Find(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        return _byName.TryGetValue(name, out (TensorInfo Info, long Offset) found)
            ? found
            : throw new KeyNotFoundException($"{Path} has no tensor '{name}' among its {Tensors.Count}.");
    }

    private void Copy(long offset, Span<byte> destination)
    {
        ObjectDisposedException.ThrowIf(_memory is null, this);
        new ReadOnlySpan<byte>(_data + offset, destination.Length).CopyTo(destination);
    }

    private long HeaderLength(byte* bytes, long length)
    {
        if (length < sizeof(long))
        {
            throw Invalid($"it has {length} bytes, fewer than the 8 of the header length");
        }

        ulong headerLength = System.Buffers.Binary.BinaryPrimitives.ReadUInt64LittleEndian(new ReadOnlySpan<byte>(bytes, sizeof(long)));
        if (headerLength > MaxHeaderBytes)
        {
            throw Invalid($"its header length is {headerLength}, more than the {MaxHeaderBytes} allowed; it may be another kind of file");
        }

        if ((long)headerLength > length - sizeof(long))
        {
            throw Invalid($"its header should have {headerLength} bytes, but only {length - sizeof(long)} follow; it is truncated");
        }

        return (long)headerLength;
    }

    private (IReadOnlyDictionary<string, string> Metadata, IReadOnlyList<TensorInfo> Tensors) ReadHeader(Stream header, long dataLength)
    {
        try
        {
            using var json = JsonDocument.Parse(header, new JsonDocumentOptions { AllowDuplicateProperties = false });
            if (json.RootElement.ValueKind != JsonValueKind.Object)
            {
                throw Invalid($"its header is a JSON {json.RootElement.ValueKind}, not an object");
            }

            var metadata = new Dictionary<string, string>(StringComparer.Ordinal);
            var tensors = new List<TensorInfo>();
            foreach (JsonProperty property in json.RootElement.EnumerateObject())
            {
                if (string.Equals(property.Name, MetadataKey, StringComparison.Ordinal))
                {
                    ReadMetadata(property.Value, metadata);
                }
                else
                {
                    tensors.Add(ReadTensor(property.Name, property.Value));
                }
            }
            CheckLayout(dataLength);
            return (metadata, tensors);
        }
        // A string that is not valid Unicode is noticed only when it is asked for, as an InvalidOperationException.
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw Invalid($"its header is not valid JSON ({e.Message})", e);
        }
    }

    private void ReadMetadata(JsonElement value, Dictionary<string, string> metadata)
    {
        if (value.ValueKind != JsonValueKind.Object)
        {
            throw Invalid($"{MetadataKey} is a JSON {value.ValueKind}, not an object of strings");
        }

        foreach (JsonProperty entry in value.EnumerateObject())
        {
            if (entry.Value.ValueKind != JsonValueKind.String)
            {
                throw Invalid($"{MetadataKey} entry '{entry.Name}' is a JSON {entry.Value.ValueKind}, not a string");
            }

            metadata.Add(entry.Name, entry.Value.GetString()!);
        }
    }

    private TensorInfo ReadTensor(string name, JsonElement value)
    {
        if (
            value.ValueKind != JsonValueKind.Object
            || !value.TryGetProperty("dtype", out JsonElement dtype)
            || dtype.ValueKind != JsonValueKind.String
            || !value.TryGetProperty("shape", out JsonElement shape)
            || !TryReadIntegers(shape, out long[]? dimensions)
            || !value.TryGetProperty("data_offsets", out JsonElement offsets)
            || !TryReadIntegers(offsets, out long[]? range)
        )
        {
            throw Invalid($"tensor '{name}' needs a text dtype and the arrays of whole numbers shape and data_offsets");
        }
        if (ElementTypes.FromSafetensors(dtype.GetString()!) is not { } type)
        {
            throw Invalid($"tensor '{name}' has dtype {dtype.GetString()}; supported are {ElementTypes.SafetensorsNames}");
        }

        if (range.Length != 2 || range[0] < 0 || range[1] < range[0])
        {
            throw Invalid($"tensor '{name}' has data_offsets [{string.Join(", ", range)}]; expected [begin, end] with 0 <= begin <= end");
        }

        string shapeText = $"{dtype.GetString()} [{string.Join(", ", dimensions)}]";
        if (ElementTypes.ByteLength(type, dimensions) is not { } byteLength)
        {
            throw Invalid($"tensor '{name}' of {shapeText} has an impossible shape");
        }

        if (byteLength != range[1] - range[0])
        {
            throw Invalid($"tensor '{name}' of {shapeText} needs {byteLength} bytes, but its data_offsets give it {range[1] - range[0]}");
        }

        var info = new TensorInfo(name, type, dimensions, byteLength);
        _byName.Add(name, (info, range[0]));
        return info;
    }

    private void CheckLayout(long dataLength)
    {
        long end = 0;
        foreach ((TensorInfo? info, long offset) in _byName.Values.OrderBy(entry => entry.Offset).ThenBy(entry => entry.Info.ByteLength))
        {
            if (offset != end)
            {
                throw Invalid(
                    $"tensor '{info.Name}' begins at byte {offset} of the data, but the tensors before it end at {end}; they must "
                        + "neither overlap nor leave gaps"
                );
            }

            end = offset + info.ByteLength;
        }
        if (end != dataLength)
        {
            throw Invalid(
                $"its tensors take {end} bytes, but {dataLength} follow the header; it is "
                    + $"{(end > dataLength ? "truncated" : "longer than it should be")}"
            );
        }
    }

    private static bool TryReadIntegers(JsonElement array, [NotNullWhen(true)] out long[]? values)
    {
        values = null;
        if (array.ValueKind != JsonValueKind.Array)
        {
            return false;
        }

        long[] read = new long[array.GetArrayLength()];
        int index = 0;
        foreach (JsonElement element in array.EnumerateArray())
        {
            if (element.ValueKind != JsonValueKind.Number || !element.TryGetInt64(out read[index++]))
            {
                return false;
            }
        }
        values = read;
        return true;
    }

    private InvalidDataException Invalid(string problem, Exception? inner = null) =>
        new($"{Path} is not a valid safetensors file: {problem}.", inner);

    private sealed partial class MappedFile : IDisposable
    {
        private const long LeastForgotten = 1 << 20;

        private readonly MemoryMappedFile? _map;
        private readonly MemoryMappedViewAccessor? _view;

        public MappedFile(string path)
        {
            var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete);
            Length = file.Length;
            if (Length == 0)
            {
                // Nothing cannot be mapped.
                file.Dispose();
                return;
            }
            _map = MemoryMappedFile.CreateFromFile(
                file,
                mapName: null,
                0,
                MemoryMappedFileAccess.Read,
                HandleInheritability.None,
                leaveOpen: false
            );
            _view = _map.CreateViewAccessor(0, Length, MemoryMappedFileAccess.Read);
            byte* pointer = null;
            _view.SafeMemoryMappedViewHandle.AcquirePointer(ref pointer);
            Bytes = pointer + _view.PointerOffset;
        }

        public byte* Bytes { get; }

        public long Length { get; }

        /// <summary>Lets the system take back the memory of bytes that were copied, where it can be told to; they can still be read. Else
        /// a large file that is read tensor by tensor would stay in memory as a whole.</summary>
        public static void Forget(byte* start, long length)
        {
            const int DoNotNeed = 4;
            if (length < LeastForgotten || !OperatingSystem.IsLinux())
            {
                return;
            }

            long page = Environment.SystemPageSize,
                first = ((long)start + page - 1) / page * page,
                end = ((long)start + length) / page * page;
            _ = Advise((nint)first, (nuint)(end - first), DoNotNeed);
        }

        public void Dispose()
        {
            if (_view is null)
            {
                return;
            }

            _view.SafeMemoryMappedViewHandle.ReleasePointer();
            _view.Dispose();
            _map!.Dispose();
        }

        [LibraryImport("libc", EntryPoint = "madvise")]
        private static partial int Advise(nint start, nuint length, int advice);
    }
}

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
