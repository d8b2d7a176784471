using System.Globalization;
using SkillLoc.Evaluators;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Merging;
using SkillLoc.Reports.Drawing;

namespace SkillLoc.Reports.Pictures;

/// <summary>What merges keep of the models that they were made of, and where these are in each other's way.</summary>
internal static class MergePictures
{
    private const string Single = "single models",
        OverRuns = "one sample standard deviation over the runs of a merge to either side of their mean";

    /// <summary>Accuracy, its share of the single models' and calibration by task, and how far the weights foretold the loss.</summary>
    /// <param name="merges">The runs of each merge by its name, such as one a seed; an empty name for the only merge.</param>
    public static IEnumerable<Picture> Of(IReadOnlyDictionary<string, IReadOnlyList<MergeMetrics>> merges)
    {
        if (merges.Count == 0 || merges.Values.Any(runs => !runs.Any(run => run.Tasks.Count > 0)))
        {
            throw new ArgumentException("A merge has no task: there is nothing to show.", nameof(merges));
        }

        Measured[] all =
        [
            .. merges.SelectMany(merge =>
                merge.Value.SelectMany((metrics, run) => metrics.Tasks.Select(task => new Measured(merge.Key, run, task)))
            ),
        ];
        string[] names = [.. merges.Keys],
            tasks = [.. all.Select(each => each.Entry.Task).Distinct(StringComparer.Ordinal)];
        var table = Table.Of(
            [
                "Merge",
                "Run",
                "Task",
                "Rows",
                "SingleAccuracy",
                "Accuracy",
                "AccuracyLow95",
                "AccuracyHigh95",
                "Share",
                "SingleECE",
                "ECE",
                "Agreement",
                "Interference",
                "ForecastLoss",
            ],
            all.Select(each =>
            {
                double[] interval = Intervals.OfShare(each.Entry.Accuracy, each.Entry.Count);
                return (IReadOnlyList<object>)
                    [
                        each.Merge,
                        each.Run + 1,
                        each.Entry.Task,
                        each.Entry.Count,
                        each.Entry.SingleAccuracy,
                        each.Entry.Accuracy,
                        interval[0],
                        interval[1],
                        each.Entry.Share,
                        each.Entry.SingleCalibrationError,
                        each.Entry.ExpectedCalibrationError,
                        each.Entry.Agreement,
                        each.Entry.Interference,
                        each.Entry.ForecastLoss,
                    ];
            })
        );
        string? rows = all.All(each => each.Entry.Count > 0)
            ? string.Join(
                ", ",
                all.DistinctBy(each => each.Entry.Task).Take(8).Select(each => $"{Words.Short(each.Entry.Task, 24)} {each.Entry.Count}")
            )
            : null;
        IEnumerable<Picture> pictures =
        [
            ByTask(
                "Accuracy of merged models by task",
                Kept(all),
                "accuracy",
                each => each.Accuracy,
                each => each.SingleAccuracy,
                areShares: true
            ),
            ByTask("Share of the single models' accuracy", Worst(all), "share of the single model's", each => each.Share, null),
            ByTask(
                "Calibration of merged models by task",
                $"The expected calibration error of the single models is {Words.Percent(Mean(all, each => each.SingleCalibrationError))} on "
                    + $"average, that of merged ones {Words.Percent(Mean(all, each => each.ExpectedCalibrationError))}.",
                "expected calibration error",
                each => each.ExpectedCalibrationError,
                each => each.SingleCalibrationError
            ),
        ];
        foreach (Picture picture in pictures)
        {
            yield return picture with
            {
                Table = table,
                Provenance = new() { Rows = rows },
            };
        }

        if (all.Any(each => double.IsFinite(each.Entry.ForecastLoss)))
        {
            yield return Foretold(all, names) with
            {
                Provenance = new() { Rows = rows },
            };
        }

        // What is in the way does not depend on the method.
        MergeMetrics? told = merges.Values.SelectMany(runs => runs).FirstOrDefault(run => run.Forecast is not null);
        foreach (Picture picture in told is null ? [] : Of(told.Forecast!, [.. told.Tasks.Select(task => task.Task)]))
        {
            yield return picture;
        }

        Picture ByTask(
            string title,
            string text,
            string measure,
            Func<MergeMetricsEntry, double> of,
            Func<MergeMetricsEntry, double>? ofSingle,
            bool areShares = false
        ) =>
            names.Length == 1
                ? Dots(title, text, measure, all, tasks, of, ofSingle, areShares)
                : Board(title, text, measure, all, names, tasks, of, ofSingle);
    }

    /// <summary>Where the changes of models clash, and which models lose there.</summary>
    /// <param name="forecast">What the weights say.</param>
    /// <param name="names">The models' names; null for their own.</param>
    public static IEnumerable<Picture> Of(MergeForecast forecast, IReadOnlyList<string>? names = null)
    {
        MergeForecastCell[] cells = [.. forecast.Cells.Where(cell => cell.Scalars > 0)];
        if (forecast.Models.Count == 0 || cells.Length == 0)
        {
            throw new ArgumentException("The forecast has no model or no cell: there is nothing to show.", nameof(forecast));
        }

        if (
            Array.Find(cells, cell => cell.Movement.Count != forecast.Models.Count || cell.Against.Count != forecast.Models.Count) is
            { } other
        )
        {
            throw new ArgumentException(
                FormattableString.Invariant(
                    $"{other.Module} of {other.Place} is of {other.Movement.Count} models, and the forecast of {forecast.Models.Count}."
                ),
                nameof(forecast)
            );
        }

        string[] models = names?.Count == forecast.Models.Count ? [.. names] : NamesOf(forecast),
            places = [.. cells.Select(cell => cell.Place).Distinct(StringComparer.Ordinal)],
            modules = [.. SkillMapPictures.Modules.Where(module => Array.Exists(cells, cell => cell.Module == module))];
        double total = cells.Sum(cell => cell.Movement.Sum());
        double[,] clashes = GraftPictures.Matrix(places, modules, cells.Select(cell => (cell.Place, cell.Module, Weight(cell))));
        MergeForecastCell worst = cells.MaxBy(cell => double.IsNaN(Weight(cell)) ? -1 : Weight(cell))!;
        yield return Matrices.Draw(
            "Interference board: where changes clash",
            $"{Words.Percent(cells.Sum(cell => cell.Clash * cell.Scalars) / cells.Sum(cell => cell.Scalars))} of the scalars are raised by one "
                + $"model and lowered by another, and {Words.Percent(forecast.Interference)} of all movement goes against the sum of all. A cell has "
                + "the share of its scalars that clash times its share of all movement, in per cent. It is worst in "
                + $"{worst.Module} of {worst.Place}: {Words.Percent(worst.Clash)} clash, with {Words.Percent(Share(worst))} of the movement; "
                + $"{Loser(worst)} loses most there.",
            "",
            places,
            "",
            modules,
            clashes,
            Heat.Over("clash × movement", clashes.Cast<double>(), low: 0),
            (row, column) =>
                double.IsFinite(clashes[row, column]) ? (100 * clashes[row, column]).ToString("0.##", CultureInfo.InvariantCulture) : ""
        ) with
        {
            Provenance = Provenance.WeightsAlone,
            Table = Table.Of(
                ["Place", "Module", "Scalars", "Clash", "Movement", "ClashTimesMovement", "Against", "LosesMost", .. models],
                cells.Select(cell =>
                    (IReadOnlyList<object>)
                        [
                            cell.Place,
                            cell.Module,
                            cell.Scalars,
                            cell.Clash,
                            Share(cell),
                            Weight(cell),
                            cell.Interference,
                            Loser(cell),
                            .. models.Select((_, model) => (object)Lost([cell], model)),
                        ]
                )
            ),
        };

        double[,] lost = GraftPictures.Matrix(
            places,
            models,
            cells
                .GroupBy(cell => cell.Place, StringComparer.Ordinal)
                .SelectMany(place => models.Select((model, i) => (place.Key, model, Lost([.. place], i))))
        );
        int most = Enumerable.Range(0, models.Length).MaxBy(model => double.IsNaN(Lost(cells, model)) ? -1 : Lost(cells, model));
        yield return Matrices.Draw(
            "Which models lose where",
            "The share of a model's movement that goes against the sign of the sum of all, which a merge undoes. "
                + $"{Words.Short(models[most], 40)} loses most in all, {Words.Percent(Lost(cells, most))} of its movement. "
                + Matrices.Highest(places, models, lost, Words.Percent, besideDiagonal: false),
            "",
            places,
            "model",
            models,
            lost,
            Heat.Over("share against the sum", lost.Cast<double>(), low: 0)
        ) with
        {
            Provenance = Provenance.WeightsAlone,
        };

        double Share(MergeForecastCell cell) => cell.Movement.Sum() / total;

        double Weight(MergeForecastCell cell) => cell.Clash * Share(cell);

        static double Lost(MergeForecastCell[] part, int model) =>
            part.Sum(cell => cell.Against[model]) / part.Sum(cell => cell.Movement[model]);

        string Loser(MergeForecastCell cell) =>
            cell.Against.Max() > 0 ? Words.Short(models[cell.Against.Index().MaxBy(each => each.Item).Index], 40) : "none";
    }

    /// <summary>The loss that the weights foretell against the measured one.</summary>
    private static Picture Foretold(Measured[] all, string[] names)
    {
        Measured[] both = [.. all.Where(each => double.IsFinite(each.Entry.ForecastLoss) && double.IsFinite(each.Entry.Share))];
        double[] foretold = [.. both.Select(each => each.Entry.ForecastLoss)],
            measured = [.. both.Select(each => 1 - each.Entry.Share)];
        return new(
            "Loss that the weights foretell against the measured one",
            $"{Words.Count(both.Length, "pair")} of a merge and a task. "
                + (
                    both.Length < 3
                        ? "There are too few of them for a correlation."
                        : $"Their rank correlation is {Words.Number(Math.Round(Correlation.Spearman(foretold, measured), 3))} (Spearman; Pearson "
                            + $"{Words.Number(Math.Round(Correlation.Pearson(foretold, measured), 3))}): 1 orders merges and tasks as the measured loss does."
                ),
            Table.Of(
                ["Merge", "Run", "Task", "ForecastLoss", "MeasuredLoss"],
                both.Select(each =>
                    (IReadOnlyList<object>)[each.Merge, each.Run + 1, each.Entry.Task, each.Entry.ForecastLoss, 1 - each.Entry.Share]
                )
            ),
            isVector =>
            {
                var chart = new Chart(
                    isVector,
                    Scale.Around("loss that the weights foretell", foretold.Append(0)),
                    Scale.Around("measured loss, 1 − share", measured.Append(0))
                );
                foreach ((int i, string name) in names.Index())
                {
                    Measured[] mine = [.. both.Where(each => each.Merge == name)];
                    if (mine.Length > 0)
                    {
                        chart.Points(
                            [.. mine.Select(each => each.Entry.ForecastLoss)],
                            [.. mine.Select(each => 1 - each.Entry.Share)],
                            i % Theme.Count,
                            name.Length > 0 ? name : null,
                            7
                        );
                    }
                }

                return chart;
            }
        );
    }

    /// <summary>One merge: a mark for each task, beside that of the single model.</summary>
    private static Picture Dots(
        string title,
        string text,
        string measure,
        Measured[] all,
        string[] tasks,
        Func<MergeMetricsEntry, double> of,
        Func<MergeMetricsEntry, double>? ofSingle,
        bool areShares
    )
    {
        bool isOneRun = Array.TrueForAll(all, each => each.Run == 0),
            hasIntervals = isOneRun ? areShares && Array.TrueForAll(all, each => each.Entry.Count > 0) : tasks.Length <= 60;
        return new(
            title,
            text,
            new([], []),
            isVector =>
            {
                (double Mean, double Low, double High)[] merged = [.. tasks.Select(task => Spread(task, of))],
                    single = ofSingle is null ? [] : [.. tasks.Select(task => Spread(task, ofSingle))];
                double shift = ofSingle is null ? 0 : 0.12;
                var chart = new Chart(
                    isVector,
                    Scale.Names("", tasks),
                    Scale.Around(
                        measure,
                        merged
                            .Concat(single)
                            .SelectMany(each => (double[])[each.Mean, each.Low, each.High])
                            .Append(ofSingle is null ? 1 : double.NaN)
                    )
                );
                if (ofSingle is null)
                {
                    GraftPictures.Reference(chart, -0.5, tasks.Length - 0.5, [(1, Single)]);
                }
                else
                {
                    Draw(chart, single, -shift, 0, Single);
                }

                Draw(chart, merged, shift, 1, all[0].Merge.Length > 0 ? all[0].Merge : "merged");
                return chart;
            }
        )
        {
            Intervals =
                !hasIntervals ? ""
                : isOneRun ? Intervals.OverRows
                : OverRuns,
        };

        (double Mean, double Low, double High) Spread(string task, Func<MergeMetricsEntry, double> value)
        {
            MergeMetricsEntry[] runs = [.. all.Where(each => each.Entry.Task == task).Select(each => each.Entry)];
            double[] interval =
                !hasIntervals ? [double.NaN, double.NaN]
                : isOneRun ? Intervals.OfShare(value(runs[0]), runs[0].Count)
                : Intervals.OfRuns([.. runs.Select(value)]) is [var mean, var deviation] ? [mean - deviation, mean + deviation]
                : [];
            return (runs.Average(value), interval[0], interval[1]);
        }

        static void Draw(Chart chart, (double Mean, double Low, double High)[] values, double shift, int series, string name)
        {
            foreach ((int i, (_, double low, double high)) in values.Index())
            {
                chart.Interval(i + shift, low, high, series);
            }

            chart.Points([.. values.Select((_, i) => i + shift)], [.. values.Select(value => value.Mean)], series, name, 8);
        }
    }

    /// <summary>Several merges: their means over runs as a heat map, the single models on top.</summary>
    private static Picture Board(
        string title,
        string text,
        string measure,
        Measured[] all,
        string[] names,
        string[] tasks,
        Func<MergeMetricsEntry, double> of,
        Func<MergeMetricsEntry, double>? ofSingle
    )
    {
        bool hasSingle = ofSingle is not null && !names.Contains(Single, StringComparer.Ordinal);
        string[] rows = [.. hasSingle ? [Single] : Array.Empty<string>(), .. names];
        double[,] values = GraftPictures.Matrix(
            rows,
            tasks,
            [.. hasSingle ? Means(all.Select(each => each with { Merge = Single }), ofSingle!) : [], .. Means(all, of)]
        );
        return Matrices.Draw(
            title,
            text + (Array.Exists(all, each => each.Run > 0) ? " Cells are means over the runs of a merge." : ""),
            "merge",
            rows,
            "task",
            tasks,
            values,
            Heat.Over(measure, values.Cast<double>())
        );

        static IEnumerable<(string, string, double)> Means(IEnumerable<Measured> part, Func<MergeMetricsEntry, double> value) =>
            part.GroupBy(each => (each.Merge, each.Entry.Task))
                .Select(cell => (cell.Key.Merge, cell.Key.Task, cell.Average(each => value(each.Entry))));
    }

    private static string Kept(Measured[] all)
    {
        (string Name, double Share)[] merges =
        [
            .. all.GroupBy(each => each.Merge, StringComparer.Ordinal).Select(merge => (merge.Key, Mean([.. merge], each => each.Share))),
        ];
        (string best, double kept) = merges.MaxBy(merge => double.IsNaN(merge.Share) ? double.NegativeInfinity : merge.Share);
        return merges.Length == 1
            ? $"The merged model has {Words.Percent(Mean(all, each => each.Accuracy))} on average, {Words.Percent(kept)} of the single models' "
                + $"{Words.Percent(Mean(all, each => each.SingleAccuracy))}."
            : $"Of {merges.Length} models {Words.Short(best, 40)} has most, {Words.Percent(kept)} of the single models' accuracy, the mean over tasks.";
    }

    private static string Worst(Measured[] all)
    {
        Measured[] known = [.. all.Where(each => double.IsFinite(each.Entry.Share))];
        return known.Length == 0 ? "No single model is right on a row, so that there is nothing to have a share of."
            : known.MinBy(each => each.Entry.Share) is var worst
                ? $"1 is as right as the task's own model. {(worst!.Merge.Length > 0 ? Words.Short(worst.Merge, 40) : "The merged model")} "
                    + $"keeps least on {Words.Short(worst.Entry.Task, 40)}: {Words.Percent(worst.Entry.Share)}."
            : "";
    }

    private static double Mean(Measured[] part, Func<MergeMetricsEntry, double> value) =>
        part.Select(each => value(each.Entry)).Where(double.IsFinite).DefaultIfEmpty(double.NaN).Average();

    /// <summary>The last parts of paths, where these tell models apart.</summary>
    private static string[] NamesOf(MergeForecast forecast)
    {
        string[] whole =
            [.. forecast.Models.Select((model, i) => model.Model.Length > 0 ? model.Model : FormattableString.Invariant($"{i + 1}"))],
            last = [.. whole.Select(name => name.TrimEnd('/', '\\').Split('/', '\\')[^1])];
        return last.Distinct(StringComparer.Ordinal).Count() == last.Length ? last : whole;
    }

    private sealed record Measured(string Merge, int Run, MergeMetricsEntry Entry);
}
