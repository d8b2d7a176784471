using System.Globalization;
using SkillLoc.Evaluators;
using SkillLoc.Models.Backbones;
using SkillLoc.Reports.Drawing;

namespace SkillLoc.Reports.Pictures;

/// <summary>How far two checkpoints are apart.</summary>
internal static class DistancePictures
{
    public static IEnumerable<Picture> Of(CheckpointDistanceMetrics distances)
    {
        if (distances.Parameters.Count == 0)
        {
            throw new ArgumentException("The distances are of no parameter: there is nothing to show.", nameof(distances));
        }

        (string Place, string Module, CheckpointDistanceEntry Entry)[] entries =
        [
            .. distances.Parameters.Select(entry =>
            {
                ParameterPlace place = PlaceOf(entry);
                return (place.Area, place.Module, entry);
            }),
        ];
        string[] places = [.. entries.Select(each => each.Place).Distinct(StringComparer.Ordinal)],
            modules = [.. SkillMapPictures.Modules.Where(module => Array.Exists(entries, each => each.Module == module))];
        double[,] means = GraftPictures.Matrix(
            places,
            modules,
            entries
                .GroupBy(each => (each.Place, each.Module))
                .Select(cell =>
                    (
                        cell.Key.Place,
                        cell.Key.Module,
                        Math.Sqrt(cell.Sum(each => each.Entry.L2 * each.Entry.L2) / cell.Sum(each => each.Entry.Count))
                    )
                )
        );
        yield return Matrices.Draw(
            "Distance by layer and kind of weight",
            $"The two are {Words.Number(distances.Whole.L2)} apart over {Words.Count(distances.Whole.Count, "scalar")}, a root of the mean square of "
                + $"{Words.Number(distances.Whole.MeanL2)}, with a cosine of {Words.Number(distances.Whole.Cosine)}. Cells have the root of the mean "
                + $"squared difference. {Matrices.Highest(places, modules, means, Words.Number, besideDiagonal: false)}",
            "",
            places,
            "",
            modules,
            means,
            Heat.Over("root of the mean square", means.Cast<double>(), low: 0),
            (row, column) => double.IsFinite(means[row, column]) ? means[row, column].ToString("G2", CultureInfo.InvariantCulture) : ""
        ) with
        {
            Provenance = Provenance.WeightsAlone,
        };
        CheckpointDistanceEntry[] layers = [.. distances.Layers];
        if (layers.Length == 0)
        {
            yield break;
        }

        string[] names = [.. layers.Select(entry => PlaceOf(entry).Area)];
        CheckpointDistanceEntry least = layers.MinBy(entry => double.IsNaN(entry.Cosine) ? double.PositiveInfinity : entry.Cosine)!;
        yield return new(
            "Cosine by layer",
            $"The weights are least alike in {PlaceOf(least).Area}, with a cosine of {Words.Number(least.Cosine)}; 1 is the same direction.",
            Table.Of(
                ["Place", "Scalars", "L2", "RootMeanSquare", "Cosine"],
                layers.Select((entry, i) => (IReadOnlyList<object>)[names[i], entry.Count, entry.L2, entry.MeanL2, entry.Cosine])
            ),
            isVector =>
            {
                var chart = new Chart(
                    isVector,
                    Scale.Names("", names),
                    Scale.Around("cosine", layers.Select(entry => entry.Cosine).Append(1))
                );
                chart.Line([.. names.Select((_, i) => (double)i)], [.. layers.Select(entry => entry.Cosine)], 0);
                return chart;
            }
        )
        {
            Provenance = Provenance.WeightsAlone,
        };
    }

    private static ParameterPlace PlaceOf(CheckpointDistanceEntry entry) =>
        new(
            Enum.Parse<ParameterRegion>(entry.Region),
            entry.Layer,
            // Totals over kinds have T5's stack alone.
            entry.Kind
                is "encoder"
                    or "decoder"
                ? entry.Kind + "."
                : entry.Kind
        );
}
