using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Peft;
using TorchSharp;

namespace SkillLoc.Models.Merging;

/// <summary>A model that can be merged: a checkpoint folder, a file of weights, a base with an adapter or a graft, or a fine-tuned model in
/// memory.</summary>
public sealed class MergeModel
{
    private const char Plus = '+';
    private readonly Func<OpenMergeModel> _open;

    private MergeModel(string name, string identity, Func<OpenMergeModel> open)
    {
        Name = name;
        Identity = identity;
        _open = open;
    }

    /// <summary>The name in messages and on the result's card.</summary>
    public string Name { get; }

    /// <summary>What makes two models one: the file or folder.</summary>
    internal string Identity { get; }

    /// <summary>A checkpoint folder, a safetensors file of weights, or <c>BASE+ADDED</c>: a base folder with a PEFT adapter's folder or a
    /// graft's file.</summary>
    /// <param name="path">The path.</param>
    /// <returns>The model, which is opened when it is merged.</returns>
    public static MergeModel At(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        int plus = Path.Exists(path) ? -1 : path.LastIndexOf(Plus);
        if (plus > 0 && plus < path.Length - 1)
        {
            (string basis, string added) = (path[..plus], path[(plus + 1)..]);
            return new(path, PathIdentity.Of(basis) + Plus + PathIdentity.Of(added), () => OpenMergeModel.Joined(At(basis).Open(), added));
        }

        return new(path, PathIdentity.Of(path), () => OpenMergeModel.At(path));
    }

    /// <summary>A fine-tuned model in memory, which must not change until it is merged.</summary>
    /// <param name="classifier">The model, without a tuning method or with one that can be folded into its weights
    /// (<see cref="TextClassifier.Folded"/>).</param>
    /// <param name="name">Its name on the result's card.</param>
    /// <returns>The model.</returns>
    /// <exception cref="ArgumentException">It has a tuning method that cannot be folded into its weights.</exception>
    public static MergeModel Of(TextClassifier classifier, string name = "a model in memory")
    {
        ArgumentNullException.ThrowIfNull(classifier);
        ArgumentException.ThrowIfNullOrEmpty(name);
        return classifier.Settings.Tuning is { } tuning and not Tuning.BitFitOptions
            ? throw new ArgumentException(
                $"The model has parameters that were added by {tuning}: fold them into the weights first (Folded), or fine-tune without.",
                nameof(classifier)
            )
            : new(
                name,
                $"memory:{System.Runtime.CompilerServices.RuntimeHelpers.GetHashCode(classifier)}",
                () => new(name, new MemoryTensorStore(name, classifier.Parameters), classifier.Backbone.Config, null)
            );
    }

    /// <summary>A base with a graft in memory.</summary>
    /// <param name="checkpoint">The base's folder.</param>
    /// <param name="graft">The graft, of this base.</param>
    /// <returns>The model.</returns>
    public static MergeModel Of(string checkpoint, Graft graft)
    {
        ArgumentException.ThrowIfNullOrEmpty(checkpoint);
        ArgumentNullException.ThrowIfNull(graft);
        string name = $"{checkpoint}{Plus}{(graft.Task.Length > 0 ? graft.Task : "graft")}";
        return new(
            name,
            $"{PathIdentity.Of(checkpoint)}{Plus}memory:{System.Runtime.CompilerServices.RuntimeHelpers.GetHashCode(graft)}",
            () => OpenMergeModel.Joined(OpenMergeModel.At(checkpoint), graft, name)
        );
    }

    /// <summary>The result of another recipe of the same file.</summary>
    internal static MergeModel Named(string recipe) =>
        new(recipe, NamedIdentity(recipe), () => throw new InvalidOperationException($"The recipe '{recipe}' was not merged yet."));

    internal static string NamedIdentity(string recipe) => "recipe:" + recipe;

    /// <summary>The same model under another name.</summary>
    internal MergeModel Called(string name) => new(name, Identity, () => _open().Called(name));

    /// <summary>Takes a path for a model; see <see cref="At"/>.</summary>
    /// <param name="path">The path.</param>
    public static implicit operator MergeModel(string path) => At(path);

    /// <inheritdoc/>
    public override string ToString() => Name;

    internal OpenMergeModel Open() => _open();
}

/// <summary>A model whose tensors can be read.</summary>
/// <param name="name">The name in messages.</param>
/// <param name="weights">The tensors, which it takes over.</param>
/// <param name="config">The configuration; null for a file of weights.</param>
/// <param name="folder">The folder whose tokenizer it has, which it takes over; null for none.</param>
internal sealed class OpenMergeModel(string name, ITensorStore weights, ModelConfig? config, CheckpointFolder? folder) : IDisposable
{
    public string Name => name;

    public ITensorStore Weights => weights;

    public ModelConfig? Config => config;

    public CheckpointFolder? Folder => folder;

    /// <summary>The floating-point tensors by name, without copies of tied ones.</summary>
    public IReadOnlyDictionary<string, TensorInfo> Tensors => field ??= DistinctTensors();

    /// <summary>The name under which the model holds a tensor that has a name in another model; null if it has none.</summary>
    public string? Find(string nameElsewhere) => Names.GetValueOrDefault(StoredNames.Common(nameElsewhere));

    /// <summary>The file of a tensor's model, for messages.</summary>
    public string Source => weights.Path;

    public OpenMergeModel Called(string other) => new(other, weights, config, folder);

    public static OpenMergeModel At(string path)
    {
        if (!File.Exists(path))
        {
            var folder = CheckpointFolder.Open(path);
            return new(path, folder.Weights, folder.Config, folder);
        }

        var file = SafetensorsFile.Open(path);
        if (!Graft.IsGraft(file))
        {
            return new(path, file, null, null);
        }

        file.Dispose();
        throw new InvalidDataException($"'{path}' is a graft, which needs its base: write the base's folder before it, BASE+{path}.");
    }

    /// <summary>A base with what is in a file or folder.</summary>
    public static OpenMergeModel Joined(OpenMergeModel basis, string added)
    {
        try
        {
            if (File.Exists(added))
            {
                return Joined(basis, Graft.Load(added), $"{basis.Name}+{added}");
            }

            ModelConfig config =
                basis.Config ?? throw new InvalidDataException($"'{basis.Name}' has no config.json, which an adapter needs.");
            var adapter = PeftAdapter.Load(added);
            return new($"{basis.Name}+{added}", adapter.ApplyTo(basis.Weights, config), config, basis.Folder);
        }
        catch
        {
            basis.Dispose();
            throw;
        }
    }

    public static OpenMergeModel Joined(OpenMergeModel basis, Graft graft, string name)
    {
        try
        {
            return new(name, GraftedTensorStore.Of(basis, graft, name), basis.Config, basis.Folder);
        }
        catch
        {
            basis.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        weights.Dispose();
        folder?.Dispose();
    }

    /// <summary>The models' own names of <see cref="Tensors"/> by names that models have in common.</summary>
    private Dictionary<string, string> Names => field ??= StoredNames.Of(AllTensors, weights);

    private OrderedDictionary<string, TensorInfo> AllTensors =>
        field ??= new(
            weights.Tensors.Where(info => ElementTypes.IsFloatingPoint(info.Dtype)).Select(info => KeyValuePair.Create(info.Name, info)),
            StringComparer.Ordinal
        );

    private OrderedDictionary<string, TensorInfo> DistinctTensors()
    {
        HashSet<string> kept = [.. Names.Values];
        return new(AllTensors.Where(pair => kept.Contains(pair.Key)), StringComparer.Ordinal);
    }
}

/// <summary>Tensors in memory, which it does not own.</summary>
internal sealed class MemoryTensorStore : ITensorStore
{
    private readonly Dictionary<string, torch.Tensor> _tensors;

    public MemoryTensorStore(string name, IReadOnlyDictionary<string, TorchSharp.Modules.Parameter> tensors)
    {
        Path = name;
        _tensors = tensors.ToDictionary(pair => pair.Key, pair => (torch.Tensor)pair.Value, StringComparer.Ordinal);
        Tensors =
        [
            .. tensors.Select(pair => new TensorInfo(
                pair.Key,
                pair.Value.dtype,
                pair.Value.shape,
                pair.Value.numel() * pair.Value.element_size()
            )),
        ];
    }

    public string Path { get; }

    public IReadOnlyList<TensorInfo> Tensors { get; }

    public bool Contains(string name) => _tensors.ContainsKey(name);

    public torch.Tensor Read(string name, torch.ScalarType? asType = null, torch.Device? device = null)
    {
        torch.Tensor own = _tensors[name];
        using torch.Tensor detached = own.detach();
        return detached.to(asType ?? own.dtype, device ?? torch.CPU, copy: true).contiguous();
    }

    public void Dispose() { }
}
