using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Grafts;
using TorchSharp;

namespace SkillLoc.Models.Merging;

/// <summary>The tensors of a base with a graft in them: each is read from the base and changed when it is asked for.</summary>
internal sealed class GraftedTensorStore : ITensorStore
{
    private readonly ITensorStore _base;
    private readonly Dictionary<string, GraftPart> _parts;
    private readonly HashSet<string> _zeroed;

    private GraftedTensorStore(ITensorStore basis, string name, Dictionary<string, GraftPart> parts, HashSet<string> zeroed)
    {
        _base = basis;
        Path = name;
        _parts = parts;
        _zeroed = zeroed;
    }

    public string Path { get; }

    public IReadOnlyList<TensorInfo> Tensors => _base.Tensors;

    /// <summary>Puts a graft into a base.</summary>
    /// <exception cref="InvalidDataException">The graft is for another base.</exception>
    public static GraftedTensorStore Of(OpenMergeModel basis, Graft graft, string name)
    {
        CheckpointFolder folder =
            basis.Folder ?? throw new InvalidDataException($"'{basis.Name}' is no checkpoint folder; a graft is put into one.");
        StoredModel.CheckFingerprint(folder, graft.BaseFingerprint, name);
        Dictionary<string, long[]> shapes = StoredModel.ShapesOf(folder);
        var parts = new Dictionary<string, GraftPart>(StringComparer.Ordinal);
        foreach (GraftPart part in graft.Parts)
        {
            if (!shapes.TryGetValue(part.Name, out long[]? shape))
            {
                throw new InvalidDataException($"The graft in '{name}' changes '{part.Name}', which the model does not have.");
            }

            long count = shape.Aggregate(1L, (product, size) => product * size);
            if (part.Indices.Length > 0 && part.Indices[^1] >= count)
            {
                throw new InvalidDataException(
                    $"The graft in '{name}' changes scalar {part.Indices[^1]} of '{part.Name}', which has {count} scalars."
                );
            }

            parts.Add(StoredTensor.Find(folder, part.Name, shape), part);
        }

        return new(basis.Weights, name, parts, [.. graft.Zeroed.Select(zeroed => StoredTensor.Find(folder, zeroed, shapes[zeroed]))]);
    }

    public bool Contains(string name) => _base.Contains(name);

    public torch.Tensor Read(string name, torch.ScalarType? asType = null, torch.Device? device = null)
    {
        torch.Tensor tensor = _base.Read(name, asType, device);
        if (_zeroed.Contains(name))
        {
            torch.nn.init.zeros_(tensor);
        }

        if (_parts.TryGetValue(name, out GraftPart? part))
        {
            using DisposeScope scope = torch.NewDisposeScope();
            using IDisposable noGradients = torch.no_grad();
            torch.Tensor indices = torch.tensor(Array.ConvertAll(part.Indices, i => (long)i), device: tensor.device);
            tensor.view(-1).index_copy_(0, indices, torch.tensor(part.Values).to(tensor.dtype, tensor.device));
        }

        return tensor;
    }

    public void Dispose() => _base.Dispose();
}
