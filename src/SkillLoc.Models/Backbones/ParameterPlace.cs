using System.Globalization;

namespace SkillLoc.Models.Backbones;


/// <summary>A parameter's place: its region, its layer, and its name within that layer.</summary>
/// <param name="Region">Embeddings, a layer, or the head.</param>
/// <param name="Layer">Zero-based layer index; -1 outside the layers.</param>
/// <param name="Kind">The name within the layer, such as <c>attention.self.query.weight</c>; the whole name elsewhere.</param>
public readonly record struct ParameterPlace(ParameterRegion Region, int Layer, string Kind)
{
    private static readonly string[] LayerMarkers = ["encoder.layer.", "transformer.h."];
    private static readonly string[] EmbeddingMarkers = ["embeddings", "transformer.wte.", "transformer.wpe."];

    /// <summary>Reads the place from a Hugging Face parameter name, by the rules of the grafting reference (A.8).</summary>
    /// <param name="name">A name such as <c>roberta.encoder.layer.3.output.dense.bias</c> or <c>transformer.h.3.mlp.c_proj.bias</c>.</param>
    /// <returns>The place.</returns>
    public static ParameterPlace Of(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        foreach (string marker in LayerMarkers)
        {
            int start = name.IndexOf(marker, StringComparison.Ordinal);
            ReadOnlySpan<char> rest = start < 0 ? [] : name.AsSpan(start + marker.Length);
            int dot = rest.IndexOf('.');
            if (dot > 0 && int.TryParse(rest[..dot], NumberStyles.None, CultureInfo.InvariantCulture, out int layer))
            {
                return new(ParameterRegion.Layer, layer, rest[(dot + 1)..].ToString());
            }
        }

        return Array.Exists(EmbeddingMarkers, marker => name.Contains(marker, StringComparison.Ordinal))
            ? new(ParameterRegion.Embeddings, -1, name)
            : new(ParameterRegion.Head, -1, name);
    }
}
