using System.Buffers.Binary;
using System.Text;
using SkillLoc.Models.NativeCalls;
using TorchSharp;

namespace SkillLoc.Models.Checkpoints;

/// <summary>
/// Reads the tensors of a <c>pytorch_model.bin</c>: a zip with a pickle and one entry for each block of values, or the format before PyTorch
/// 1.6, in which they follow one another. The pickle is not executed: anything but tensors and plain containers is refused by name.
/// </summary>
public sealed class TorchCheckpointFile : ITensorStore
{
    private const int MaxPickleBytes = 1 << 28;

    private readonly Dictionary<string, (TensorInfo Info, PickledTensor View, StoredBlock Values)> _byName = new(StringComparer.Ordinal);
    private readonly FileStream _file;

    private TorchCheckpointFile(string path, FileStream file)
    {
        Path = path;
        _file = file;
        (object? root, Func<PickledStorage, StoredBlock?> find) = IsZip(file) ? ReadZip(file) : ReadLegacy(file);
        var tensors = new List<TensorInfo>();
        foreach ((string? name, PickledTensor? view) in StateDict(root))
        {
            TensorInfo info = Check(name, view, find(view.Storage));
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
    /// <exception cref="InvalidDataException">The file is truncated or otherwise damaged, or holds something other than
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
            return new TorchCheckpointFile(path, file);
        }
        catch (Exception e) when (e is InvalidDataException or IOException)
        {
            file.Dispose();
            throw new InvalidDataException($"{path} cannot be read as a PyTorch checkpoint: {e.Message.TrimEnd('.')}.", e);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public bool Contains(string name) => _byName.ContainsKey(name);

    /// <inheritdoc/>
    public torch.Tensor Read(string name, torch.ScalarType? asType = null, torch.Device? device = null)
    {
        ArgumentNullException.ThrowIfNull(name);
        if (!_byName.TryGetValue(name, out (TensorInfo Info, PickledTensor View, StoredBlock Values) found))
        {
            throw new KeyNotFoundException($"{Path} has no tensor '{name}' among its {Tensors.Count}.");
        }

        (TensorInfo? info, PickledTensor? view, StoredBlock? values) = found;
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
    public void Dispose() => _file.Dispose();

    private static bool IsZip(FileStream file)
    {
        Span<byte> start = stackalloc byte[4];
        int read = file.ReadAtLeast(start, start.Length, throwOnEndOfStream: false);
        file.Position = 0;
        return read == start.Length && start.SequenceEqual("PK\u0003\u0004"u8) ? true
            : start[0] == 0x80 ? false
            : throw new InvalidDataException("it is not a zip file");
    }

    /// <summary>Reads the zip format: what the pickle holds, and where the values of storages are.</summary>
    private static (object? Root, Func<PickledStorage, StoredBlock?> Find) ReadZip(FileStream file)
    {
        const string Pickle = "data.pkl";
        Dictionary<string, StoredBlock> entries = StoredZip.Read(file.SafeFileHandle);
        string[] pickles = [.. entries.Keys.Where(name => name == Pickle || name.EndsWith("/" + Pickle, StringComparison.Ordinal))];
        if (pickles.Length != 1)
        {
            throw new InvalidDataException(
                $"the zip has {(pickles.Length == 0 ? "no" : "several")} {Pickle}; expected what torch.save writes for a state dict"
            );
        }

        string folder = pickles[0][..^Pickle.Length];
        if (entries.ContainsKey(folder + "constants.pkl") || entries.Keys.Any(name => !name.StartsWith(folder, StringComparison.Ordinal)))
        {
            throw new InvalidDataException("the zip is a TorchScript program, or has entries outside of one folder");
        }

        string order = entries.ContainsKey(folder + "byteorder") ? Encoding.UTF8.GetString(Content(folder + "byteorder")) : "little";
        if (order != "little")
        {
            throw new InvalidDataException($"its byte order is '{order}'; expected little");
        }

        return (
            PickleReader.Read(Content(pickles[0]), file.Length, []),
            storage => entries.GetValueOrDefault($"{folder}data/{storage.Key}")
        );

        byte[] Content(string name)
        {
            StoredBlock block = entries[name];
            return block.Length <= MaxPickleBytes
                ? block.ReadAll(file.SafeFileHandle)
                : throw new InvalidDataException(
                    $"its entry '{name}' has {block.Length} bytes, more than the {MaxPickleBytes} that a state dict could need"
                );
        }
    }

    /// <summary>Reads the format before PyTorch 1.6: a mark, a version, what machine wrote it, what the file holds and the keys of its
    /// storages, each a pickle, and then for each storage its number of elements and these.</summary>
    private static (object? Root, Func<PickledStorage, StoredBlock?> Find) ReadLegacy(FileStream file)
    {
        const long Version = 1001;
        var storages = new Dictionary<string, PickledStorage>(StringComparer.Ordinal);
        if (!ReferenceEquals(Next(), PickleReader.LegacyMagic) || Next() is not Version)
        {
            throw new InvalidDataException("it begins as a pickle, and not as torch.save begins one");
        }

        if (Next() is not PickledDictionary machine || machine.Items.Find(item => item.Key is "little_endian").Value is not true)
        {
            throw new InvalidDataException("it does not say that its byte order is little");
        }

        object? root = Next();
        if (Next() is not List<object?> keys)
        {
            throw new InvalidDataException("it has no list of its storages");
        }

        var blocks = new Dictionary<string, StoredBlock>(StringComparer.Ordinal);
        Span<byte> count = stackalloc byte[sizeof(long)];
        foreach (object? each in keys)
        {
            if (each is not string key || !storages.TryGetValue(key, out PickledStorage? storage))
            {
                throw new InvalidDataException("it lists a storage that nothing in it refers to");
            }

            long start = file.Position + count.Length;
            if (start > file.Length)
            {
                throw new InvalidDataException($"it ends before its storage '{key}'");
            }

            file.ReadExactly(count);
            Int128 bytes = (Int128)storage.Elements * ElementTypes.Size(storage.Dtype);
            if (BinaryPrimitives.ReadInt64LittleEndian(count) is var elements && elements != storage.Elements)
            {
                throw new InvalidDataException($"its storage '{key}' should have {storage.Elements} elements and has {elements}");
            }

            if (bytes < 0 || bytes > file.Length - start)
            {
                throw new InvalidDataException($"its storage '{key}' of {elements} elements is cut off");
            }

            if (!blocks.TryAdd(key, new(start, (long)bytes, Checksum: null)))
            {
                throw new InvalidDataException($"it has the storage '{key}' twice");
            }

            file.Position = start + (long)bytes;
        }

        return file.Position == file.Length
            ? (root, storage => blocks.GetValueOrDefault(storage.Key))
            : throw new InvalidDataException($"{file.Length - file.Position} bytes follow its storages");

        object? Next() => PickleReader.Read(file, Math.Min(file.Length - file.Position, MaxPickleBytes), file.Length, storages);
    }

    private static List<(string Name, PickledTensor View)> StateDict(object? root)
    {
        if (root is not PickledDictionary dictionary)
        {
            throw new InvalidDataException("it does not hold a dictionary; expected the state dict of a model");
        }

        var inner = dictionary.Items.Where(item => item.Key is "state_dict").ToList();
        if (inner.Count > 1)
        {
            throw new InvalidDataException("it has 'state_dict' twice");
        }

        dictionary = inner.Count == 1 && inner[0].Value is PickledDictionary only ? only : dictionary;

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

    private TensorInfo Check(string name, PickledTensor view, StoredBlock? values)
    {
        PickledStorage storage = view.Storage;
        int size = ElementTypes.Size(storage.Dtype);
        if (values is null)
        {
            throw new InvalidDataException($"the values of tensor '{name}' (data/{storage.Key}) are missing");
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
    private torch.Tensor ReadRun(TensorInfo info, long start, StoredBlock values, torch.ScalarType? asType, torch.Device? device)
    {
        ObjectDisposedException.ThrowIf(_file.SafeFileHandle.IsClosed, this);
        long first = start * ElementTypes.Size(info.Dtype);
        try
        {
            return TensorBytes.Read(
                info,
                (offset, destination) => values.Read(_file.SafeFileHandle, first + offset, destination),
                asType,
                device
            );
        }
        catch (InvalidDataException e)
        {
            throw new InvalidDataException(
                $"{Path}: the values of tensor '{info.Name}' cannot be read ({e.Message.TrimEnd('.')}); the file is damaged.",
                e
            );
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
}
