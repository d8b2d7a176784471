using Microsoft.ML;
using Microsoft.ML.Data;

namespace SkillLoc.EndToEnd.Tests;

/// <summary>The README's pipeline, as it stands there, on the demo's model.</summary>
public sealed class ReadmeTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void ThePipelineRuns()
    {
        string checkpoint = Oracles.PathOf("..", "..", "models", "mini-roberta");
        foreach (string file in new[] { "train.tsv", "test.tsv" })
        {
            File.WriteAllLines(
                Path.Join(_folder, file),
                ["Label\tText", .. Enumerable.Range(0, 12).Select(i => i % 2 == 0 ? "0\tthe man was bad" : "1\tit is a great film")]);
        }

        // The snippet.
        var ml = new MLContext(seed: 1);
        IDataView train = ml.Data.LoadFromTextFile<Review>(Path.Join(_folder, "train.tsv"), hasHeader: true);
        IDataView test = ml.Data.LoadFromTextFile<Review>(Path.Join(_folder, "test.tsv"), hasHeader: true);

        var keys = ml.Transforms.Conversion.MapValueToKey("Label").Fit(train);
        using var tuned = ml.SkillLoc().PromptFineTune(checkpoint, task: "sst-2").Fit(keys.Transform(train));
        using var graft = ml.SkillLoc().GraftMask(tuned, sparsity: 1e-4, epochs: 2).Fit(keys.Transform(train));

        IDataView scored = graft.Transform(keys.Transform(test));
        Assert.InRange(ml.MulticlassClassification.Evaluate(scored).MacroAccuracy, 0, 1);
        Assert.InRange(ml.SkillLoc().EvaluateCalibration(scored).ExpectedCalibrationError, 0, 1);
        Assert.InRange(ml.SkillLoc().EvaluateAgreement(scored, tuned.Transform(keys.Transform(test))).Agreement, 0, 1);
        graft.SaveGraft(Path.Join(_folder, "sst-2.graft.safetensors"));
        ml.Model.Save(keys.Append(graft), train.Schema, Path.Join(_folder, "sst-2.zip"));

        IDataView loaded = new MLContext().Model.Load(Path.Join(_folder, "sst-2.zip"), out _).Transform(test);
        Assert.Equal(scored.GetColumn<float[]>("Score").Count(), loaded.GetColumn<float[]>("Score").Count());
    }

    private sealed class Review
    {
        [LoadColumn(0)]
        public string Label { get; set; } = "";

        [LoadColumn(1)]
        public string Text { get; set; } = "";
    }
}
