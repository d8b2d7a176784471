using System.Diagnostics;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms;
using SkillLoc.Models.Prompts;
using SkillLoc.Trainers;
using SkillLoc.Transforms;

namespace SkillLoc.EndToEnd.Tests;

/// <summary>What one process trains and saves, another loads and predicts with (examples/Predict).</summary>
public sealed class FreshProcessTests : IDisposable
{
    private readonly MLContext _ml = new(seed: 1);
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void FineTunedAndGraftedModelsPredictInANewProcess()
    {
        string[] texts = ["it was a good film", "the man was bad", "I can't believe it's 12:45 already..."];
        IDataView data = _ml.Data.LoadFromEnumerable(
            texts.Select((text, i) => new Row { Label = i % 2 == 0 ? "pos" : "neg", Text = text })
        );
        var task = new PromptTask(
            "toy",
            PromptTemplate.Parse("*cls**sent_0*_It_was*mask*.*sep+*"),
            new Verbalizer([new("neg", "bad"), new("pos", "good")])
        );
        using TransformerChain<KeyToValueMappingTransformer> model = _ml
            .Transforms.Conversion.MapValueToKey("Label")
            .Append(
                _ml.SkillLoc()
                    .PromptFineTune(
                        new PromptFineTuneTrainer.Options
                        {
                            Checkpoint = Oracles.PathOf("tiny-roberta"),
                            Task = task,
                            LearningRate = 1e-3,
                            MaxSteps = 3,
                            OutputFolder = Path.Join(_folder, "tuned"),
                        }
                    )
            )
            .Append(_ml.Transforms.Conversion.MapKeyToValue("PredictedLabel"))
            .Fit(data);
        TextScoringTransformer tuned = model.OfType<TextScoringTransformer>().Single();
        TransformerChain<KeyToValueMappingTransformer> grafted = _ml
            .Transforms.Conversion.MapValueToKey("Label")
            .Append(_ml.SkillLoc().GraftMask(tuned, sparsity: 1e-2, epochs: 1))
            .Append(_ml.Transforms.Conversion.MapKeyToValue("PredictedLabel"))
            .Fit(data);

        Compare(model, data, texts, Path.Join(_folder, "tuned.zip"));
        Compare(grafted, data, texts, Path.Join(_folder, "grafted.zip"));
        string whole = Path.Join(_folder, "whole.zip"),
            cache = Path.Join(_folder, "cache");
        _ml.SkillLoc().SaveModel(model, data.Schema, whole);

        // Without its checkpoint folder the model says what it needs.
        Directory.Delete(Path.Join(_folder, "tuned"), recursive: true);
        (int code, _, string error) = Run(Path.Join(_folder, "tuned.zip"), texts[0]);
        Assert.Equal(1, code);
        Assert.Contains(CheckpointStore.SearchPathVariable, error, StringComparison.Ordinal);

        // One that holds it says how it is unpacked; then any program reads it.
        (code, _, error) = RunIn(cache, whole, texts[0]);
        Assert.Equal(1, code);
        Assert.Contains(nameof(SkillLocSaving.LoadModel), error, StringComparison.Ordinal);
        _ml.SkillLoc().LoadModel(whole, out _, cache);
        (code, string output, error) = RunIn(cache, whole, texts[0]);
        Assert.True(code == 0, error);
        Assert.Contains(texts[0], output, StringComparison.Ordinal);
        grafted.Dispose();
    }

    private void Compare(ITransformer model, IDataView data, string[] texts, string zip)
    {
        _ml.Model.Save(model, data.Schema, zip);
        (int code, string output, string error) = Run([zip, .. texts]);
        Assert.True(code == 0, error);
        string[][] lines = [.. output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.Split('\t'))];
        using PredictionEngine<Row, Prediction> engine = _ml.Model.CreatePredictionEngine<Row, Prediction>(model);
        Assert.Equal(texts.Length, lines.Length);
        for (int i = 0; i < texts.Length; i++)
        {
            Prediction here = engine.Predict(new Row { Text = texts[i] });
            Assert.Equal(here.PredictedLabel, lines[i][0]);
            Assert.All(here.Score.Zip(lines[i][1].Split(' ')), pair => Assert.Equal(pair.First, float.Parse(pair.Second), 1e-4f));
        }
    }

    private static (int Code, string Output, string Error) Run(params string[] arguments) => RunIn(null, arguments);

    private static (int Code, string Output, string Error) RunIn(string? cache, params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet") { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment[CheckpointStore.CacheVariable] = cache;
        start.ArgumentList.Add(Path.Join(AppContext.BaseDirectory, "Predict.dll"));
        foreach (string argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        using Process process = Process.Start(start)!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output, error.Result);
    }

    private sealed class Row
    {
        public string Label { get; set; } = "";

        public string Text { get; set; } = "";
    }

    private sealed class Prediction
    {
        public string PredictedLabel { get; set; } = "";

        public float[] Score { get; set; } = [];
    }
}
