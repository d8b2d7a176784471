using SkillLoc.GraftingStudy;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Studies;
using SkillLoc.Tests;
using TorchSharp;

namespace SkillLoc.EndToEnd.Tests;

/// <summary>The study of the grafting paper on a model and data of seconds.</summary>
public sealed class GraftingStudyTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("grafting-study-tests");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void AStudyMeasuresEveryMethodAndGoesOnWhereItStopped()
    {
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        StudyPlan plan = Plan();
        var study = new Study(plan);
        StudyResults results = StudyRuns.Run(study, PathOf("out"));
        IReadOnlyList<Measurement> first = study.Measurements(results);
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);

        // Two tasks; pre-trained, fine-tuned, its temperature, BitFit, LoRA; graft, grown, top movement, lottery ticket and 5 random draws at two
        // sparsities;
        // all biases; three layers.
        Assert.Equal(2 * (5 + (2 * (4 + 5)) + 1 + 3), first.Count);
        Assert.All(first, each => Assert.InRange(each.Accuracy, 0, 1));
        Assert.All(first.Where(each => each.Task == "Films"), each => Assert.Equal(["Men"], each.Others.Keys));
        Measurement tuned = Of(first, "fine-tuned");
        Assert.True(tuned.Accuracy > 0.8, $"{tuned.Accuracy}");
        Assert.Equal((1, 56880), (tuned.Agreement, tuned.Changed));
        Assert.All(
            first.Where(each => each is { Method: "graft" or "top movement" or "random mask", Sparsity: 0.01 }),
            each => Assert.InRange(each.Changed, 0, 568)
        );
        Assert.Equal(3 * ((4 * 48 * 48) + (2 * 48 * 96) + (5 * 48) + 96 + (4 * 48)), 3 * Of(first, "layer 1 whole").Changed);

        // Some runs are lost: others are taken as they are, and the lost ones come out the same, with a model that was removed.
        string[] whole = StudyRuns.Contents(PathOf("out"));
        Assert.Equal(2 * (4 + (2 * 2)), whole.Length);
        Assert.Empty(Directory.GetDirectories(PathOf("out/runs"), "files", SearchOption.AllDirectories));
        string kept = StudyRuns.FileOf(study, PathOf("out"), "Films-8-3 graft 0.01");
        DateTime written = File.GetLastWriteTimeUtc(kept);
        StudyRuns.Lose(study, PathOf("out"), "Men-6-3 fine-tuned");
        StudyRuns.Lose(study, PathOf("out"), "Men-6-3 LoRA");
        IReadOnlyList<Measurement> again = study.Measurements(StudyRuns.Run(study, PathOf("out")));
        Assert.Equal(written, File.GetLastWriteTimeUtc(kept));
        Assert.Equal(whole, StudyRuns.Contents(PathOf("out")));
        Assert.Empty(Directory.GetDirectories(PathOf("out/state")));

        var report = new Report(plan, again);
        report.Save(PathOf("out"));
        Assert.Contains("## 8 rows per label, Men: 6; 1 seed(s)", report.Markdown(), StringComparison.Ordinal);
        Assert.Contains("| fine-tuned | 56,880 (100.000 %) | 100.0 % | 2 of 2 | 100.0 % |", report.Markdown(), StringComparison.Ordinal);
        Assert.Equal(1 + first.Count + first.Sum(each => each.Others.Count), File.ReadAllLines(PathOf("out/results.csv")).Length);
    }

    [Fact]
    public void OtherSettingsDataAndBasesAreOtherRuns()
    {
        StudyPlan plan = Plan();
        string[] own = Ids(plan);
        Assert.Equal(own, Ids(plan));
        Assert.Equal(own, Ids(plan with { Data = Path.Combine(plan.Data, ".") }));

        // Masks are of four runs of a cell's eight.
        Assert.Equal(2 * 4, own.Intersect(Ids(plan with { Masks = new() { Epochs = 3 } })).Count());
        Assert.Empty(own.Intersect(Ids(plan with { TestRows = 19 })));
        Assert.Empty(own.Intersect(Ids(plan with { Checkpoint = Oracles.PathOf("tiny-bert") })));
        File.AppendAllText(PathOf("films.txt"), "1 it was the film\n");
        Assert.Equal(8, own.Intersect(Ids(plan)).Count());
        Assert.Equal(Ids(plan)[..8], PlannedRun.Of(new Study(plan, "Films")).Select(run => run.Id));
        Assert.Throws<ArgumentException>(() => new Study(plan, "Film"));

        static string[] Ids(StudyPlan plan) => [.. PlannedRun.Of(new Study(plan)).Select(run => run.Id)];
    }

    [Fact]
    public void WhatCannotBeDrawnIsToldBeforeAnythingIsMeasured()
    {
        InvalidDataException error = Assert.Throws<InvalidDataException>(() => new Study(Plan(shots: 99)).Plan());
        Assert.Contains("Films: ", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("\"seeds\": []", "names no seed")]
    [InlineData("\"seeds\": [3], \"sparsities\": [2]", "sparsities in (0, 1]")]
    [InlineData("\"seeds\": [3], \"colour\": 1", "colour")]
    [InlineData("\"seeds\": [null]", "$.seeds[0] is null")]
    [InlineData("\"seeds\": [3], \"seeds\": [4]", "Duplicate")]
    [InlineData("\"seeds\": [3], \"test_rows\": 1e300", "test_rows")]
    [InlineData("\"seeds\": [3], \"fine_tuning\": {\"epochs\": 0}", "fine_tuning epochs")]
    [InlineData("\"seeds\": [3], \"fine_tuning\": {\"learning_rate\": \"NaN\"}", "learning_rate")]
    [InlineData("\"seeds\": [3], \"masks\": null", "masks")]
    [InlineData("\"seeds\": [3], \"task_file\": \"\\ud800\"", "task_file")]
    public void PlansThatMakeNoSenseAreRefused(string part, string complaint)
    {
        File.WriteAllText(
            PathOf("bad.json"),
            $$"""{ "checkpoint": "x", "data": "y", "shots": [1], "tasks": [{ "name": "a", "task": "sst-2", "train": { "path": "z" } }], {{part}}{{(part.Contains("sparsities", StringComparison.Ordinal) ? "" : ", \"sparsities\": [0.1]")}} }"""
        );
        InvalidDataException error = Assert.Throws<InvalidDataException>(() => StudyPlan.Load(PathOf("bad.json")));
        Assert.Contains("bad.json", error.Message, StringComparison.Ordinal);
        Assert.Contains(complaint, error.Message, StringComparison.Ordinal);
    }

    private static Measurement Of(IReadOnlyList<Measurement> measurements, string method) =>
        measurements.First(each => each.Task == "Films" && each.Method == method);

    private string PathOf(string name) => Path.Combine(_folder.FullName, name);

    private StudyPlan Plan(int shots = 8)
    {
        string[] fillers = ["the", "was", "and", "it"];
        foreach ((string name, string first, string second) in new[] { ("films", "man", "film"), ("men", "a man", "the film") })
        {
            AtomicFile.WriteText(
                PathOf(name + ".txt"),
                string.Concat(
                    Enumerable
                        .Range(0, 60)
                        .Select(i => $"{i % 2} {fillers[i % 4]} {(i % 2 == 1 ? second : first)} {fillers[i / 4 % 4]} {fillers[i / 16]}\n")
                )
            );
        }

        File.WriteAllText(
            PathOf("tasks.json"),
            """
            [{ "name": "toy", "template": "*cls**sent_0*_It_was*mask*.*sep+*", "mapping": { "0": "bad", "1": "good" } }]
            """
        );
        File.WriteAllText(
            PathOf("plan.json"),
            $$"""
            {
              "checkpoint": {{System.Text.Json.JsonSerializer.Serialize(Oracles.PathOf("tiny-roberta"))}},
              "data": {{System.Text.Json.JsonSerializer.Serialize(_folder.FullName)}},
              "task_file": {{System.Text.Json.JsonSerializer.Serialize(PathOf("tasks.json"))}},
              "shots": [{{shots}}],
              "seeds": [3],
              "sparsities": [0.001, 0.01],
              "test_rows": 20,
              "fine_tuning": { "optimizer": "adam_w", "learning_rate": 0.005, "epochs": 12, "batch_size": 8, "evaluation_interval": 4 },
              "masks": { "epochs": 2, "learning_rate": 1e9, "max_batches": 2 },
              "tasks": [
                { "name": "Films", "task": "toy", "train": { "path": "films.txt", "format": { "layout": "label_first" } }, "out_of_distribution": ["Men"] },
                { "name": "Men", "task": "toy", "shots": [6], "train": { "path": "men.txt", "format": { "layout": "label_first" } } }
              ]
            }
            """
        );
        return StudyPlan.Load(PathOf("plan.json"));
    }
}
