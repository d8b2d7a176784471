using System.Text.Json;
using TorchSharp;

namespace SkillLoc.Models.Checkpoints;

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
            foreach (var (name, file) in ReadIndex())
            {
                var shard = Shard(file);
                if (shard.Tensors.FirstOrDefault(info => string.Equals(info.Name, name, StringComparison.Ordinal)) is not { } found)
                    throw Invalid($"it says that tensor '{name}' is in {file}, where it is not");
                _byName.Add(name, shard);
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
        return _byName.TryGetValue(name, out var shard)
            ? shard.Read(name, asType, device)
            : throw new KeyNotFoundException($"{Path} has no tensor '{name}' among its {Tensors.Count}.");
    }

    /// <summary>Closes all files. Tensors that were read stay valid.</summary>
    public void Dispose()
    {
        foreach (var shard in _shards.Values)
            shard.Dispose();
    }

    private List<(string Name, string File)> ReadIndex()
    {
        try
        {
            using var json = JsonDocument.Parse(File.ReadAllBytes(Path), new JsonDocumentOptions { AllowDuplicateProperties = false });
            if (json.RootElement.ValueKind != JsonValueKind.Object
                || !json.RootElement.TryGetProperty("weight_map", out var map) || map.ValueKind != JsonValueKind.Object
                || map.EnumerateObject().Any(entry => entry.Value.ValueKind != JsonValueKind.String))
            {
                throw Invalid("it needs an object weight_map from tensor names to file names");
            }
            return [.. map.EnumerateObject().Select(entry => (entry.Name, entry.Value.GetString()!))];
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw Invalid($"it is not valid JSON ({e.Message})", e);
        }
    }

    private ITensorStore Shard(string file)
    {
        if (_shards.TryGetValue(file, out var shard))
            return shard;
        if (file.Length == 0 || file is "." or ".." || file.AsSpan().ContainsAny('/', '\\', ':'))
            throw Invalid($"it names the file '{file}'; files must lie beside the index");
        var path = System.IO.Path.Join(System.IO.Path.GetDirectoryName(Path), file);
        if (!File.Exists(path))
            throw new FileNotFoundException($"{Path} names the file '{file}', which is not beside it.", path);
        shard = file.EndsWith(".safetensors", StringComparison.Ordinal) ? SafetensorsFile.Open(path) : TorchCheckpointFile.Open(path);
        _shards.Add(file, shard);
        return shard;
    }

    private InvalidDataException Invalid(string problem, Exception? inner = null) => new($"{Path} is not a valid index: {problem}.", inner);
}
