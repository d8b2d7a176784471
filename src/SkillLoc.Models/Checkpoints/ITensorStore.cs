using System.Text.Json;
using SkillLoc.Models.Json;
using TorchSharp;

namespace SkillLoc.Models.Checkpoints;

/// <summary>Named tensors in a file or a set of files. Reading is safe from several threads; disposing while another thread reads is
/// not.</summary>
public interface ITensorStore : IDisposable
{
    /// <summary>The opened file, as named in error messages; the index file of a sharded store.</summary>
    string Path { get; }

    /// <summary>The tensors, in the order of the file.</summary>
    IReadOnlyList<TensorInfo> Tensors { get; }

    /// <summary>Whether a tensor has a name.</summary>
    bool Contains(string name);

    /// <summary>Reads a tensor into new memory.</summary>
    /// <param name="name">The tensor's name.</param>
    /// <param name="asType">The element type to return; null for the stored one.</param>
    /// <param name="device">The device; null for the CPU.</param>
    /// <returns>A contiguous tensor of the stored shape without a gradient, which the caller owns.</returns>
    /// <exception cref="KeyNotFoundException">No tensor has this name.</exception>
    /// <exception cref="InvalidDataException">The content of the file does not match its header.</exception>
    torch.Tensor Read(string name, torch.ScalarType? asType = null, torch.Device? device = null);
}

/// <summary>The description of a tensor in a checkpoint.</summary>
/// <param name="Name">The parameter's name, for example <c>roberta.embeddings.word_embeddings.weight</c>.</param>
/// <param name="Dtype">The stored element type.</param>
/// <param name="Shape">The lengths of its dimensions; empty for a scalar.</param>
/// <param name="ByteLength">The number of bytes of its values as stored.</param>
public sealed record TensorInfo(string Name, torch.ScalarType Dtype, long[] Shape, long ByteLength);

/// <summary>Extension methods of <see cref="ITensorStore"/>.</summary>
public static class TensorStoreExtensions
{
    /// <summary>Reads a tensor like <see cref="ITensorStore.Read"/>, and throws if a value is NaN or infinite.</summary>
    /// <exception cref="KeyNotFoundException">No tensor has this name.</exception>
    /// <exception cref="InvalidDataException">A value is NaN or infinite, possibly only after conversion to
    /// <paramref name="asType"/>.</exception>
    public static torch.Tensor ReadFinite(
        this ITensorStore store,
        string name,
        torch.ScalarType? asType = null,
        torch.Device? device = null
    )
    {
        ArgumentNullException.ThrowIfNull(store);
        torch.Tensor tensor = store.Read(name, asType, device);
        try
        {
            CheckFinite(tensor, name, store.Path);
            return tensor;
        }
        catch
        {
            tensor.Dispose();
            throw;
        }
    }

    /// <summary>Reads all tensors in the order of the file; all values must be finite.</summary>
    /// <param name="store">The store.</param>
    /// <param name="asType">The type of floating-point tensors; null for the stored one. Integers keep theirs.</param>
    /// <param name="device">The device; null for the CPU.</param>
    /// <returns>The tensors, which the caller owns.</returns>
    /// <exception cref="InvalidDataException">A value is NaN or infinite, or the content of the file does not match its header.</exception>
    public static IReadOnlyList<(string Name, torch.Tensor Value)> ReadAll(
        this ITensorStore store,
        torch.ScalarType? asType = null,
        torch.Device? device = null
    )
    {
        ArgumentNullException.ThrowIfNull(store);
        var tensors = new List<(string Name, torch.Tensor Value)>(store.Tensors.Count);
        try
        {
            foreach (TensorInfo info in store.Tensors)
            {
                tensors.Add((info.Name, store.ReadFinite(info.Name, ElementTypes.IsFloatingPoint(info.Dtype) ? asType : null, device)));
            }

            return tensors;
        }
        catch
        {
            foreach ((string _, torch.Tensor? value) in tensors)
            {
                value.Dispose();
            }

            throw;
        }
    }

    internal static void CheckFinite(torch.Tensor tensor, string name, string path)
    {
        if (!ElementTypes.IsFloatingPoint(tensor.dtype))
        {
            return;
        }

        using torch.Tensor finite = tensor.isfinite();
        using torch.Tensor allFinite = finite.all();
        if (allFinite.item<bool>())
        {
            return;
        }

        using torch.Tensor count = finite.sum();
        throw new InvalidDataException(
            $"{path}: tensor '{name}' has {tensor.numel() - count.item<long>()} values that are NaN or infinite (of "
                + $"{tensor.numel()}); weights must be finite."
        );
    }
}

/// <summary>Combines the weights of a model with those of a second file.</summary>
internal sealed class JointTensorStore : ITensorStore
{
    private readonly ITensorStore _weights;
    private readonly ITensorStore _own;

    /// <summary>Combines two stores, which it takes over.</summary>
    /// <exception cref="InvalidDataException">Both have a tensor with the same name.</exception>
    public JointTensorStore(ITensorStore weights, ITensorStore own)
    {
        _weights = weights;
        _own = own;
        if (own.Tensors.FirstOrDefault(info => weights.Contains(info.Name)) is { } twice)
        {
            Dispose();
            throw new InvalidDataException($"The tensor '{twice.Name}' is in {weights.Path} and in {own.Path}; it must be in one of them.");
        }
    }

    /// <inheritdoc/>
    public string Path => _weights.Path;

    /// <inheritdoc/>
    public IReadOnlyList<TensorInfo> Tensors => [.. _weights.Tensors, .. _own.Tensors];

    /// <inheritdoc/>
    public bool Contains(string name) => _weights.Contains(name) || _own.Contains(name);

    /// <summary>Whether a tensor is in the second file.</summary>
    public bool IsOwn(string name) => _own.Contains(name);

    /// <inheritdoc/>
    public torch.Tensor Read(string name, torch.ScalarType? asType = null, torch.Device? device = null) =>
        (_own.Contains(name) ? _own : _weights).Read(name, asType, device);

    /// <inheritdoc/>
    public void Dispose()
    {
        _weights.Dispose();
        _own.Dispose();
    }
}

/// <summary>Tensors in several files with an index: <c>model.safetensors.index.json</c> or <c>pytorch_model.bin.index.json</c>.</summary>
public sealed class ShardedTensorStore : ITensorStore
{
    private readonly Dictionary<string, ITensorStore> _shards = new(StringComparer.Ordinal);
    private readonly Dictionary<string, ITensorStore> _byName = new(StringComparer.Ordinal);

    private ShardedTensorStore(string path)
    {
        Path = path;
        try
        {
            var tensors = new List<TensorInfo>();
            var infos = new Dictionary<ITensorStore, Dictionary<string, TensorInfo>>();
            foreach ((string? name, string? file) in ReadIndex())
            {
                ITensorStore shard = Shard(file);
                if (!infos.TryGetValue(shard, out Dictionary<string, TensorInfo>? ofShard))
                {
                    infos.Add(shard, ofShard = shard.Tensors.ToDictionary(info => info.Name, StringComparer.Ordinal));
                }

                if (!ofShard.TryGetValue(name, out TensorInfo? found))
                {
                    throw Invalid($"it says that tensor '{name}' is in {file}, where it is not");
                }

                _byName.Add(found.Name, shard);
                tensors.Add(found);
            }
            Tensors = tensors;
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public string Path { get; }

    /// <inheritdoc/>
    public IReadOnlyList<TensorInfo> Tensors { get; }

    /// <summary>The full paths of the files that the index names.</summary>
    internal IReadOnlyList<string> Shards => [.. _shards.Values.Select(shard => shard.Path)];

    /// <summary>Opens an index and all files that it names, in the same folder.</summary>
    /// <exception cref="FileNotFoundException">The index or one of its files is missing.</exception>
    /// <exception cref="InvalidDataException">The index or one of its files is invalid.</exception>
    public static ShardedTensorStore Open(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        return File.Exists(path)
            ? new ShardedTensorStore(path)
            : throw new FileNotFoundException($"There is no index file '{path}'.", path);
    }

    /// <inheritdoc/>
    public bool Contains(string name) => _byName.ContainsKey(name);

    /// <inheritdoc/>
    public torch.Tensor Read(string name, torch.ScalarType? asType = null, torch.Device? device = null)
    {
        ArgumentNullException.ThrowIfNull(name);
        return _byName.TryGetValue(name, out ITensorStore? shard)
            ? shard.Read(name, asType, device)
            : throw new KeyNotFoundException($"{Path} has no tensor '{name}' among its {Tensors.Count}.");
    }

    /// <summary>Closes all files. Tensors that were read stay valid.</summary>
    public void Dispose()
    {
        foreach (ITensorStore shard in _shards.Values)
        {
            shard.Dispose();
        }
    }

    /// <summary>The entries one by one, so that a name that no shard has ends the reading.</summary>
    private IEnumerable<(string Name, string File)> ReadIndex()
    {
        using JsonDocument json = Parse();
        if (
            json.RootElement.ValueKind != JsonValueKind.Object
            || !json.RootElement.TryGetProperty("weight_map", out JsonElement map)
            || map.ValueKind != JsonValueKind.Object
            || map.EnumerateObject().Any(entry => entry.Value.ValueKind != JsonValueKind.String)
        )
        {
            throw Invalid("it needs an object weight_map from tensor names to file names");
        }

        string? file = null;
        foreach (JsonProperty entry in map.EnumerateObject())
        {
            file = file is not null && entry.Value.ValueEquals(file) ? file : entry.Value.GetString()!;
            yield return (entry.Name, file);
        }
    }

    private JsonDocument Parse()
    {
        try
        {
            return JsonText.Parse(File.ReadAllBytes(Path));
        }
        catch (JsonException e)
        {
            throw Invalid($"it is not valid JSON ({e.Message})", e);
        }
    }

    private ITensorStore Shard(string file)
    {
        if (_shards.TryGetValue(file, out ITensorStore? shard))
        {
            return shard;
        }

        if (file.Length == 0 || file is "." or ".." || file.AsSpan().ContainsAny('/', '\\', ':'))
        {
            throw Invalid($"it names the file '{file}'; files must lie beside the index");
        }

        string path = System.IO.Path.Join(System.IO.Path.GetDirectoryName(Path), file);
        if (!File.Exists(path))
        {
            throw new FileNotFoundException($"{Path} names the file '{file}', which is not beside it.", path);
        }

        shard = file.EndsWith(".safetensors", StringComparison.Ordinal) ? SafetensorsFile.Open(path) : TorchCheckpointFile.Open(path);
        _shards.Add(file, shard);
        return shard;
    }

    private InvalidDataException Invalid(string problem, Exception? inner = null) => new($"{Path} is not a valid index: {problem}.", inner);
}
