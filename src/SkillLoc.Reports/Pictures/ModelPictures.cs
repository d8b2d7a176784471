using System.Globalization;
using Microsoft.ML.Data;
using SkillLoc.Evaluators;
using SkillLoc.Reports.Drawing;

namespace SkillLoc.Reports.Pictures;

/// <summary>The quality of models as ML.NET and <see cref="OutOfDistributionMetrics"/> measure it.</summary>
internal static class ModelPictures
{
    private const int MostLettered = 12,
        MostDrawn = 400,
        Confusions = 200;

    public static IEnumerable<Picture> Of(MulticlassClassificationMetrics metrics, IReadOnlyList<string>? labels)
    {
        yield return Confusion(metrics.ConfusionMatrix, labels);
        yield return Numbers([
            ("micro accuracy", metrics.MicroAccuracy),
            ("macro accuracy", metrics.MacroAccuracy),
            ("log loss", metrics.LogLoss),
            ("log loss reduction", metrics.LogLossReduction),
            .. metrics.TopKPredictionCount > 1
                ? [($"top {metrics.TopKPredictionCount} accuracy", metrics.TopKAccuracy)]
                : Array.Empty<(string, double)>(),
        ]);
    }

    public static IEnumerable<Picture> Of(BinaryClassificationMetrics metrics, IReadOnlyList<string>? labels)
    {
        yield return Confusion(metrics.ConfusionMatrix, labels ?? ["true", "false"]);
        yield return Numbers([
            ("accuracy", metrics.Accuracy),
            ("area under the ROC curve", metrics.AreaUnderRocCurve),
            ("area under the precision-recall curve", metrics.AreaUnderPrecisionRecallCurve),
            ("F1", metrics.F1Score),
            ("positive precision", metrics.PositivePrecision),
            ("positive recall", metrics.PositiveRecall),
            ("negative precision", metrics.NegativePrecision),
            ("negative recall", metrics.NegativeRecall),
            .. metrics is CalibratedBinaryClassificationMetrics calibrated
                ? [("log loss", calibrated.LogLoss), ("log loss reduction", calibrated.LogLossReduction)]
                : Array.Empty<(string, double)>(),
        ]);
    }

    public static Picture Of(RegressionMetrics metrics) =>
        Numbers([
            ("mean absolute error", metrics.MeanAbsoluteError),
            ("mean squared error", metrics.MeanSquaredError),
            ("root mean squared error", metrics.RootMeanSquaredError),
            ("R squared", metrics.RSquared),
            ("loss function", metrics.LossFunction),
        ]);

    public static Picture Of(OutOfDistributionMetrics metrics)
    {
        if (metrics.Entries.Count == 0)
        {
            throw new ArgumentException("The out-of-distribution metrics have no entry: there is nothing to show.", nameof(metrics));
        }

        string[] models = [.. metrics.Entries.Select(entry => entry.Model).Distinct(StringComparer.Ordinal)],
            sets = [.. metrics.Entries.Select(entry => entry.Set).Distinct(StringComparer.Ordinal)];
        OutOfDistributionEntry worst = metrics.Entries.MaxBy(entry => entry.AccuracyDrop)!;
        return new(
            "Accuracy on other distributions",
            worst.AccuracyDrop > 0
                ? $"The largest drop from {metrics.InDistribution} is {Words.Short(worst.Model, 40)}'s on {Words.Short(worst.Set, 40)}: "
                    + $"{Words.Number(100 * worst.AccuracyDrop)} points, to {Words.Percent(worst.Accuracy)}."
                : $"No model is worse elsewhere than on {metrics.InDistribution}.",
            Table.Of(
                [
                    "Model",
                    "Set",
                    "Rows",
                    "Accuracy",
                    "AccuracyLow95",
                    "AccuracyHigh95",
                    "MacroF1",
                    "ECE",
                    "LogLoss",
                    "MeanConfidence",
                    "AccuracyDrop",
                ],
                metrics.Entries.Select(entry =>
                {
                    double[] interval = Intervals.OfShare(entry.Accuracy, entry.Count);
                    return (IReadOnlyList<object>)
                        [
                            entry.Model,
                            entry.Set,
                            entry.Count,
                            entry.Accuracy,
                            interval[0],
                            interval[1],
                            entry.MacroF1,
                            entry.ExpectedCalibrationError,
                            entry.LogLoss,
                            entry.MeanConfidence,
                            entry.AccuracyDrop,
                        ];
                })
            ),
            isVector =>
            {
                var chart = new Chart(
                    isVector,
                    Scale.Names("", sets),
                    Scale.Around("accuracy", metrics.Entries.SelectMany(entry => Intervals.OfShare(entry.Accuracy, entry.Count)))
                );
                for (int model = 0; model < models.Length; model++)
                {
                    OutOfDistributionEntry[] mine = [.. metrics.Entries.Where(entry => entry.Model == models[model])];
                    double shift = models.Length == 1 ? 0 : (model / (models.Length - 1.0) * 0.5) - 0.25;
                    double[] xs = [.. mine.Select(entry => Array.IndexOf(sets, entry.Set) + shift)];
                    int series = model % Theme.Count;
                    for (int i = 0; i < mine.Length && models.Length * sets.Length <= 200; i++)
                    {
                        double[] interval = Intervals.OfShare(mine[i].Accuracy, mine[i].Count);
                        chart.Interval(xs[i], interval[0], interval[1], series);
                    }

                    chart.Points(xs, [.. mine.Select(entry => entry.Accuracy)], series, models[model], 8);
                }

                return chart;
            }
        )
        {
            Intervals = Intervals.OverRows,
            Provenance = new()
            {
                Rows = string.Join(
                    ", ",
                    metrics.Entries.DistinctBy(entry => entry.Set).Take(8).Select(entry => $"{Words.Short(entry.Set, 24)} {entry.Count}")
                ),
            },
        };
    }

    private static Picture Confusion(ConfusionMatrix matrix, IReadOnlyList<string>? labels)
    {
        int count = matrix.NumberOfClasses;
        if (count == 0)
        {
            throw new ArgumentException("The confusion matrix has no class: there is nothing to show.", nameof(matrix));
        }

        if (labels is not null && labels.Count != count)
        {
            throw new ArgumentException(
                FormattableString.Invariant($"There are {labels.Count} labels for {count} classes."),
                nameof(labels)
            );
        }

        string[] names = [.. labels ?? Enumerable.Range(0, count).Select(i => FormattableString.Invariant($"class {i}"))];
        double total = matrix.Counts.Sum(row => row.Sum());
        double right = Enumerable.Range(0, count).Sum(i => matrix.Counts[i][i]);
        (int True, int Predicted, double Count)[] wrong =
        [
            .. (
                from truth in Enumerable.Range(0, count)
                from predicted in Enumerable.Range(0, count)
                where truth != predicted && matrix.Counts[truth][predicted] > 0
                orderby matrix.Counts[truth][predicted] descending
                select (truth, predicted, matrix.Counts[truth][predicted])
            ).Take(Confusions),
        ];
        string most =
            wrong.Length == 0
                ? "No row is wrong."
                : $"Most often {Words.Short(names[wrong[0].True], 40)} is taken for {Words.Short(names[wrong[0].Predicted], 40)}: "
                    + $"{Words.Count((long)wrong[0].Count, "time")}.";

        // Of very many classes neighbours share a cell.
        int cells = Math.Min(count, MostDrawn);
        double[,] shares = new double[cells, cells];
        double[] totals = new double[cells];
        for (int truth = 0; truth < count; truth++)
        {
            for (int predicted = 0; predicted < count; predicted++)
            {
                shares[truth * cells / count, predicted * cells / count] += matrix.Counts[truth][predicted];
                totals[truth * cells / count] += matrix.Counts[truth][predicted];
            }
        }

        for (int i = 0; i < shares.Length; i++)
        {
            shares[i / cells, i % cells] /= totals[i / cells];
        }

        string[] drawn = [.. Enumerable.Range(0, cells).Select(i => names[(int)((long)i * count / cells)])];
        Picture picture = Matrices.Draw(
            "Confusion matrix",
            $"{Words.Percent(right / total)} of {Words.Count((long)total, "row")} are right. {most} Rows are true labels, and colours the share of each.",
            "true",
            drawn,
            "predicted",
            drawn,
            shares,
            new Heat("share of the true label's rows", 0, 1),
            (row, column) => count <= MostLettered ? matrix.Counts[row][column].ToString("#,0", CultureInfo.InvariantCulture) : ""
        );
        return picture with
        {
            Table =
                count <= MostLettered
                    ? Table.Of(
                        ["True", .. names],
                        names.Select((name, i) => (IReadOnlyList<object>)[name, .. matrix.Counts[i].Select(cell => (object)(long)cell)])
                    )
                    : Table.Of(
                        ["True", "Predicted", "Rows"],
                        wrong.Select(each => (IReadOnlyList<object>)[names[each.True], names[each.Predicted], (long)each.Count])
                    ),
            Provenance = new() { Rows = Words.Count((long)total, "row") },
        };
    }

    private static Picture Numbers(IReadOnlyList<(string Name, double Value)> numbers) =>
        new(
            "Measures",
            string.Join("; ", numbers.Select(number => $"{number.Name} {Words.Number(number.Value)}")) + ".",
            Table.Of(["Measure", "Value"], numbers.Select(number => (IReadOnlyList<object>)[number.Name, number.Value]))
        );
}
