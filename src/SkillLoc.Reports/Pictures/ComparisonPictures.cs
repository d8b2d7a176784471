using SkillLoc.Evaluators;
using SkillLoc.Reports.Drawing;

namespace SkillLoc.Reports.Pictures;

/// <summary>Many parts or many models against each other.</summary>
internal static class ComparisonPictures
{
    public static Picture Of(NamedMatrix matrix)
    {
        double[,] values = matrix.ToArray();
        bool isSquare = matrix.Rows.SequenceEqual(matrix.Columns, StringComparer.Ordinal);
        IEnumerable<double> all = values.Cast<double>();
        return Matrices.Draw(
            matrix.Measure,
            Matrices.Highest(matrix.Rows, matrix.Columns, values, Words.Number, isSquare),
            matrix.RowsAre,
            matrix.Rows,
            matrix.ColumnsAre,
            matrix.Columns,
            values,
            matrix.IsAroundZero ? Heat.AroundZero(matrix.Measure, all) : Heat.Over(matrix.Measure, all)
        );
    }

    public static Picture Of(IReadOnlyList<FaithfulnessCurve> curves)
    {
        (FaithfulnessCurve Curve, FaithfulnessPoint[] Points)[] drawn =
        [
            .. curves.Select(curve => (curve, (FaithfulnessPoint[])[.. curve.Drawn])).Where(each => each.Item2.Length > 0),
        ];
        if (drawn.Length == 0)
        {
            throw new ArgumentException("No curve has a point with a share above 0: there is nothing to show.", nameof(curves));
        }

        return new(
            "Faithfulness: how much of the skill a part carries",
            $"By mean height over the logarithm of the share: {string.Join("; ", drawn.OrderByDescending(each => each.Curve.Area).Take(6).Select(each => $"{Words.Short(each.Curve.Name, 40)} {Words.Number(each.Curve.Area)}"))}. "
                + "Curves that span other shares are not comparable by it.",
            Table.Of(
                ["Curve", "IsControl", "Share", "Value", "Low", "High", "Area"],
                drawn.SelectMany(each =>
                    each.Points.Select(point =>
                        (IReadOnlyList<object>)
                            [
                                each.Curve.Name,
                                each.Curve.IsControl ? "yes" : "no",
                                point.Share,
                                point.Value,
                                point.Low,
                                point.High,
                                each.Curve.Area,
                            ]
                    )
                )
            ),
            isVector =>
            {
                FaithfulnessPoint[] all = [.. drawn.SelectMany(each => each.Points)];
                var chart = new Chart(
                    isVector,
                    Scale.Logarithmic("share of the model", all.Min(point => point.Share), all.Max(point => point.Share)),
                    Scale.Around(
                        "share of the skill",
                        all.SelectMany(point => (double[])[point.Value, point.Low, point.High]).Append(0).Append(1)
                    )
                );
                int next = 0,
                    controls = 0;
                foreach ((FaithfulnessCurve curve, FaithfulnessPoint[] points) in drawn)
                {
                    int series = curve.IsControl ? Theme.Control : next++ % Theme.Count,
                        pattern = curve.IsControl ? 1 + (controls++ % 2) : 0;
                    double[] xs = [.. points.Select(point => Math.Log10(point.Share))];
                    chart.Band(xs, [.. points.Select(point => point.Low)], [.. points.Select(point => point.High)], series);
                    chart.Line(
                        xs,
                        [.. points.Select(point => point.Value)],
                        series,
                        pattern,
                        double.IsFinite(curve.Area)
                            ? $"{Words.Short(curve.Name, 34)}, area {Words.Number(Math.Round(curve.Area, 3))}"
                            : curve.Name
                    );
                }

                return chart;
            }
        )
        {
            Intervals = string.Join(
                "; ",
                drawn
                    .Where(each => Array.Exists(each.Points, point => double.IsFinite(point.Low)))
                    .Select(each => each.Curve.Intervals is { Length: > 0 } given ? given : "as the curve gives them")
                    .Distinct(StringComparer.Ordinal)
            ),
        };
    }

    /// <summary>Convexity gaps between models, those of one basin side by side.</summary>
    public static IEnumerable<Picture> Of(IReadOnlyList<PathBetween> paths, string set, OutOfDistributionMetrics? beside)
    {
        string[] names = [.. paths.SelectMany(path => (string[])[path.First, path.Second]).Distinct(StringComparer.Ordinal)];
        if (names.Length < 2)
        {
            throw new ArgumentException("A basin map needs a path between two models or more.", nameof(paths));
        }

        double[,] gaps = GraftPictures.Matrix(names, names, names.Select(name => (name, name, 0.0)));
        foreach (PathBetween path in paths)
        {
            InterpolationSet found =
                path.Path.Find(set)
                ?? throw new ArgumentException($"The path from {path.First} to {path.Second} has no set '{set}'.", nameof(paths));
            int one = Array.IndexOf(names, path.First),
                other = Array.IndexOf(names, path.Second);
            gaps[one, other] = gaps[other, one] = found.LossConvexityGap;
        }

        int[] order = Order(gaps);
        string[] ordered = [.. order.Select(i => names[i])];
        double[,] values = new double[names.Length, names.Length];
        for (int row = 0; row < names.Length; row++)
        {
            for (int column = 0; column < names.Length; column++)
            {
                values[row, column] = gaps[order[row], order[column]];
            }
        }

        yield return Matrices.Draw(
            "Basin map: convexity gaps between models",
            $"The gap is the largest loss barrier within a path, in nats, on the {set} rows; models of one basin have small ones and stand side by side (average "
                + $"linkage). {Matrices.Highest(ordered, ordered, values, Words.Number, besideDiagonal: true)}",
            "",
            ordered,
            "",
            ordered,
            values,
            Heat.Over("convexity gap, nats", values.Cast<double>(), low: 0)
        );
        if (beside is not null)
        {
            string[] sets = [.. beside.Entries.Select(entry => entry.Set).Distinct(StringComparer.Ordinal)];
            OutOfDistributionEntry[] mine = [.. beside.Entries.Where(entry => ordered.Contains(entry.Model))];
            if (mine.Length > 0)
            {
                double[,] accuracies = GraftPictures.Matrix(ordered, sets, mine.Select(entry => (entry.Model, entry.Set, entry.Accuracy)));
                yield return Matrices.Draw(
                    "Accuracy of the same models, in the same order",
                    Matrices.Highest(ordered, sets, accuracies, Words.Percent, besideDiagonal: false),
                    "",
                    ordered,
                    "",
                    sets,
                    accuracies,
                    Heat.Over("accuracy", accuracies.Cast<double>())
                );
            }
        }
    }

    /// <summary>The leaves of a tree of average linkage, from left to right; missing distances count as the largest.</summary>
    private static int[] Order(double[,] distances)
    {
        int count = distances.GetLength(0);
        double largest = distances.Cast<double>().Where(double.IsFinite).DefaultIfEmpty(1).Max();
        List<int[]> groups = [.. Enumerable.Range(0, count).Select(i => (int[])[i])];
        while (groups.Count > 1)
        {
            (int First, int Second, double Distance) nearest = (0, 1, double.PositiveInfinity);
            for (int one = 0; one < groups.Count; one++)
            {
                for (int other = one + 1; other < groups.Count; other++)
                {
                    double distance = groups[one]
                        .Average(i => groups[other].Average(j => double.IsFinite(distances[i, j]) ? distances[i, j] : largest));
                    if (distance < nearest.Distance)
                    {
                        nearest = (one, other, distance);
                    }
                }
            }

            groups[nearest.First] = [.. groups[nearest.First], .. groups[nearest.Second]];
            groups.RemoveAt(nearest.Second);
        }

        return groups[0];
    }
}
