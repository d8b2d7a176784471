using SkillLoc.Evaluators;
using SkillLoc.Models.Merging;

namespace SkillLoc.Reports.Tests;

/// <summary>Merges with known numbers.</summary>
internal static class Merging
{
    private static readonly string[] Tasks = ["films", "shops", "questions", "news", "tweets"];

    /// <summary>A merge that keeps a share of the first task, and ever less of the next ones.</summary>
    public static MergeMetrics Merge(double kept = 0.95, int tasks = 3, bool forecast = true)
    {
        MergeForecast? told = forecast ? Forecast(tasks) : null;
        return new()
        {
            Tasks =
            [
                .. Enumerable
                    .Range(0, tasks)
                    .Select(task =>
                    {
                        double single = 0.9 - (0.01 * task),
                            merged = single * (kept - (0.04 * task));
                        return new MergeMetricsEntry(
                            Tasks[task % Tasks.Length] + (task < Tasks.Length ? "" : $" {task}"),
                            400,
                            single,
                            merged,
                            merged / single,
                            0.1,
                            0.06 + (0.01 * task),
                            0.9,
                            0.2 + (0.05 * task),
                            1 - kept + (0.05 * task)
                        );
                    }),
            ],
            Forecast = told,
        };
    }

    public static MergeForecast Forecast(int models = 3) =>
        new()
        {
            Method = "ties",
            Interference = 0.25,
            Models =
            [
                .. Enumerable
                    .Range(0, models)
                    .Select(model => new MergeForecastEntry(
                        $"models/{Tasks[model % Tasks.Length]}-{model}",
                        3,
                        0.5,
                        0.2 + (0.05 * model),
                        0.4
                    )),
            ],
            Cells =
            [
                Cell("embeddings", "other", models, 9000, 0.02, 3),
                .. from layer in Enumerable.Range(0, 4)
                from module in (string[])["q", "k", "v", "o", "ffn-in", "ffn-out", "norm", "bias"]
                select Cell($"layer {layer}", module, models, 4096, 0.1 + (0.05 * layer), 1 + module.Length),
                Cell("head", "other", models, 400, 0, 0),
            ],
        };

    private static MergeForecastCell Cell(string place, string module, int models, long scalars, double clash, double movement) =>
        new()
        {
            Place = place,
            Module = module,
            Scalars = scalars,
            Clash = clash,
            Movement = [.. Enumerable.Range(0, models).Select(model => movement * (1 + (0.1 * model)))],
            Against = [.. Enumerable.Range(0, models).Select(model => movement * clash * (0.5 + (0.1 * model)))],
        };
}
