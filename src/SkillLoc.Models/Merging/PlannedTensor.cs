using System.Globalization;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;

namespace SkillLoc.Models.Merging;

/// <summary>A tensor of the result of a merge.</summary>
/// <param name="Info">Its name, shape and stored type.</param>
/// <param name="Depth">Its depth in the model, from 0 to 1, for gradients.</param>
/// <param name="Slice">The slice that it belongs to; null without slices.</param>
/// <param name="Module">The module that it belongs to; null without modules.</param>
/// <param name="Inputs">The models that are merged; empty if it is copied.</param>
/// <param name="Sources">Their tensors; of a copied one, the tensor that is copied.</param>
/// <param name="Base">The base's tensor; null for none.</param>
internal sealed record PlannedTensor(
    TensorInfo Info,
    double Depth,
    MergeSlice? Slice,
    MergeModule? Module,
    IReadOnlyList<MergeInput> Inputs,
    IReadOnlyList<TensorSource> Sources,
    TensorSource? Base
)
{
    public bool IsCopied => Inputs.Count == 0;
}

/// <summary>A tensor of a model.</summary>
internal sealed record TensorSource(OpenMergeModel Model, string Name);

/// <summary>Layers in the names of tensors.</summary>
internal static class LayerNames
{
    /// <summary>The number of layers of each stack.</summary>
    public static Dictionary<string, int> LayersOf(OpenMergeModel model) =>
        model
            .Tensors.Keys.Select(ParameterPlace.Of)
            .Where(place => place.Region == ParameterRegion.Layer)
            .GroupBy(place => place.Stack, StringComparer.Ordinal)
            .ToDictionary(stack => stack.Key, stack => stack.Max(place => place.Layer) + 1, StringComparer.Ordinal);

    public static double Depth(ParameterPlace place, Dictionary<string, int> layers) =>
        place.Region switch
        {
            ParameterRegion.Embeddings => 0,
            ParameterRegion.Layer when layers[place.Stack] > 1 => (double)place.Layer / (layers[place.Stack] - 1),
            _ => 1,
        };

    /// <summary>The name of a layer's tensor in another layer.</summary>
    public static string Moved(string name, ParameterPlace place, int layer)
    {
        string block = place.BlockIn(name),
            stem = block[..(block.LastIndexOf('.') + 1)];
        return stem + layer.ToString(CultureInfo.InvariantCulture) + name[block.Length..];
    }
}
