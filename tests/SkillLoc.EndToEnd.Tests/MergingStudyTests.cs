using System.Text.Json;
using SkillLoc.MergingStudy;
using SkillLoc.Studies;
using SkillLoc.Tests;

namespace SkillLoc.EndToEnd.Tests;

/// <summary>The study of merging on a model and data of seconds.</summary>
public sealed class MergingStudyTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("merging-study-tests");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void EveryMethodIsMeasuredOnEveryTask()
    {
        StudyPlan plan = Plan();
        var study = new Study(plan);
        IReadOnlyList<Measurement> first = study.Measurements(StudyRuns.Run(study, PathOf("out")));
        string[] models =
        [
            "single models",
            "pre-trained",
            "multi-task",
            "mean",
            "task_arithmetic",
            "tall_mask",
            "regmean",
            "stitched grafts, 5 %",
        ];
        Assert.Equal(models.SelectMany(model => new[] { (model, "Films"), (model, "Men") }), first.Select(each => (each.Model, each.Task)));
        Assert.All(first, each => Assert.InRange(each.Accuracy, 0, 1));
        Assert.All(first.Where(each => each.Model == "single models"), each => Assert.Equal(1, each.Agreement));
        Assert.True(Of("single models", "Films").Accuracy > 0.8, $"{Of("single models", "Films").Accuracy}");

        // The mask of a task brings back most of its model; the mean has half of each at best, and nothing is known of what was not merged.
        Assert.True(Of("tall_mask", "Films").ForecastLoss < Of("mean", "Films").ForecastLoss);
        Assert.InRange(Of("mean", "Men").ForecastLoss, 0.1, 1);
        Assert.True(double.IsNaN(Of("multi-task", "Films").ForecastLoss));
        Assert.Contains(Of("task_arithmetic", "Films").Choice, new double?[] { 0.5, 1 });

        // A run is lost and measured again, with models that were removed: it comes out the same.
        StudyRuns.Lose(study, PathOf("out"), "seed 3, mean");
        Assert.Equal(first, study.Measurements(StudyRuns.Run(study, PathOf("out"))));
        Assert.Empty(Directory.GetDirectories(PathOf("out/runs"), "files", SearchOption.AllDirectories));

        var report = new Report(plan, first);
        report.Save(PathOf("out"));
        Assert.Contains("| single models |  | ", report.Markdown(), StringComparison.Ordinal);
        Assert.Contains("rank correlation", report.Markdown(), StringComparison.Ordinal);
        Assert.Equal(1 + first.Count, File.ReadAllLines(PathOf("out/results.csv")).Length);
        Assert.Contains("stitched grafts, 5 %", File.ReadAllText(PathOf("out/report.html")), StringComparison.Ordinal);
        Assert.Equal(
            [
                "01-accuracy-of-merged-models-by-task.svg",
                "02-share-of-the-single-models-accuracy.svg",
                "03-calibration-of-merged-models-by-task.svg",
                "04-loss-that-the-weights-foretell-against-the-measu.svg",
            ],
            Directory.GetFiles(PathOf("out/pictures"), "*.svg").Select(Path.GetFileName).Order()
        );
        Assert.All(first, each => Assert.Equal(10, each.Count));

        Measurement Of(string model, string task) => first.Single(each => each.Model == model && each.Task == task);
    }

    [Theory]
    [InlineData("\"methods\": [{ \"method\": \"ties\" }, { \"method\": \"ties\" }], \"seeds\": [3]", "'ties' occurs twice")]
    [InlineData("\"methods\": [], \"seeds\": []", "no seed")]
    public void PlansThatMakeNoSenseAreRefused(string part, string complaint)
    {
        string text = File.ReadAllText(PlanFile()),
            tasks = text[text.IndexOf("\"tasks\"", StringComparison.Ordinal)..];
        File.WriteAllText(PathOf("bad.json"), $$"""{ "checkpoint": "x", "data": "y", {{part}}, {{tasks}}""");
        InvalidDataException error = Assert.Throws<InvalidDataException>(() => StudyPlan.Load(PathOf("bad.json")));
        Assert.Contains(complaint, error.Message, StringComparison.Ordinal);
    }

    private StudyPlan Plan() => StudyPlan.Load(PlanFile());

    private string PlanFile()
    {
        string[] fillers = ["the", "was", "and", "it"];
        foreach ((string name, string first, string second) in new[] { ("films", "man", "film"), ("men", "a man", "the film") })
        {
            File.WriteAllText(
                PathOf(name + ".txt"),
                string.Concat(
                    Enumerable
                        .Range(0, 100)
                        .Select(i =>
                            $"{i % 2} {fillers[i % 4]} {(i % 2 == 1 ? second : first)} {fillers[i / 4 % 4]} {fillers[i / 16 % 4]}\n"
                        )
                )
            );
        }

        File.WriteAllText(
            PathOf("plan.json"),
            $$"""
            {
              "checkpoint": {{JsonSerializer.Serialize(Oracles.PathOf("tiny-roberta"))}},
              "data": {{JsonSerializer.Serialize(_folder.FullName)}},
              "seeds": [3],
              "train_rows": 40,
              "dev_rows": 16,
              "test_rows": 16,
              "statistics_rows": 4,
              "training": { "learning_rate": 0.005, "epochs": 12, "batch_size": 8, "evaluation_interval": 10 },
              "grafts": { "sparsities": [0.05], "epochs": 1, "learning_rate": 1e9, "max_batches": 2 },
              "methods": [
                { "name": "mean", "method": "linear" },
                { "method": "task_arithmetic", "choices": [0.5, 1] },
                { "method": "tall_mask", "parameters": { "threshold": 0.4 } },
                { "method": "regmean" }
              ],
              "tasks": [
                { "name": "Films", "task": "sst-2", "words": { "0": "bad", "1": "good" }, "sources": [{ "path": "films.txt", "format": { "layout": "label_first" } }] },
                { "name": "Men", "task": "mr", "words": { "0": "bad", "1": "good" }, "sources": [{ "path": "men.txt", "format": { "layout": "label_first" } }] }
              ]
            }
            """
        );
        return PathOf("plan.json");
    }

    private string PathOf(string name) => Path.Combine(_folder.FullName, name);
}
