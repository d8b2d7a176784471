namespace SkillLoc.Evaluators;

/// <summary>How much of a graft lies in one place of the model.</summary>
/// <param name="Region">Embeddings, Layer or Head, as <see cref="Models.Backbones.ParameterRegion"/> names them.</param>
/// <param name="Layer">Zero-based layer; -1 outside the layers, and where layers are taken together.</param>
/// <param name="Kind">The parameter's name within its layer, such as <c>attention.self.query.weight</c>, or its whole name outside the
/// layers; empty where kinds are taken together.</param>
/// <param name="Count">The graft's scalars here.</param>
/// <param name="Scalars">All scalars here that the graft could have used.</param>
/// <param name="Share"><paramref name="Count"/> as a share of the graft; NaN when the graft is empty.</param>
public sealed record GraftSpreadEntry(string Region, int Layer, string Kind, long Count, long Scalars, double Share)
{
    /// <summary>The share of the place's scalars that are the graft's.</summary>
    public double Density => (double)Count / Scalars;
}
