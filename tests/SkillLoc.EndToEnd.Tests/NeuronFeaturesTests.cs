using Microsoft.ML;
using SkillLoc.Demo;
using SkillLoc.NeuronFeatures;
using TorchSharp;

namespace SkillLoc.EndToEnd.Tests;

/// <summary>Probed neurons feed FastTree and LightGBM (examples/NeuronFeatures).</summary>
public sealed class NeuronFeaturesTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void TreesOnProbedNeuronsTellTheLabels()
    {
        // A word tells the label, and its place in the row varies.
        string[] fillers = ["the", "was", "and", "it"];
        string path = Path.Join(_folder, "films.tsv");
        File.WriteAllLines(
            path,
            Enumerable
                .Range(0, 256)
                .Select(i =>
                    (
                        Label: i % 2,
                        Words: new[] { fillers[i / 2 % 4], i % 2 == 1 ? "film" : "man", fillers[i / 8 % 4], fillers[i / 32 % 4] }
                    )
                )
                .Select(row => $"{(row.Label == 1 ? "new" : "old")}\t{string.Join(' ', row.Words)}")
                .Prepend("Label\tText")
        );
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        var ml = new MLContext(seed: 1);
        var data = DemoData.FromPaths(ml, path, test: null, outOfDistribution: null, limit: 200);

        IReadOnlyList<FeatureResult> results = new TreesOnNeurons(ml, data).Run(
            Oracles.PathOf("tiny-roberta"),
            fraction: 0.25,
            maxLength: 32
        );

        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
        Assert.Equal(
            [
                ("skill neurons", "FastTree"),
                ("skill neurons", "LightGBM"),
                ("random neurons", "FastTree"),
                ("random neurons", "LightGBM"),
                ("words", "FastTree"),
                ("words", "LightGBM"),
            ],
            results.Select(result => (result.Features, result.Trainer))
        );

        // Two layers of 48 neurons or three: a quarter of each, as many of the control.
        Assert.Equal(results[0].Count, results[2].Count);
        Assert.Equal(0, results[0].Count % 12);
        Assert.All(results.Where(result => result.Features != "random neurons"), result => Assert.InRange(result.Accuracy, 0.95, 1));
        Assert.All(results, result => Assert.InRange(result.CalibrationError, 0, 0.5));
    }
}
