using Microsoft.ML;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.SkillNeuronStudy;
using SkillLoc.Studies;
using SkillLoc.Tests;
using SkillLoc.Transforms;
using TorchSharp;

namespace SkillLoc.EndToEnd.Tests;

/// <summary>The study of the skill-neuron paper on a model and data of seconds.</summary>
public sealed class SkillNeuronStudyTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("skill-neuron-study-tests");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void AStudyThatStoppedGoesOnToTheSameResults()
    {
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        string stopped = PathOf("stopped"),
            output = PathOf("whole");

        // The runs are done when pruning finds that there is no layer 99; what does not prune is done as well.
        var failing = new Study(Plan(lowLayer: 99));
        Assert.Equal(
            StudyExit.RunFailed,
            StudyRunner.Run(
                failing,
                new(stopped)
                {
                    Build = new("1.2.3", "tests"),
                    Lines = TextWriter.Null,
                    Messages = TextWriter.Null,
                }
            )
        );
        var study = new Study(Plan());
        string run = StudyRuns.FileOf(study, stopped, "Films-1");
        DateTime written = File.GetLastWriteTimeUtc(run);
        StudyResults resumed = StudyRuns.Run(study, stopped),
            whole = StudyRuns.Run(study, output);

        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
        Assert.Equal(written, File.GetLastWriteTimeUtc(run));
        Assert.Equal(study.Measurements(whole).Measurements, study.Measurements(resumed).Measurements);
        Assert.Equal(study.Measurements(whole).Curves, study.Measurements(resumed).Curves);
        Assert.All(study.SpeedUps(whole).Values, speedUp => Assert.True(speedUp > 0));

        // What failed was pruning to another layer, which is another run.
        Assert.Empty(
            Directory
                .GetDirectories(Path.Combine(stopped, "state"))
                .Select(Path.GetFileName)
                .Intersect(PlannedRun.Of(study).Select(each => each.Id))
        );
        string adapter = PlannedRun.Of(study).Single(each => each.Run.Name == "Moods adapter").Id;
        Assert.Contains(adapter, PlannedRun.Of(failing).Select(each => each.Id));
        IsWhatTheModelsDo(Plan(), study, whole, output);
    }

    [Fact]
    public void PlansThatMakeNoSenseAreRefused()
    {
        Assert.Contains(
            "sources",
            Assert.Throws<InvalidDataException>(() => Plan(films: "\"sources\": []")).Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "colour",
            Assert.Throws<InvalidDataException>(() => Plan(films: "\"colour\": 1")).Message,
            StringComparison.Ordinal
        );
    }

    private static void IsWhatTheModelsDo(StudyPlan plan, Study study, StudyResults results, string output)
    {
        StudyResult result = study.Measurements(results);

        Assert.Equal(result.Measurements.Count + 1, File.ReadAllLines(Path.Combine(output, "results.csv")).Length);
        Assert.Equal(result.Curves.Count + 1, File.ReadAllLines(Path.Combine(output, "curves.csv")).Length);
        Assert.Contains("| Moods | Films |", File.ReadAllText(Path.Combine(output, "results.md")), StringComparison.Ordinal);
        Assert.Contains("random: ", File.ReadAllText(Path.Combine(output, "report.html")), StringComparison.Ordinal);
        Assert.True(Directory.GetFiles(Path.Combine(output, "pictures"), "*.svg").Length >= 5);

        // ML.NET's own accuracy of the prompt that the run left, on rows of its own split.
        var ml = new MLContext();
        TaskRows rows = plan.RowsOf(plan.Tasks[0]);
        using var model = new TextScoringTransformer(
            TextClassifier.LoadTuned(plan.Checkpoint, Path.Combine(results.FilesOf("Films-2"), "prompt.safetensors")),
            new ScoringColumns()
        );
        IDataView test = ml
            .Transforms.Conversion.MapValueToKey(
                "Label",
                keyOrdinality: Microsoft.ML.Transforms.ValueToKeyMappingEstimator.KeyOrdinality.ByValue
            )
            .Fit(ml.SkillLoc().Data.LoadRows(rows.Train))
            .Transform(ml.SkillLoc().Data.LoadRows(rows.Test));
        Assert.Equal(
            ml.MulticlassClassification.Evaluate(model.Transform(test)).MicroAccuracy,
            result.Measurements.Single(each => each is { Task: "Films", Seed: 2, Measure: Measures.Accuracy }).Value,
            1e-9
        );
        Assert.Equal(0.5, result.Measurements.Single(each => each is { Task: "Moods", Measure: Measures.Majority }).Value, 0.2);

        // Two layers lose 87 of 96 neurons, each with 48 weights in, 48 out and a bias, of 109812 parameters.
        Assert.Equal(
            (109812 - (2 * 87 * 97)) / 109812.0,
            result.Measurements.Single(each => each is { Task: "Films", Measure: Measures.ParameterRatio }).Value,
            1e-12
        );

        // Films and Moods have the same label words, so that prompts go both ways in both runs.
        Assert.Equal(4, result.Measurements.Count(each => each.Measure == Measures.Transfer));

        // Two methods in all layers and one in each of two ranges for the prompt, one for BitFit and adapter.
        Assert.Equal(2 * 6, result.Curves.Count);
        Assert.Equal(48 * 3, result.Curves[0].Point.Neurons);
    }

    private string PathOf(string name) => Path.Combine(_folder.FullName, name);

    private StudyPlan Plan(int lowLayer = 1, string? films = null)
    {
        string[] fillers = ["the", "was", "and", "it"];
        AtomicFile.WriteText(
            PathOf("films.txt"),
            string.Concat(
                Enumerable
                    .Range(0, 60)
                    .Select(i => $"{i % 2} {fillers[i % 4]} {(i % 2 == 1 ? "film" : "man")} {fillers[i / 4 % 4]} {fillers[i / 16]}\n")
            )
        );
        AtomicFile.WriteText(
            PathOf("moods.txt"),
            string.Concat(
                Enumerable
                    .Range(0, 90)
                    .Select(i => $"{i % 3} {fillers[i % 4]} {(i % 3 == 0 ? "man" : "film")} {fillers[i / 4 % 4]} {fillers[i / 30]}\n")
            )
        );
        films ??= """ "sources": [{ "path": "films.txt", "format": { "layout": "label_first" } }] """;
        File.WriteAllText(
            PathOf("plan.json"),
            $$"""
            {
              "checkpoint": {{System.Text.Json.JsonSerializer.Serialize(Oracles.PathOf("tiny-roberta"))}},
              "data": {{System.Text.Json.JsonSerializer.Serialize(_folder.FullName)}},
              "seeds": [1, 2],
              "train_rows": 32,
              "tuning": { "prompt_size": 4, "learning_rate": 0.01, "epochs": 2, "retraining_epochs": 1, "evaluation_interval": 2, "max_length": 16 },
              "perturbation": { "methods": ["zero", "mean"], "fractions": [0.5], "layer_ranges": [{ "low": 0, "high": 1 }, { "low": 1, "high": 3 }] },
              "pruning": { "fraction": 0.1, "low_layer": {{lowLayer}}, "repetitions": 1 },
              "tasks": [
                { "name": "Films", "task": "sst-2", "words": { "0": "bad", "1": "good" }, "prompt": "a good film", {{films}} },
                {
                  "name": "Moods", "task": "sst-2", "words": { "0": "bad", "1": "good" }, "prompt": "a good film",
                  "question": "positive_negative", "labels": ["0", "1", "2"],
                  "sources": [{ "path": "moods.txt", "format": { "layout": "label_first" } }]
                }
              ]
            }
            """
        );
        return StudyPlan.Load(PathOf("plan.json"));
    }
}
