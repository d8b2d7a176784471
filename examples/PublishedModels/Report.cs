using System.Globalization;
using System.Text;
using Microsoft.ML;
using SkillLoc.Evaluators;
using SkillLoc.Reports;

namespace SkillLoc.PublishedModels;

/// <summary>What was measured, as tables and as pictures.</summary>
/// <param name="distances">How far the models are apart.</param>
/// <param name="points">The path.</param>
/// <param name="sentences">Number of sentences whose paraphrases are looked for.</param>
/// <param name="questions">Number of questions.</param>
/// <param name="command">The command that repeats it.</param>
public sealed class Report(
    CheckpointDistanceMetrics distances,
    IReadOnlyList<PathPoint> points,
    int sentences,
    int questions,
    string command
)
{
    /// <summary>Writes <c>results.md</c>, and <c>report.html</c> with its pictures as files.</summary>
    /// <exception cref="IOException">A file cannot be written.</exception>
    public void Save(string folder)
    {
        File.WriteAllText(Path.Join(folder, "results.md"), Markdown());
        ReportBuilder pictures = Pictures();
        pictures.Save(Path.Join(folder, "report.html"));
        pictures.SaveFiles(Path.Join(folder, "pictures"));
    }

    /// <summary>The tables.</summary>
    public string Markdown()
    {
        var text = new StringBuilder("| where | scalars | L2 | root of the mean square | cosine |\n|---|---|---|---|---|\n");
        foreach (CheckpointDistanceEntry entry in distances.Layers.Prepend(distances.Whole))
        {
            string name =
                entry.Region.Length == 0 ? "all"
                : entry.Layer < 0 ? entry.Region
                : $"layer {entry.Layer + 1}";
            text.AppendLine(Row(name, entry));
        }

        text.AppendLine().AppendLine("| kind | scalars | L2 | root of the mean square | cosine |").AppendLine("|---|---|---|---|---|");
        foreach (CheckpointDistanceEntry entry in distances.Kinds.OrderByDescending(kind => kind.MeanL2))
        {
            text.AppendLine(Row($"`{entry.Kind}`", entry));
        }

        text.AppendLine()
            .AppendLine("| merge | t | pooling | paraphrase is nearest | question of the same kind is nearest | SST-2, fine-tuned |")
            .AppendLine("|---|---|---|---|---|---|");
        foreach (PathPoint point in points)
        {
            string tuned =
                point.FineTuned.Count == 0
                    ? ""
                    : $"{Percent(point.FineTuned.Average())} ({Percent(point.FineTuned.Min())} to {Percent(point.FineTuned.Max())})";
            text.AppendLine(
                CultureInfo.InvariantCulture,
                $"| {point.Method} | {point.T:0.0#} | {point.Pooling} | {Percent(point.Paraphrases)} | {Percent(point.Questions)} | {tuned} |"
            );
        }

        return text.ToString();

        static string Row(string name, CheckpointDistanceEntry entry) =>
            string.Create(
                CultureInfo.InvariantCulture,
                $"| {name} | {entry.Count:N0} | {entry.L2:0.00} | {entry.MeanL2:0.0000} | {entry.Cosine:0.000} |"
            );

        static string Percent(double value) => string.Create(CultureInfo.InvariantCulture, $"{100 * value:0.0} %");
    }

    /// <summary>The distances, and both kinds of retrieval on the path.</summary>
    public ReportBuilder Pictures() =>
        new MLContext()
            .SkillLoc()
            .Report(
                "Between two published models",
                $"{Walk.First} at 0, {Walk.Second} at 1, which were trained from the same model, and merges of them.",
                new Provenance { Chosen = "nothing", Command = command }
            )
            .Add("How far they are apart", distances)
            .Add("A sentence's paraphrase is nearest", OnPath("paraphrase is nearest", sentences, point => point.Paraphrases))
            .Add("A question of the same kind is nearest", OnPath("same kind is nearest", questions, point => point.Questions));

    private OrderedDictionary<string, InterpolationMetrics> OnPath(string metric, int rows, Func<PathPoint, double> value)
    {
        var paths = new OrderedDictionary<string, InterpolationMetrics>(StringComparer.Ordinal);
        foreach (IGrouping<(string, string), PathPoint> line in points.GroupBy(point => (point.Method, point.Pooling)))
        {
            paths.Add(
                $"{line.Key.Item1}, {(line.Key.Item2 == "Mean" ? "mean" : "first token")}",
                new()
                {
                    Task = "retrieval",
                    Metric = metric,
                    Sets =
                    [
                        new()
                        {
                            Name = "Test",
                            Rows = [.. Enumerable.Range(0, rows)],
                            Scores = [],
                            Points = [.. line.Select(point => Point(point.T, value(point), rows))],
                        },
                    ],
                }
            );
        }

        return paths;
    }

    /// <summary>A share of queries, without a loss.</summary>
    private static InterpolationPoint Point(double t, double share, int rows) =>
        new()
        {
            Set = "Test",
            X = t,
            Loss = double.NaN,
            Metric = share,
            Accuracy = share,
            ExpectedCalibrationError = double.NaN,
            BrierScore = double.NaN,
            AgreementWithFirst = double.NaN,
            AgreementWithSecond = double.NaN,
            Right = (long)Math.Round(share * rows),
            Learnt = 0,
            Forgotten = 0,
        };
}
