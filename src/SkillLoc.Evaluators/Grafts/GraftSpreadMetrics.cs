using Microsoft.ML;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Grafts;

namespace SkillLoc.Evaluators;

/// <summary>The distribution of a graft over layers and kinds of parameters (Panigrahi et al. 2023; methods, A.13).</summary>
public sealed record GraftSpreadMetrics
{
    /// <summary>One entry per parameter in the model's order, including parameters without graft.</summary>
    public required IReadOnlyList<GraftSpreadEntry> Parameters { get; init; }

    /// <summary>Totals by layer; embeddings and head have one entry each.</summary>
    public required IReadOnlyList<GraftSpreadEntry> Layers { get; init; }

    /// <summary>Totals by kind.</summary>
    public required IReadOnlyList<GraftSpreadEntry> Kinds { get; init; }

    /// <summary><see cref="Parameters"/> as rows, with the columns Region, Layer, Kind, Count, Scalars, Share and Density.</summary>
    /// <param name="context">The context.</param>
    /// <returns>One row per parameter.</returns>
    public IDataView ToDataView(MLContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return context.Data.LoadFromEnumerable(Parameters);
    }

    internal static GraftSpreadMetrics Of(Graft graft, LanguageModel model, IEnumerable<string> considered)
    {
        double total = graft.Count;
        GraftSpreadEntry[] parameters =
        [
            .. graft
                .Spread(model, considered)
                .Select(part => new GraftSpreadEntry(
                    part.Place.Region.ToString(),
                    part.Place.Layer,
                    part.Place.Kind,
                    part.Count,
                    part.Scalars,
                    part.Count / total
                )),
        ];
        return new()
        {
            Parameters = parameters,
            Layers = Together(entry => entry with { Kind = "" }),
            Kinds = Together(entry => entry with { Layer = -1 }),
        };

        GraftSpreadEntry[] Together(Func<GraftSpreadEntry, GraftSpreadEntry> place) =>
            [
                .. parameters.GroupBy(
                    entry => place(entry) with { Count = 0, Scalars = 0, Share = 0 },
                    (key, entries) =>
                        entries.Aggregate(
                            key,
                            (sum, entry) =>
                                sum with
                                {
                                    Count = sum.Count + entry.Count,
                                    Scalars = sum.Scalars + entry.Scalars,
                                    Share = (sum.Count + entry.Count) / total,
                                }
                        )
                ),
            ];
    }
}

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
