using Microsoft.ML;
using SkillLoc.Models.Grafts;

namespace SkillLoc.Evaluators;

/// <summary>The overlap matrix of grafts, which is not symmetric (Panigrahi et al. 2023; methods, A.13).</summary>
public sealed record GraftOverlapMetrics
{
    /// <summary>The grafts' names, in the order given.</summary>
    public required IReadOnlyList<string> Grafts { get; init; }

    /// <summary>The matrix in row order, including the diagonal: all pairs of grafts.</summary>
    public required IReadOnlyList<GraftOverlapEntry> Entries { get; init; }

    /// <summary>The entries as rows, with the columns First, Second, FirstCount, SecondCount, SharedCount and Overlap.</summary>
    /// <param name="context">The context.</param>
    /// <returns>One row per pair of grafts.</returns>
    public IDataView ToDataView(MLContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return context.Data.LoadFromEnumerable(Entries);
    }

    internal static GraftOverlapMetrics Of(IReadOnlyDictionary<string, Graft> grafts) =>
        new()
        {
            Grafts = [.. grafts.Keys],
            Entries =
            [
                .. from first in grafts
                from second in grafts
                select new GraftOverlapEntry(
                    first.Key,
                    second.Key,
                    first.Value.Count,
                    second.Value.Count,
                    first.Value.Overlap(second.Value)
                ),
            ],
        };
}

/// <summary>The overlap of two grafts.</summary>
/// <param name="First">The name of graft i.</param>
/// <param name="Second">The name of graft j.</param>
/// <param name="FirstCount">|gamma_i|, the scalars of the first.</param>
/// <param name="SecondCount">|gamma_j|, the scalars of the second.</param>
/// <param name="SharedCount">|gamma_i AND gamma_j|, the number of scalars in both.</param>
public sealed record GraftOverlapEntry(string First, string Second, long FirstCount, long SecondCount, long SharedCount)
{
    /// <summary>|gamma_i AND gamma_j| / |gamma_j|: the share of the second graft that is in the first; NaN if the second is
    /// empty.</summary>
    public double Overlap => (double)SharedCount / SecondCount;
}
