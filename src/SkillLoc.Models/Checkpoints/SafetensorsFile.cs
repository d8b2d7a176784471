using System.Buffers;
using System.Buffers.Binary;
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
            new ReadOnlySpan<byte>(bytes + sizeof(long), (int)headerLength),
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

    /// <summary>What the header says of a tensor; null where there is none of this name.</summary>
    internal TensorInfo? InfoOf(string name) => _byName.GetValueOrDefault(name).Info;

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

    private (IReadOnlyDictionary<string, string> Metadata, IReadOnlyList<TensorInfo> Tensors) ReadHeader(
        ReadOnlySpan<byte> header,
        long dataLength
    )
    {
        try
        {
            int count = SafetensorsHeader.Count(header);
            _byName.EnsureCapacity(count);
            var tensors = new List<TensorInfo>(count);
            Dictionary<string, string> metadata = SafetensorsHeader.Read(header, entry => tensors.Add(Add(entry)));
            CheckLayout(tensors, dataLength);
            return (metadata, tensors);
        }
        catch (JsonException e)
        {
            throw Invalid($"its header is not valid JSON ({e.Message})", e);
        }
        catch (FormatException e)
        {
            throw Invalid(e.Message, e);
        }
    }

    private TensorInfo Add(SafetensorsHeader.Entry entry)
    {
        (string name, string dtype, long[] shape, long begin, long end) = entry;
        if (ElementTypes.FromSafetensors(dtype) is not { } type)
        {
            throw Invalid($"tensor '{name}' has dtype {dtype}; supported are {ElementTypes.SafetensorsNames}");
        }

        if (ElementTypes.ByteLength(type, shape) is not { } byteLength)
        {
            throw Invalid($"tensor '{name}' of {Described()} has an impossible shape");
        }

        if (byteLength != end - begin)
        {
            throw Invalid($"tensor '{name}' of {Described()} needs {byteLength} bytes, but its data_offsets give it {end - begin}");
        }

        var info = new TensorInfo(name, type, shape, byteLength);
        return _byName.TryAdd(name, (info, begin)) ? info : throw SafetensorsHeader.Twice(name);

        string Described() => $"{dtype} [{string.Join(", ", shape)}]";
    }

    private void CheckLayout(List<TensorInfo> tensors, long dataLength)
    {
        int[] order = new int[tensors.Count];
        long[] offsets = new long[tensors.Count];
        for (int i = 0; i < order.Length; i++)
        {
            (order[i], offsets[i]) = (i, _byName[tensors[i].Name].Offset);
        }

        Array.Sort(
            order,
            (one, other) =>
                offsets[one].CompareTo(offsets[other]) is not 0 and var byOffset
                    ? byOffset
                    : tensors[one].ByteLength.CompareTo(tensors[other].ByteLength)
        );
        long end = 0;
        foreach (int i in order)
        {
            if (offsets[i] != end)
            {
                throw Invalid(
                    $"tensor '{tensors[i].Name}' begins at byte {offsets[i]} of the data, but the tensors before it end at {end}; they must "
                        + "neither overlap nor leave gaps"
                );
            }

            end += tensors[i].ByteLength;
        }
        if (end != dataLength)
        {
            throw Invalid(
                $"its tensors take {end} bytes, but {dataLength} follow the header; it is "
                    + $"{(end > dataLength ? "truncated" : "longer than it should be")}"
            );
        }
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
