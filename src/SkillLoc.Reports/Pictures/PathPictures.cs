using SkillLoc.Evaluators;
using SkillLoc.Models.Cartography;
using SkillLoc.Reports.Drawing;

namespace SkillLoc.Reports.Pictures;

/// <summary>Models along paths between checkpoints.</summary>
internal static class PathPictures
{
    private const string Place = "place on the path";

    /// <summary>Loss and metric over the place, a line for each path and set.</summary>
    public static IEnumerable<Picture> Of(IReadOnlyDictionary<string, InterpolationMetrics> paths)
    {
        (string Name, InterpolationMetrics Path, InterpolationSet Set)[] lines =
        [
            .. from path in paths from set in path.Value.Sets where set.Points.Count > 0 select (Name(path.Key, set), path.Value, set),
        ];
        if (lines.Length == 0)
        {
            throw new ArgumentException("The paths have no points: there is nothing to show.", nameof(paths));
        }

        var table = Table.Of(
            ["Path", "Set", "X", "Loss", "Metric", "Accuracy", "ECE", "AgreementWithFirst", "AgreementWithSecond", "Learnt", "Forgotten"],
            lines.SelectMany(line =>
                line.Set.Points.Select(point =>
                    (IReadOnlyList<object>)
                        [
                            line.Name,
                            line.Set.Name,
                            point.X,
                            point.Loss,
                            point.Metric,
                            point.Accuracy,
                            point.ExpectedCalibrationError,
                            point.AgreementWithFirst,
                            point.AgreementWithSecond,
                            point.Learnt,
                            point.Forgotten,
                        ]
                )
            )
        );
        string? rows = Array.TrueForAll(lines, line => line.Set.Rows.Count > 0)
            ? string.Join(", ", lines.Select(line => $"{line.Set.Name} {line.Set.Rows.Count}").Distinct(StringComparer.Ordinal).Take(8))
            : null;

        // What was measured by a metric alone has no losses.
        if (lines.Any(line => line.Set.Points.Any(point => double.IsFinite(point.Loss) || !double.IsFinite(point.Metric))))
        {
            yield return new Picture(
                "Loss along the path",
                Sentences(line =>
                    $"{line.Name}: loss barrier {Words.Number(line.Set.LossBarrier)} nats, convexity gap {Words.Number(line.Set.LossConvexityGap)}"
                ),
                table,
                isVector => Draw(isVector, "loss, nats", point => point.Loss, withIntervals: false)
            )
            {
                Provenance = new() { Rows = rows },
            };
        }

        bool areAccuracies = Array.TrueForAll(
                lines,
                line => line.Path.Metric == "ACC" || line.Set.Points.All(point => point.Metric == point.Accuracy)
            ),
            areCalledSo = Array.TrueForAll(lines, line => line.Path.Metric == "ACC");
        string[] metrics = [.. lines.Select(line => line.Path.Metric).Distinct(StringComparer.Ordinal)];
        yield return new Picture(
            "Metric along the path",
            Sentences(line =>
                $"{line.Name}: from {Words.Number(line.Set.Points[0].Metric)} to {Words.Number(line.Set.Points[^1].Metric)}, at least "
                + $"{Words.Number(line.Set.Points.Min(point => point.Metric))}, metric barrier {Words.Number(line.Set.MetricBarrier)}"
            ),
            table,
            isVector => Draw(isVector, areCalledSo ? "accuracy" : string.Join(", ", metrics), point => point.Metric, areAccuracies)
        )
        {
            Intervals = areAccuracies ? Intervals.OverRows : "",
            Provenance = new() { Rows = rows },
        };

        string Name(string path, InterpolationSet set) =>
            (
                paths.Count > 1 ? path
                : paths.Values.First().Sets.Count > 1 ? ""
                : path
            )
                is { Length: > 0 } name
                ? paths.Values.Max(each => each.Sets.Count) > 1
                    ? $"{name}, {set.Name}"
                    : name
                : set.Name;

        string Sentences(Func<(string Name, InterpolationMetrics Path, InterpolationSet Set), string> say) =>
            string.Join("; ", lines.Take(6).Select(say)) + (lines.Length > 6 ? $"; and {lines.Length - 6} more." : ".");

        Chart Draw(bool isVector, string title, Func<InterpolationPoint, double> value, bool withIntervals)
        {
            double[][] intervals =
            [
                .. withIntervals && lines.Length <= 4
                    ? lines.SelectMany(line => line.Set.Points.Select(point => Intervals.OfShare(point.Metric, line.Set.Rows.Count)))
                    : [],
            ];
            double[] places = [.. lines.SelectMany(line => line.Set.Points.Select(point => point.X))];
            var chart = new Chart(
                isVector,
                Along(places),
                Scale.Around(title, lines.SelectMany(line => line.Set.Points.Select(value)).Concat(intervals.SelectMany(each => each)))
            );
            int next = 0;
            for (int i = 0; i < lines.Length; i++)
            {
                IReadOnlyList<InterpolationPoint> points = lines[i].Set.Points;
                double[] xs = [.. points.Select(point => point.X)];
                if (intervals.Length > 0)
                {
                    chart.Band(
                        xs,
                        [.. Enumerable.Range(next, points.Count).Select(at => intervals[at][0])],
                        [.. Enumerable.Range(next, points.Count).Select(at => intervals[at][1])],
                        i % Theme.Count
                    );
                    next += points.Count;
                }

                chart.Line(
                    xs,
                    [.. points.Select(value)],
                    i % Theme.Count,
                    i / Theme.Count % Theme.Patterns,
                    lines[i].Name,
                    points.Count <= 30
                );
            }

            return chart;
        }
    }

    /// <summary>The gap of accuracy and confidence over place and confidence, and smECE over the place.</summary>
    public static IEnumerable<Picture> Reliability(InterpolationSet set)
    {
        if (set.Calibration.Count == 0)
        {
            yield break;
        }

        int bins = set.Calibration[0].Bins.Count,
            points = set.Calibration.Count;
        double[,] gaps = new double[bins, points];
        for (int point = 0; point < points; point++)
        {
            for (int bin = 0; bin < bins; bin++)
            {
                CalibrationBin here = set.Calibration[point].Bins[bin];
                gaps[bins - 1 - bin, point] = here.Count == 0 ? double.NaN : here.Accuracy - here.MeanConfidence;
            }
        }

        string[] places = [.. set.Points.Select(point => Words.Number(point.X))],
            confidences =
            [.. set.Calibration[0].Bins.Reverse().Select(bin => FormattableString.Invariant($"{bin.Lower:0.00}–{bin.Upper:0.00}"))];
        double[] errors = [.. set.SmoothCalibrationErrors];
        int worst = Array.IndexOf(errors, errors.Max());
        yield return Matrices.Draw(
            $"Reliability along the path, {set.Name}",
            $"The share of right predictions minus the confidence, by confidence and place: below 0 the model is too sure. Cells without "
                + $"rows are empty. The smooth calibration error is highest, {Words.Number(errors[worst])}, at {places[worst]}.",
            "confidence",
            confidences,
            Place,
            places,
            gaps,
            Heat.AroundZero("right − confidence", gaps.Cast<double>()),
            (_, _) => ""
        ) with
        {
            Provenance = new() { Rows = Words.Count(set.Rows.Count, "row") },
        };
        yield return new Picture(
            $"Calibration error along the path, {set.Name}",
            $"smECE goes from {Words.Number(errors[0])} to {Words.Number(errors[^1])}, the binned ECE from "
                + $"{Words.Number(set.Points[0].ExpectedCalibrationError)} to {Words.Number(set.Points[^1].ExpectedCalibrationError)}.",
            Table.Of(
                ["X", "smECE", "ECE"],
                set.Points.Select((point, i) => (IReadOnlyList<object>)[point.X, errors[i], point.ExpectedCalibrationError])
            ),
            isVector =>
            {
                double[] xs = [.. set.Points.Select(point => point.X)],
                    binned = [.. set.Points.Select(point => point.ExpectedCalibrationError)];
                var chart = new Chart(isVector, Along(xs), Scale.Around("calibration error", errors.Concat(binned), low: 0));
                chart.Line(xs, errors, 1, 0, "smooth, smECE");
                chart.Line(xs, binned, 0, 1, "binned, ECE");
                return chart;
            }
        )
        {
            Provenance = new() { Rows = Words.Count(set.Rows.Count, "row") },
        };
    }

    /// <summary>The rows that a path gains and loses since its start, by their class in the data map.</summary>
    public static Picture Ribbon(InterpolationSet set, TrainingDynamics dynamics)
    {
        Dictionary<int, string> map = DataMapPictures.Classes(dynamics);
        if (set.Scores.Count == 0)
        {
            throw new ArgumentException($"The rows of the set '{set.Name}' have no scores, so none can be gained or lost.", nameof(set));
        }

        if (set.Rows.FirstOrDefault(row => !map.ContainsKey(row), -1) is >= 0 and var unknown)
        {
            throw new ArgumentException(
                FormattableString.Invariant(
                    $"Row {unknown} of the set '{set.Name}' has no training dynamics; they must be of the same rows."
                ),
                nameof(dynamics)
            );
        }

        string[] classes = DataMapPictures.ClassNames;
        double[] xs = [.. set.Points.Select(point => point.X)];
        double[][] gained = [.. classes.Select(name => Count(name, (start, now) => !start && now))],
            lost = [.. classes.Select(name => Count(name, (start, now) => start && !now))];
        double[] allGained = [.. xs.Select((_, i) => gained.Sum(each => each[i]))],
            allLost = [.. xs.Select((_, i) => lost.Sum(each => each[i]))];
        int worst = Array.IndexOf(allLost, allLost.Max());
        return new(
            $"Rows gained and lost along the path, {set.Name}",
            $"Of {Words.Count(set.Rows.Count, "row")} the end has gained {allGained[^1]:0} and lost {allLost[^1]:0} against the start. Most are "
                + $"lost at {Words.Number(xs[worst])}: {allLost[worst]:0}. Upwards is gained, downwards lost.",
            Table.Of(
                ["X", .. classes.Select(name => $"Gained, {name}"), .. classes.Select(name => $"Lost, {name}")],
                xs.Select(
                    (x, i) => (IReadOnlyList<object>)[x, .. gained.Select(each => (object)each[i]), .. lost.Select(each => (object)each[i])]
                )
            ),
            isVector =>
            {
                double most = Math.Max(allGained.Max(), 1),
                    least = -Math.Max(allLost.Max(), 1);
                var chart = new Chart(isVector, Along(xs), Scale.Of("rows gained (+), lost (−)", least * 1.08, most * 1.08));
                Stack(chart, gained, 1);
                Stack(chart, lost, -1);
                chart.Segment(xs[0], 0, xs[^1], 0, Theme.Control, 0, 1.4f);
                for (int i = 0; i < classes.Length; i++)
                {
                    chart.AddToLegend(classes[i], i, i % Theme.Patterns, hasLine: true, hasMark: false);
                }

                return chart;
            }
        );

        double[] Count(string name, Func<bool, bool, bool> counts) =>
            [
                .. set.Scores.Select(scores =>
                    (double)
                        Enumerable
                            .Range(0, set.Rows.Count)
                            .Count(i => map[set.Rows[i]] == name && counts(set.Scores[0][i] == 1, scores[i] == 1))
                ),
            ];

        void Stack(Chart chart, double[][] counts, int sign)
        {
            double[] below = new double[xs.Length];
            for (int i = 0; i < counts.Length; i++)
            {
                double[] above = [.. below.Select((value, at) => value + (sign * counts[i][at]))];
                chart.Band(xs, below, above, i, 0.75);
                chart.Line(xs, above, i, i % Theme.Patterns, null, marks: false);
                below = above;
            }
        }
    }

    /// <summary>Rows forgotten and relearnt from point to point.</summary>
    public static Picture Of(ForgettingMetrics metrics)
    {
        if (metrics.Entries.Count == 0)
        {
            throw new ArgumentException("The forgetting metrics have no entry: there is nothing to show.", nameof(metrics));
        }

        double[] xs = [.. metrics.Entries.Select((_, i) => (double)i)],
            forgotten = [.. metrics.Entries.Select(entry => (double)entry.Forgotten)],
            relearnt = [.. metrics.Entries.Select(entry => (double)entry.Relearnt)];
        return new(
            "Rows forgotten from point to point",
            $"In all, rows are forgotten {forgotten.Sum():0} times and relearnt {relearnt.Sum():0} times.",
            Table.Of(
                ["From", "To", "Forgotten", "Relearnt", "Correctness", "Confidence", "Variability", "Turns"],
                metrics.Entries.Select(entry =>
                    (IReadOnlyList<object>)
                        [
                            entry.From,
                            entry.To,
                            entry.Forgotten,
                            entry.Relearnt,
                            entry.Correctness,
                            entry.Confidence,
                            entry.Variability,
                            entry.Turns,
                        ]
                )
            ),
            isVector =>
            {
                var chart = new Chart(
                    isVector,
                    Scale.Names("to the point", [.. metrics.Entries.Select(entry => entry.To)]),
                    Scale.Around("rows", forgotten.Concat(relearnt), low: 0)
                );
                chart.Line(xs, forgotten, 1, 0, "forgotten");
                chart.Line(xs, relearnt, 2, 1, "relearnt");
                return chart;
            }
        );
    }

    /// <summary>The axis of places, with room for the marks at both ends.</summary>
    private static Scale Along(double[] places)
    {
        double low = places.Min(),
            high = places.Max(),
            room = (high - low) * 0.02;
        return Scale.Of(Place, low - room, high + room);
    }
}
