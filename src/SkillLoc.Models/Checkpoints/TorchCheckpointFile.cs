using System.IO.Compression;
using System.Text;
using SkillLoc.Models.NativeCalls;
using TorchSharp;

namespace SkillLoc.Models.Checkpoints;

/// <summary>
/// Reads the tensors of a <c>pytorch_model.bin</c>: a zip with a pickle and one entry for each block of values. The pickle is not executed:
/// anything but tensors and plain containers is refused by name.
/// </summary>
public sealed class TorchCheckpointFile : ITensorStore
{
    private const int MaxPickleBytes = 1 << 28;

    private readonly Lock _lock = new();
    private readonly Dictionary<string, (TensorInfo Info, PickledTensor View, ZipArchiveEntry Values)> _byName = new(
        StringComparer.Ordinal
    );
    private readonly ZipArchive _zip;
    private bool _disposed;

    private TorchCheckpointFile(string path, ZipArchive zip)
    {
        Path = path;
        _zip = zip;
        ZipArchiveEntry pickle =
            zip.Entries.FirstOrDefault(entry => string.Equals(entry.Name, "data.pkl", StringComparison.Ordinal))
            ?? throw new InvalidDataException("the zip has no data.pkl; expected what torch.save writes for a state dict");
        string folder = pickle.FullName[..^pickle.Name.Length];
        CheckByteOrder(zip.GetEntry(folder + "byteorder"));
        if (pickle.Length > MaxPickleBytes)
        {
            throw new InvalidDataException(
                $"its data.pkl has {pickle.Length} bytes, more than the {MaxPickleBytes} that a state dict could need"
            );
        }

        var tensors = new List<TensorInfo>();
        foreach ((string? name, PickledTensor? view) in StateDict(PickleReader.Read(Content(pickle))))
        {
            TensorInfo info = Check(name, view, zip.GetEntry($"{folder}data/{view.Storage.Key}"));
            tensors.Add(info);
        }
        Tensors = tensors;
    }

    /// <inheritdoc/>
    public string Path { get; }

    /// <inheritdoc/>
    public IReadOnlyList<TensorInfo> Tensors { get; }

    /// <summary>Opens a file that <c>torch.save</c> wrote for a state dict (or for a dictionary with one under
    /// <c>state_dict</c>).</summary>
    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    /// <exception cref="InvalidDataException">The file is truncated, of the format before PyTorch 1.6, or holds something other than
    /// tensors.</exception>
    public static TorchCheckpointFile Open(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        if (!File.Exists(path))
        {
            throw new FileNotFoundException($"There is no PyTorch checkpoint '{path}'.", path);
        }

        var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete);
        try
        {
            CheckSignature(file);
            return new TorchCheckpointFile(path, new ZipArchive(file, ZipArchiveMode.Read));
        }
        catch (Exception e) when (e is InvalidDataException or IOException or NotSupportedException)
        {
            file.Dispose();
            throw new InvalidDataException($"{path} cannot be read as a PyTorch checkpoint: {e.Message.TrimEnd('.')}.", e);
        }
    }

    /// <inheritdoc/>
    public bool Contains(string name) => _byName.ContainsKey(name);

    /// <inheritdoc/>
    public torch.Tensor Read(string name, torch.ScalarType? asType = null, torch.Device? device = null)
    {
        ArgumentNullException.ThrowIfNull(name);
        if (!_byName.TryGetValue(name, out (TensorInfo Info, PickledTensor View, ZipArchiveEntry Values) found))
        {
            throw new KeyNotFoundException($"{Path} has no tensor '{name}' among its {Tensors.Count}.");
        }

        (TensorInfo? info, PickledTensor? view, ZipArchiveEntry? values) = found;
        if (view.IsContiguous)
        {
            return ReadRun(info, view.Offset, values, asType, device);
        }

        using DisposeScope scope = torch.NewDisposeScope();
        long span = (long)view.Span;
        var run = new TensorInfo(name, info.Dtype, [span], span * ElementTypes.Size(info.Dtype));
        torch.Tensor flat = ReadRun(run, view.Offset, values, asType: null, device: null);
        return flat.index_select(0, Positions(view))
            .reshape(view.Shape)
            .to(asType ?? info.Dtype, device ?? torch.CPU)
            .MoveToOuterDisposeScope();
    }

    /// <summary>Closes the file. Tensors that were read stay valid.</summary>
    public void Dispose()
    {
        _disposed = true;
        _zip.Dispose();
    }

    private static void CheckSignature(FileStream file)
    {
        byte[] start = new byte[4];
        int read = file.ReadAtLeast(start, start.Length, throwOnEndOfStream: false);
        file.Position = 0;
        if (read == start.Length && start.AsSpan().SequenceEqual("PK\u0003\u0004"u8))
        {
            return;
        }

        throw new InvalidDataException(
            start[0] == 0x80
                ? "it is in the format before PyTorch 1.6; expected the zip format, so load and save it again with a newer "
                    + "PyTorch, or save it as safetensors"
                : "it is not a zip file"
        );
    }

    private static void CheckByteOrder(ZipArchiveEntry? entry)
    {
        if (
            entry is not null
            && Encoding.UTF8.GetString(Content(entry)) is var order
            && !string.Equals(order, "little", StringComparison.Ordinal)
        )
        {
            throw new InvalidDataException($"its byte order is '{order}'; expected little");
        }
    }

    private static byte[] Content(ZipArchiveEntry entry)
    {
        using Stream stream = entry.Open();
        byte[] bytes = new byte[Math.Min(entry.Length, MaxPickleBytes)];
        stream.ReadExactly(bytes);
        return bytes;
    }

    private static List<(string Name, PickledTensor View)> StateDict(object? root)
    {
        if (root is not PickledDictionary dictionary)
        {
            throw new InvalidDataException("it does not hold a dictionary; expected the state dict of a model");
        }

        if (dictionary.Items.Find(item => item.Key is "state_dict").Value is PickledDictionary inner)
        {
            dictionary = inner;
        }

        var tensors = new List<(string Name, PickledTensor View)>();
        foreach ((object? key, object? value) in dictionary.Items)
        {
            if (key is string name && value is PickledTensor view)
            {
                tensors.Add((name, view));
            }
            else if (value is PickledTensor)
            {
                throw new InvalidDataException($"it has a tensor under the key '{key}', which is not a text");
            }
        }
        return tensors.Count > 0
            ? tensors
            : throw new InvalidDataException("its dictionary has no tensors; expected the state dict of a model");
    }

    private TensorInfo Check(string name, PickledTensor view, ZipArchiveEntry? values)
    {
        PickledStorage storage = view.Storage;
        int size = ElementTypes.Size(storage.Dtype);
        if (values is null)
        {
            throw new InvalidDataException($"the values of tensor '{name}' (data/{storage.Key}) are missing");
        }

        if (values.CompressedLength != values.Length)
        {
            throw new InvalidDataException(
                $"the values of tensor '{name}' (data/{storage.Key}) are compressed; torch.save stores them as they are"
            );
        }

        if (storage.Elements < 0 || (Int128)storage.Elements * size != values.Length)
        {
            throw new InvalidDataException(
                $"the values of tensor '{name}' (data/{storage.Key}) have {values.Length} bytes; {storage.Elements} elements of "
                    + $"{size} bytes would be right"
            );
        }

        if (
            view.Shape.Length != view.Stride.Length
            || view.Offset < 0
            || Array.Exists(view.Stride, stride => stride < 0)
            || ElementTypes.ByteLength(storage.Dtype, view.Shape) is not { } byteLength
            || byteLength > values.Length
            || view.Offset + view.Span > storage.Elements
        )
        {
            throw new InvalidDataException(
                $"tensor '{name}' of shape [{string.Join(", ", view.Shape)}], strides [{string.Join(", ", view.Stride)}] and offset "
                    + $"{view.Offset} does not fit its {storage.Elements} values"
            );
        }
        var info = new TensorInfo(name, storage.Dtype, view.Shape, byteLength);
        if (!_byName.TryAdd(name, (info, view, values)))
        {
            throw new InvalidDataException($"the tensor name '{name}' occurs twice");
        }

        return info;
    }

    /// <summary>Reads a run of neighbouring elements that begins at <paramref name="start"/>.</summary>
    private torch.Tensor ReadRun(TensorInfo info, long start, ZipArchiveEntry values, torch.ScalarType? asType, torch.Device? device)
    {
        // The entries of a zip share one file position.
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            try
            {
                using Stream stream = values.Open();
                Skip(stream, start * ElementTypes.Size(info.Dtype));
                return TensorBytes.Read(info, (_, destination) => stream.ReadExactly(destination), asType, device);
            }
            catch (Exception e) when (e is InvalidDataException or EndOfStreamException)
            {
                throw new InvalidDataException(
                    $"{Path}: the values of tensor '{info.Name}' cannot be read ({e.Message.TrimEnd('.')}); the file is damaged.",
                    e
                );
            }
        }
    }

    /// <summary>Offsets of the elements of a view from its first, in row-major order.</summary>
    private static torch.Tensor Positions(PickledTensor view)
    {
        torch.Tensor positions = torch.zeros([], dtype: torch.ScalarType.Int64);
        foreach ((long length, long stride) in view.Shape.Zip(view.Stride))
        {
            positions = positions.unsqueeze(-1).Add(TensorArithmetic.Arange(0, length, torch.CPU).Mul(stride));
        }

        return positions.reshape(-1);
    }

    private static void Skip(Stream stream, long bytes)
    {
        byte[] ignored = new byte[Math.Min(bytes, 1 << 16)];
        while (bytes > 0)
        {
            int count = (int)Math.Min(bytes, ignored.Length);
            stream.ReadExactly(ignored.AsSpan(0, count));
            bytes -= count;
        }
    }
}
