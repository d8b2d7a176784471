using SkillLoc.Evaluators;
using SkillLoc.Reports.Drawing;
using SkillLoc.Trainers;

namespace SkillLoc.Reports.Pictures;

/// <summary>What grafts keep of a skill.</summary>
internal static class GraftPictures
{
    /// <summary>Metric and retention over the share of parameters, over runs that differ in their seed.</summary>
    public static IEnumerable<Picture> Of(IReadOnlyDictionary<string, GraftSweepResult> runs)
    {
        (string Run, GraftSweepResult Sweep)[] all = [.. runs.Select(run => (run.Key, run.Value))];
        if (all.Length == 0 || Array.TrueForAll(all, run => run.Sweep.Points.Count == 0))
        {
            throw new ArgumentException("The sweep has no graft: there is nothing to show.", nameof(runs));
        }

        bool isValidated = Array.TrueForAll(all, run => run.Sweep.Points.All(point => point.Quality.Validation is not null));
        string rows = isValidated ? "validation rows" : "training rows";
        double preTrained = all.Average(run => Quality(run.Sweep.PreTrained)),
            fineTuned = all.Average(run => Quality(run.Sweep.FineTuned));
        (double Sparsity, double Share, double[] Values, double[] Retained)[] points =
        [
            .. all.SelectMany(run => run.Sweep.Points.Select(point => (run.Sweep, Point: point)))
                .GroupBy(each => each.Point.Sparsity)
                .OrderBy(group => group.Key)
                .Select(group =>
                    (
                        group.Key,
                        group.Average(each => each.Point.Graft.Share),
                        (double[])[.. group.Select(each => Quality(each.Point.Quality))],
                        (double[])[.. group.Select(each => Gain(each.Sweep, each.Point))]
                    )
                ),
        ];
        (double Sparsity, double Share, double[] Values, double[] Retained)[] shown = [.. points.Where(point => point.Share > 0)];
        var table = Table.Of(
            ["Run", "Sparsity", "Parameters", "Share", "Training", "Validation", "RelativeGain"],
            all.SelectMany(run =>
                run.Sweep.Points.Select(point =>
                    (IReadOnlyList<object>)
                        [
                            run.Run,
                            point.Sparsity,
                            point.Graft.Count,
                            point.Graft.Share,
                            point.Quality.Training,
                            point.Quality.Validation ?? double.NaN,
                            Gain(run.Sweep, point),
                        ]
                )
            )
        );
        string spread = all.Length > 1 ? $"one sample standard deviation over {all.Length} runs to either side of their mean" : "";
        string best =
            shown.Length == 0 ? "No graft has a parameter."
            : shown.FirstOrDefault(point => point.Values.Average() >= preTrained + (0.95 * (fineTuned - preTrained)))
                is { Share: > 0 } enough
                ? $"The smallest graft that keeps 95 % of the gain has {Words.Percent(enough.Share)} of the parameters."
            : "No graft keeps 95 % of the gain.";
        yield return new Picture(
            "Metric against sparsity",
            $"On {rows} the pre-trained model has {Words.Number(preTrained)} and the fine-tuned one {Words.Number(fineTuned)}. {best}",
            table,
            isVector =>
                Over(
                    isVector,
                    shown,
                    point => point.Values,
                    $"metric on {rows}",
                    [(fineTuned, "fine-tuned"), (preTrained, "pre-trained")],
                    all.Length
                )
        )
        {
            Intervals = spread,
        };
        yield return new Picture(
            "Share of the gain that grafts keep",
            $"0 is the pre-trained model, 1 the fine-tuned one. {best}",
            table,
            isVector => Over(isVector, shown, point => point.Retained, "relative gain", [(1, "fine-tuned"), (0, "pre-trained")], all.Length)
        )
        {
            Intervals = spread,
        };

        double Quality(GraftQuality quality) => isValidated ? quality.Validation ?? double.NaN : quality.Training;

        double Gain(GraftSweepResult sweep, GraftSweepPoint point) =>
            (Quality(point.Quality) - Quality(sweep.PreTrained)) / (Quality(sweep.FineTuned) - Quality(sweep.PreTrained));
    }

    /// <summary>Grafts with their size, accuracy, agreement and calibration.</summary>
    public static IEnumerable<Picture> Of(GraftReport report)
    {
        if (report.Rows.Count == 0)
        {
            throw new ArgumentException("The graft report has no row: there is nothing to show.", nameof(report));
        }

        string[] names = [.. report.Rows.Select(row => row.Graft)];
        GraftReportRow first = report.Rows[0];
        yield return new Picture(
            "Accuracy with each graft",
            $"On {Words.Count(first.Count, "row")} the pre-trained model has {Words.Percent(first.PreTrainedAccuracy)}, the fine-tuned one "
                + $"{Words.Percent(first.FineTunedAccuracy)}; the best graft, {Words.Short(report.Rows.MaxBy(row => row.GraftedAccuracy)!.Graft, 40)}, "
                + $"{Words.Percent(report.Rows.Max(row => row.GraftedAccuracy))}.",
            Table.Of(
                ["Graft", "Scalars", "Share", "Bytes", "Accuracy", "Retention", "Agreement", "ECE", "EceFineTuned"],
                report.Rows.Select(row =>
                    (IReadOnlyList<object>)
                        [
                            row.Graft,
                            row.Scalars,
                            row.Share,
                            row.FileBytes,
                            row.GraftedAccuracy,
                            row.Retention,
                            row.Agreement,
                            row.GraftedCalibrationError,
                            row.FineTunedCalibrationError,
                        ]
                )
            ),
            isVector =>
            {
                double[][] intervals = [.. report.Rows.Select(row => Intervals.OfShare(row.GraftedAccuracy, row.Count))];
                var chart = new Chart(
                    isVector,
                    Scale.Names("", names),
                    Scale.Around("accuracy", [first.PreTrainedAccuracy, first.FineTunedAccuracy, .. intervals.SelectMany(each => each)])
                );
                Reference(
                    chart,
                    -0.5,
                    names.Length - 0.5,
                    [(first.FineTunedAccuracy, "fine-tuned"), (first.PreTrainedAccuracy, "pre-trained")]
                );
                for (int i = 0; i < names.Length; i++)
                {
                    chart.Interval(i, intervals[i][0], intervals[i][1], 0);
                }

                chart.Points(
                    [.. names.Select((_, i) => (double)i)],
                    [.. report.Rows.Select(row => row.GraftedAccuracy)],
                    0,
                    "with the graft",
                    8
                );
                return chart;
            }
        )
        {
            Provenance = new() { Rows = Words.Count(first.Count, "row") },
            Intervals = Intervals.OverRows,
        };
    }

    public static Picture Of(GraftOverlapMetrics overlap)
    {
        string[] names = [.. overlap.Grafts];
        double[,] values = Matrix(names, names, overlap.Entries.Select(entry => (entry.First, entry.Second, entry.Overlap)));
        return Matrices.Draw(
            "Overlap of grafts",
            "The share of the column's graft that is in the row's. "
                + Matrices.Highest(names, names, values, Words.Percent, besideDiagonal: true),
            "graft",
            names,
            "graft",
            names,
            values,
            new Heat("share in common", 0, 1)
        );
    }

    public static Picture Of(RelativeGainMetrics gains)
    {
        if (gains.Entries.Count == 0)
        {
            throw new ArgumentException("There is no relative gain to show.", nameof(gains));
        }

        string[] grafts = [.. gains.Entries.Select(entry => entry.Graft).Distinct(StringComparer.Ordinal)],
            tasks = [.. gains.Entries.Select(entry => entry.Task).Distinct(StringComparer.Ordinal)];
        double[,] values = Matrix(grafts, tasks, gains.Entries.Select(entry => (entry.Graft, entry.Task, entry.RelativeGain)));
        return Matrices.Draw(
            "Relative gain of grafts on tasks",
            "0 is the pre-trained model, 1 the fine-tuned one; below 0 the graft harms. "
                + Matrices.Highest(grafts, tasks, values, Words.Number, besideDiagonal: false),
            "graft",
            grafts,
            "task",
            tasks,
            values,
            Heat.AroundZero("relative gain", gains.Entries.Select(entry => entry.RelativeGain))
        );
    }

    internal static double[,] Matrix(string[] rows, string[] columns, IEnumerable<(string Row, string Column, double Value)> entries)
    {
        double[,] values = new double[rows.Length, columns.Length];
        for (int i = 0; i < values.Length; i++)
        {
            values[i / columns.Length, i % columns.Length] = double.NaN;
        }

        foreach ((string row, string column, double value) in entries)
        {
            values[Array.IndexOf(rows, row), Array.IndexOf(columns, column)] = value;
        }

        return values;
    }

    internal static void Reference(Chart chart, double low, double high, IReadOnlyList<(double Value, string Name)> lines)
    {
        for (int i = 0; i < lines.Count; i++)
        {
            if (double.IsFinite(lines[i].Value))
            {
                chart.Segment(low, lines[i].Value, high, lines[i].Value, Theme.Control, i == 0 ? 0 : 1, 1.4f);
                chart.AddToLegend(lines[i].Name, Theme.Control, i == 0 ? 0 : 1, hasLine: true, hasMark: false);
            }
        }
    }

    private static Chart Over(
        bool isVector,
        (double Sparsity, double Share, double[] Values, double[] Retained)[] points,
        Func<(double Sparsity, double Share, double[] Values, double[] Retained), double[]> value,
        string title,
        IReadOnlyList<(double Value, string Name)> lines,
        int runs
    )
    {
        double[][] moments = [.. points.Select(point => Intervals.OfRuns(value(point)))];
        var x = Scale.Logarithmic(
            "share of the parameters",
            points.Select(point => point.Share).DefaultIfEmpty(0.01).Min(),
            points.Select(point => point.Share).DefaultIfEmpty(1).Max()
        );
        var chart = new Chart(isVector, x, Scale.Around(title, points.SelectMany(value).Concat(lines.Select(line => line.Value))));
        Reference(chart, x.Low, x.High, lines);
        double[] xs = [.. points.Select(point => Math.Log10(point.Share))];
        if (runs > 1)
        {
            chart.Band(xs, [.. moments.Select(each => each[0] - each[1])], [.. moments.Select(each => each[0] + each[1])], 0);
        }

        chart.Line(xs, [.. moments.Select(each => each[0])], 0, 0, runs > 1 ? $"with a graft, mean of {runs} runs" : "with a graft");
        return chart;
    }
}
