using System.Globalization;
using Microsoft.ML;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Connectivity;

namespace SkillLoc.Evaluators;

/// <summary>The distance between two checkpoints, in total and by region (methods, C.7).</summary>
public sealed record CheckpointDistanceMetrics
{
    /// <summary>The distance of all parameters as one vector.</summary>
    public required CheckpointDistanceEntry Whole { get; init; }

    /// <summary>One entry per parameter, in the checkpoint's order.</summary>
    public required IReadOnlyList<CheckpointDistanceEntry> Parameters { get; init; }

    /// <summary>Totals by layer; embeddings and head have one entry each. T5 has the layers of both stacks, with the stack as
    /// kind.</summary>
    public required IReadOnlyList<CheckpointDistanceEntry> Layers { get; init; }

    /// <summary>Totals by kind.</summary>
    public required IReadOnlyList<CheckpointDistanceEntry> Kinds { get; init; }

    /// <summary><see cref="Parameters"/> as rows, with the columns Region, Layer, Kind, Count, L2, MeanL2 and Cosine.</summary>
    /// <param name="context">The context.</param>
    /// <returns>One row per parameter.</returns>
    public IDataView ToDataView(MLContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return context.Data.LoadFromEnumerable(Parameters);
    }

    /// <summary>Writes the total distance as <c>distance.txt</c>, in the form of the paper's code.</summary>
    /// <param name="path">The file; an existing file is replaced once the new one is complete.</param>
    /// <exception cref="IOException">It could not be written; an existing file is unchanged.</exception>
    public void Save(string path) =>
        AtomicFile.WriteText(
            path,
            string.Create(
                CultureInfo.InvariantCulture,
                $"L2 distance: {Whole.L2}\nnum of para: {Whole.Count}\naverage L2 distance: {Whole.MeanL2}\nCos distance: {Whole.Cosine}\n"
            )
        );

    internal static CheckpointDistanceMetrics Of(IReadOnlyDictionary<string, CheckpointDistance> distances)
    {
        (ParameterPlace Place, CheckpointDistance Distance)[] parameters =
        [
            .. distances.Select(pair => (ParameterPlace.Of(pair.Key), pair.Value)),
        ];
        return new()
        {
            Whole = Entry("", -1, "", distances.Values),
            Parameters = [.. parameters.Select(each => Entry($"{each.Place.Region}", each.Place.Layer, each.Place.Kind, [each.Distance]))],
            Layers = Together(place => place with { Kind = place.Stack }),
            Kinds = Together(place => place with { Layer = -1 }),
        };

        CheckpointDistanceEntry[] Together(Func<ParameterPlace, ParameterPlace> place) =>
            [
                .. parameters.GroupBy(
                    each => place(each.Place),
                    (key, entries) => Entry($"{key.Region}", key.Layer, key.Kind, entries.Select(entry => entry.Distance))
                ),
            ];
    }

    private static CheckpointDistanceEntry Entry(string region, int layer, string kind, IEnumerable<CheckpointDistance> parts)
    {
        var sum = CheckpointDistance.Of(parts);
        return new(region, layer, kind, sum.Count, sum.L2, sum.MeanL2, sum.Cosine);
    }
}

/// <summary>The distance between two checkpoints in a region of the model.</summary>
/// <param name="Region">Embeddings, Layer or Head, as <see cref="Models.Backbones.ParameterRegion"/> names them; empty for the
/// total.</param>
/// <param name="Layer">Zero-based layer; -1 outside the layers, and for totals over layers.</param>
/// <param name="Kind">The parameter's name within its layer, such as <c>attention.self.query.weight</c>, or its whole name outside the
/// layers; for totals over kinds, empty or T5's stack, <c>encoder</c> or <c>decoder</c>.</param>
/// <param name="Count">Number of scalars here.</param>
/// <param name="L2">The Euclidean norm of the difference.</param>
/// <param name="MeanL2">The root of the mean squared difference, sqrt(L2^2 / n).</param>
/// <param name="Cosine">The cosine similarity.</param>
public sealed record CheckpointDistanceEntry(string Region, int Layer, string Kind, long Count, double L2, double MeanL2, double Cosine);
