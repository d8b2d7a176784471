namespace SkillLoc.Evaluators;

/// <summary>The part of a graft in a region of the model.</summary>
/// <param name="Region">Embeddings, Layer or Head, as <see cref="Models.Backbones.ParameterRegion"/> names them.</param>
/// <param name="Layer">Zero-based layer; -1 outside the layers, and for totals over layers.</param>
/// <param name="Kind">The parameter's name within its layer, such as <c>attention.self.query.weight</c>, or its whole name outside the
/// layers; empty for totals over kinds.</param>
/// <param name="Count">Number of the graft's scalars here.</param>
/// <param name="Scalars">Number of considered scalars here.</param>
/// <param name="Share"><paramref name="Count"/> as a share of the graft; NaN if the graft is empty.</param>
public sealed record GraftSpreadEntry(string Region, int Layer, string Kind, long Count, long Scalars, double Share)
{
    /// <summary>Density: the share of considered scalars here that are in the graft.</summary>
    public double Density => (double)Count / Scalars;
}
