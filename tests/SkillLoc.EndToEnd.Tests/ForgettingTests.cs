using System.Text.Json;
using Microsoft.ML;
using SkillLoc.Evaluators;
using SkillLoc.Models.Cartography;
using SkillLoc.Models.Prompts;
using SkillLoc.Trainers;
using SkillLoc.Transforms;

namespace SkillLoc.EndToEnd.Tests;

/// <summary>What training recorded of its rows is joined with what a path between two models forgets (methods, C.6).</summary>
public sealed class ForgettingTests : IDisposable
{
    private readonly MLContext _ml = new(seed: 1);
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;

    private string Map => Path.Join(_folder, "cartography.json");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void ARecordedTrainingIsJoinedWithAPath()
    {
        string[] words = ["film", "man", "good", "bad"];
        Row[] rows =
        [
            .. Enumerable
                .Range(0, 20)
                .Select(i => new Row
                {
                    Label =
                        i % 5 == 1 ? ""
                        : i % 3 == 0 ? "pos"
                        : "neg",
                    Text = $"it was {words[i % 4]} and {words[i / 3 % 4]}",
                }),
        ];
        int[] labelled = [.. rows.Index().Where(pair => pair.Item.Label.Length > 0).Select(pair => pair.Index)];
        IDataView data = _ml.Data.LoadFromEnumerable(rows);
        data = _ml.Transforms.Conversion.MapValueToKey("Label").Fit(data).Transform(data);
        using TextScoringTransformer first = Fit(0, Map),
            second = Fit(1);
        InterpolationSet set = _ml.SkillLoc()
            .Connectivity.EvaluateInterpolation(
                new CheckpointInterpolationEvaluator.Options
                {
                    First = first,
                    Second = second,
                    Training = data,
                    NumberOfPoints = 3,
                }
            )
            .Sets.Single();
        Assert.Equal(labelled, set.Rows);

        // What the first end gets right is what it got right after its last epoch.
        using var json = JsonDocument.Parse(File.ReadAllText(Map));
        double[][] right = [.. labelled.Select(row => Values(row, "acc"))],
            confidence = [.. labelled.Select(row => Values(row, "confidence"))];
        bool[] atFirst = [.. set.Scores[0].Select(score => score == 1)];
        Assert.Equal(right.Select(epochs => epochs[^1] == 1), atFirst);
        Assert.Contains(false, atFirst);
        Assert.Contains(true, atFirst);

        ForgettingMetrics forgetting = _ml.SkillLoc().Connectivity.EvaluateForgetting(set, TrainingDynamics.Load(Map));
        int[] wrong = [.. Enumerable.Range(0, labelled.Length).Where(i => !atFirst[i])];
        ForgettingEntry start = forgetting.Entries[0];
        Assert.Equal((wrong.Length, 0), (start.Forgotten, start.Relearnt));
        Assert.Equal(wrong.Average(i => right[i].Average()), start.Correctness, 1e-12);
        Assert.Equal(wrong.Average(i => confidence[i].Average()), start.Confidence, 1e-12);
        Assert.All(right, epochs => Assert.Equal(3, epochs.Length));

        TextScoringTransformer Fit(int seed, string? map = null) =>
            _ml.SkillLoc()
                .PromptFineTune(
                    new PromptFineTuneTrainer.Options
                    {
                        Checkpoint = Oracles.PathOf("tiny-roberta"),
                        Task = new PromptTask(
                            "toy",
                            PromptTemplate.Parse("*cls**sent_0*_It_was*mask*.*sep+*"),
                            new([new("neg", "bad"), new("pos", "good")])
                        ),
                        Optimizer = OptimizerKind.Adafactor,
                        LearningRate = 1e-3,
                        BatchSize = 4,
                        Epochs = 3,
                        Seed = seed,
                        CartographyPath = map,
                    }
                )
                .Fit(data);

        double[] Values(int row, string name) =>
            [.. json.RootElement.GetProperty($"{row}").GetProperty(name).EnumerateArray().Select(value => value.GetDouble())];
    }

    private sealed class Row
    {
        public string Label { get; set; } = "";

        public string Text { get; set; } = "";
    }
}
