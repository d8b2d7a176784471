using SkillLoc.Models.Cartography;
using SkillLoc.Reports.Drawing;

namespace SkillLoc.Reports.Pictures;

/// <summary>Training rows by confidence and variability over the epochs (Swayamdipta et al. 2020).</summary>
internal static class DataMapPictures
{
    private const int MostPoints = 1500,
        Bars = 20;

    /// <summary>The classes of <see cref="Classes"/>.</summary>
    public static string[] ClassNames { get; } = ["easy to learn", "ambiguous", "hard to learn"];

    /// <summary>The third of the rows with the highest variability is ambiguous; of the others, those whose mean confidence is 0.5 or more
    /// are easy, the rest hard.</summary>
    public static Dictionary<int, string> Classes(TrainingDynamics dynamics)
    {
        CartographyRow[] rows = [.. dynamics.Map()];
        double[] sorted = [.. rows.Select(row => row.Variability).Order()];
        double bound = sorted.Length == 0 ? 0 : sorted[Math.Min(sorted.Length * 2 / 3, sorted.Length - 1)];
        return rows.ToDictionary(
            row => row.Row,
            row =>
                row.Variability >= bound && row.Variability > 0 ? ClassNames[1]
                : row.Confidence >= 0.5 ? ClassNames[0]
                : ClassNames[2]
        );
    }

    public static IEnumerable<Picture> Of(TrainingDynamics dynamics)
    {
        CartographyRow[] rows = [.. dynamics.Map()];
        if (rows.Length == 0)
        {
            throw new ArgumentException("The training dynamics have no row: there is nothing to show.", nameof(dynamics));
        }

        Dictionary<int, string> classes = Classes(dynamics);
        int step = ((rows.Length - 1) / MostPoints) + 1;
        CartographyRow[] shown = [.. rows.Where((_, i) => i % step == 0)];
        var table = Table.Of(
            ["Row", "Confidence", "Variability", "Correctness", "Turns", "Class"],
            rows.Select(row =>
                (IReadOnlyList<object>)[row.Row, row.Confidence, row.Variability, row.Correctness, row.Turns, classes[row.Row]]
            )
        );
        string counts = string.Join(
            ", ",
            ClassNames.Select(name => $"{Words.Percent(classes.Values.Count(each => each == name) / (double)rows.Length)} {name}")
        );
        yield return new Picture(
            "Data map",
            $"{Words.Count(rows.Length, "training row")}: {counts}. Ambiguous is the third with the highest variability; the others are "
                + "easy with a mean confidence of 0.5 or more, else hard."
                + (step > 1 ? $" Every {step}th row is drawn." : ""),
            table,
            isVector =>
            {
                var chart = new Chart(
                    isVector,
                    Scale.Around("variability", rows.Select(row => row.Variability), low: 0),
                    Scale.Of("confidence", -0.02, 1.02, 5)
                );
                (string Name, double Low, double High)[] bins =
                [
                    ("always right", 1, 1.1),
                    ("right in half of the epochs or more", 0.5, 1),
                    ("right in less than half", 0.001, 0.5),
                    ("never right", -1, 0.001),
                ];
                int[] series = [0, 2, 1, 3];
                for (int i = 0; i < bins.Length; i++)
                {
                    CartographyRow[] mine = [.. shown.Where(row => row.Correctness >= bins[i].Low && row.Correctness < bins[i].High)];
                    chart.Points(
                        [.. mine.Select(row => row.Variability)],
                        [.. mine.Select(row => row.Confidence)],
                        series[i],
                        mine.Length > 0 ? bins[i].Name : null,
                        5,
                        0.6
                    );
                }

                return chart;
            }
        );
        yield return Histogram("Confidence of training rows", "mean confidence", [.. rows.Select(row => row.Confidence)], 0, 1);
        double widest = Math.Max(rows.Max(row => row.Variability), 0.01);
        yield return Histogram("Variability of training rows", "variability", [.. rows.Select(row => row.Variability)], 0, widest);
    }

    internal static Picture Histogram(string title, string of, double[] values, double low, double high)
    {
        double width = (high - low) / Bars;
        int[] counts = new int[Bars];
        foreach (double value in values.Where(double.IsFinite))
        {
            counts[Math.Clamp((int)((value - low) / width), 0, Bars - 1)]++;
        }

        double[] sorted = [.. values.Where(double.IsFinite).Order()];
        return new(
            title,
            sorted.Length == 0
                ? "There is no number."
                : $"The median is {Words.Number(sorted[sorted.Length / 2])}, the mean {Words.Number(sorted.Average())}.",
            Table.Of(
                ["Lower", "Upper", "Count"],
                counts.Select((count, i) => (IReadOnlyList<object>)[low + (i * width), low + ((i + 1) * width), count])
            ),
            isVector =>
            {
                var chart = new Chart(isVector, Scale.Of(of, low, high), Scale.Of("rows", 0, Math.Max(counts.Max(), 1) * 1.05));
                for (int i = 0; i < Bars; i++)
                {
                    if (counts[i] > 0)
                    {
                        chart.Bar(low + (i * width), low + ((i + 0.92) * width), 0, counts[i], 0, 0.75);
                    }
                }

                return chart;
            }
        );
    }
}
