using SkillLoc.Evaluators;
using SkillLoc.Reports.Drawing;

namespace SkillLoc.Reports.Pictures;

/// <summary>Models over a plane in parameter space.</summary>
internal static class PlanePictures
{
    private const int Levels = 8;

    public static IEnumerable<Picture> Of(LossPlaneMetrics plane)
    {
        if (
            plane.X.Count < 2
            || plane.Y.Count < 2
            || !(plane.X[^1] > plane.X[0] && plane.Y[^1] > plane.Y[0])
            || plane.Points.Count != plane.X.Count * plane.Y.Count
        )
        {
            throw new ArgumentException(
                "A loss plane needs two places or more on each axis, ascending, and a point for each pair of them.",
                nameof(plane)
            );
        }

        double[] losses = [.. plane.Points.Select(point => point.Loss).Where(double.IsFinite)];

        // Far from the models the loss explodes and would leave no colours for what is near.
        double median = losses.Length == 0 ? 1 : losses.Order().ElementAt(losses.Length / 2),
            least = losses.Length == 0 ? 0 : losses.Min(),
            most = losses.Length == 0 ? 1 : Math.Min(losses.Max(), median + (2 * Math.Max(median - least, 1e-9)));
        string marks = string.Join("; ", plane.Marks.Take(6).Select(mark => $"{Words.Short(mark.Name, 40)} {Words.Number(mark.Loss)}"));
        yield return Draw(
            plane,
            "Loss over a plane of models",
            $"The lowest loss is {Words.Number(losses.DefaultIfEmpty(double.NaN).Min())}, the highest "
                + $"{Words.Number(losses.DefaultIfEmpty(double.NaN).Max())} nats{(marks.Length > 0 ? $"; of the models: {marks}" : "")}. "
                + $"Colours and lines end at {Words.Number(most)}.",
            point => point.Loss,
            new Heat("loss, nats", least, Math.Max(most, least + 1e-9))
        );
        double[] metrics = [.. plane.Points.Select(point => point.Metric)];
        if (Array.Exists(metrics, double.IsFinite))
        {
            string name = plane.Metric == "ACC" ? "accuracy" : Words.Short(plane.Metric, 40);
            LossPlanePoint best = plane.Points.Where(point => double.IsFinite(point.Metric)).MaxBy(point => point.Metric)!;
            marks = string.Join("; ", plane.Marks.Take(6).Select(mark => $"{Words.Short(mark.Name, 40)} {Words.Number(mark.Metric)}"));
            yield return Draw(
                plane,
                "Metric over a plane of models",
                $"The highest {name} is {Words.Number(best.Metric)}, at {Words.Number(best.X)} and {Words.Number(best.Y)}"
                    + $"{(marks.Length > 0 ? $"; of the models: {marks}" : "")}.",
                point => point.Metric,
                Heat.Over(name, metrics)
            );
        }
    }

    private static Picture Draw(LossPlaneMetrics plane, string title, string text, Func<LossPlanePoint, double> of, Heat heat)
    {
        int rows = plane.Y.Count,
            columns = plane.X.Count;
        double[,] values = new double[rows, columns];
        foreach ((int i, LossPlanePoint point) in plane.Points.Index())
        {
            values[rows - 1 - (i / columns), i % columns] = of(point);
        }

        bool isRandom = plane.Axes == LossPlaneAxes.Random;
        return new(
            title,
            text,
            Table.Of(
                ["X", "Y", "Loss", "Metric", "Accuracy", "Model"],
                [
                    .. plane.Marks.Select(mark => (IReadOnlyList<object>)[mark.X, mark.Y, mark.Loss, mark.Metric, double.NaN, mark.Name]),
                    .. plane.Points.Select(point =>
                        (IReadOnlyList<object>)[point.X, point.Y, point.Loss, point.Metric, point.Accuracy, ""]
                    ),
                ]
            ),
            isVector =>
            {
                var chart = new Chart(
                    isVector,
                    Cells(isRandom ? "multiples of the first direction" : "distance along u", plane.X),
                    Cells(isRandom ? "multiples of the second direction" : "distance along v", plane.Y),
                    360
                );
                chart.Cells(values, heat);
                chart.IsoLines(
                    values,
                    [.. Enumerable.Range(1, Levels).Select(i => heat.Low + ((heat.High - heat.Low) * i / (Levels + 1)))]
                );
                foreach (LossPlaneMark mark in plane.Marks.Where(mark => double.IsFinite(mark.X) && double.IsFinite(mark.Y)))
                {
                    double at = Place(plane.X, mark.X),
                        high = Place(plane.Y, mark.Y);
                    chart.Points([at], [high], 1, null, 11);
                    chart.Write(Words.Short(mark.Name, 20), at, high + (rows * 0.05), "#FDFDFD", 12, "#14171E");
                }

                return chart;
            }
        )
        {
            Provenance = new()
            {
                Rows = plane.Count > 0 ? Words.Count(plane.Count, "row") : null,
                Seeds = plane.Seed is { } seed ? [seed] : null,
            },
        };

        static double Place(IReadOnlyList<double> places, double value) =>
            (value - places[0]) / (places[^1] - places[0]) * (places.Count - 1);

        static Scale Cells(string title, IReadOnlyList<double> places)
        {
            var scale = Scale.Of(title, places[0], places[^1], 5);
            return new(title, -0.5, places.Count - 0.5, [.. scale.Places.Select(value => Place(places, value))], scale.Labels);
        }
    }
}
