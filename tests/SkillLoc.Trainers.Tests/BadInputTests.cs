using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Prompts;
using SkillLoc.Transforms;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Trainers.Tests;

/// <summary>Bad input is met with an exception that says what was wrong and what would be right.</summary>
public sealed class BadInputTests : IDisposable
{
    private readonly MLContext _ml = new(seed: 1);
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void MissingFolder() => Fails<DirectoryNotFoundException>(options => options.Checkpoint = Path.Join(_folder, "none"), "none");

    [Fact]
    public void MissingWeights()
    {
        string folder = Copy();
        File.Delete(Path.Join(folder, "model.safetensors"));
        Fails<FileNotFoundException>(options => options.Checkpoint = folder, "model.safetensors");
    }

    [Fact]
    public void TruncatedWeights()
    {
        string folder = Copy();
        string file = Path.Join(folder, "model.safetensors");
        File.WriteAllBytes(file, File.ReadAllBytes(file)[..^1000]);
        Fails<InvalidDataException>(options => options.Checkpoint = folder, "model.safetensors");
    }

    [Fact]
    public void UnknownArchitecture()
    {
        string folder = Copy();
        string config = Path.Join(folder, "config.json");
        File.WriteAllText(config, File.ReadAllText(config).Replace("\"roberta\"", "\"longformer\"", StringComparison.Ordinal));
        Fails<NotSupportedException>(options => options.Checkpoint = folder, "longformer", "'roberta'", "'bert'", "'gpt2'", "config.json");
    }

    [Fact]
    public void TensorOfAnotherShape()
    {
        string folder = Rewrite(tensors =>
            [.. tensors.Select(pair => pair.Name == "roberta.encoder.layer.1.output.dense.bias" ? (pair.Name, zeros(7)) : pair)]
        );
        Fails<InvalidDataException>(options => options.Checkpoint = folder, "roberta.encoder.layer.1.output.dense.bias", "[7]", "[48]");
    }

    [Fact]
    public void TensorOfAnotherName()
    {
        string folder = Rewrite(tensors => [.. tensors.Select(pair => pair.Name == "lm_head.bias" ? ("lm_head.bios", pair.Value) : pair)]);
        Fails<InvalidDataException>(options => options.Checkpoint = folder, "'lm_head.bias'", "[900]");
    }

    [Fact]
    public void NotANumberInTheWeights()
    {
        string folder = Rewrite(tensors =>
        {
            tensors.Single(pair => pair.Name == "roberta.encoder.layer.2.output.dense.weight").Value.view(-1)[5] = float.NaN;
            return tensors;
        });
        Fails<InvalidDataException>(options => options.Checkpoint = folder, "roberta.encoder.layer.2.output.dense.weight", "NaN");
    }

    [Fact]
    public void TokenizerThatDoesNotFit()
    {
        string folder = Copy();
        string vocabulary = Path.Join(folder, "vocab.json");
        File.WriteAllText(vocabulary, File.ReadAllText(vocabulary).TrimEnd().TrimEnd('}') + ", \"zzzzz\": 5000}");
        Fails<InvalidDataException>(options => options.Checkpoint = folder, "5000", "900");
    }

    [Fact]
    public void LabelWordOfSeveralTokens() =>
        Fails<ArgumentException>(
            options => options.Task = Toy.Task with { Verbalizer = new Verbalizer([new("neg", "catastrophic"), new("pos", "good")]) },
            "catastrophic"
        );

    [Fact]
    public void TemplateWithoutMask() =>
        Assert.Contains(
            "mask",
            Assert.ThrowsAny<FormatException>(() => PromptTemplate.Parse("*cls**sent_0*_It_was.*sep+*")).Message,
            StringComparison.Ordinal
        );

    [Fact]
    public void LabelOutsideTheVerbalizer()
    {
        ArgumentException error = Assert.Throws<ArgumentException>(() =>
            _ml.SkillLoc()
                .PromptFineTune(Toy.Options())
                .Fit(Toy.View(_ml, [.. Toy.Examples(4), new Toy.Row { Label = "meh", Text = "a film" }]))
        );
        Says(error, "'meh'", "'neg', 'pos'");
    }

    [Fact]
    public void EmptyView()
    {
        IDataView data = _ml.Data.FilterRowsByColumn(
            _ml.Transforms.Conversion.MapValueToKey("Label")
                .Fit(_ml.Data.LoadFromEnumerable([new Numbered(), new Numbered { Label = "pos" }]))
                .Transform(_ml.Data.LoadFromEnumerable([new Numbered(), new Numbered { Label = "pos" }])),
            nameof(Numbered.Value),
            lowerBound: 5
        );
        InvalidOperationException error = Assert.Throws<InvalidOperationException>(() =>
            _ml.SkillLoc().PromptFineTune(Toy.Options()).Fit(data)
        );
        Says(error, "training data", "no rows");
    }

    [Fact]
    public void LabelsThatAreNoKeys()
    {
        IDataView data = _ml.Data.LoadFromEnumerable(Toy.Examples(4));
        ArgumentException error = Assert.Throws<ArgumentException>(() => _ml.SkillLoc().PromptFineTune(Toy.Options()).Fit(data));
        Says(error, "MapValueToKey");
        EstimatorChain<TextScoringTransformer> pipeline = _ml
            .Transforms.CopyColumns("Other", "Text")
            .Append(_ml.SkillLoc().PromptFineTune(Toy.Options()));
        Says(Assert.Throws<ArgumentOutOfRangeException>(() => pipeline.Fit(data)), "MapValueToKey");
    }

    [Fact]
    public void MissingColumns()
    {
        IDataView data = Toy.View(_ml, Toy.Examples(4));
        Says(
            Assert.Throws<ArgumentOutOfRangeException>(() =>
                _ml.SkillLoc().PromptFineTune(Toy.Options(options => options.TextColumnName = "Body")).Fit(data)
            ),
            "'Body'"
        );
        Says(
            Assert.Throws<ArgumentOutOfRangeException>(() =>
                _ml.SkillLoc().PromptFineTune(Toy.Options(options => options.LabelColumnName = "Class")).Fit(data)
            ),
            "'Class'"
        );
    }

    [Fact]
    public void OptionsOutOfRange()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => _ml.SkillLoc().PromptFineTune(Toy.Options(options => options.LearningRate = 0)));
        Assert.Throws<ArgumentOutOfRangeException>(() => _ml.SkillLoc().PromptFineTune(Toy.Options(options => options.BatchSize = 0)));
        Assert.Throws<ArgumentException>(() => _ml.SkillLoc().PromptFineTune(Toy.Options(options => options.Task = null)));
        Says(Assert.Throws<ArgumentException>(() => _ml.SkillLoc().PromptFineTune(Toy.Checkpoint, "no-such-task")), "sst-2");
        Fails<ArgumentException>(options => options.FixLayers = 9, "3 layers");
        Fails<ArgumentException>(
            options =>
            {
                options.Optimizer = OptimizerKind.Adafactor;
                options.WarmupSteps = 2;
            },
            "WarmupSteps is 2",
            "constant",
            "AdamW"
        );
    }

    [Fact]
    public void LosingTheMaskNamesTheRow()
    {
        Toy.Row[] rows = Toy.Examples(4);
        rows[2].Text = string.Concat(Enumerable.Repeat("film ", 300));
        InvalidOperationException error = Assert.Throws<InvalidOperationException>(() =>
            _ml.SkillLoc().PromptFineTune(Toy.Options(options => options.Truncation = Truncation.Tail)).Fit(Toy.View(_ml, rows))
        );
        Says(error, "Row 2", "mask");
    }

    [Fact]
    public void AFullDiskLeavesNothingHalfWritten()
    {
        // A file stands where the folder's parent should be, so that writing fails midway.
        File.WriteAllText(Path.Join(_folder, "file"), "x");
        Assert.ThrowsAny<IOException>(() =>
            _ml.SkillLoc()
                .PromptFineTune(
                    Toy.Options(options =>
                    {
                        options.MaxSteps = 1;
                        options.OutputFolder = Path.Join(_folder, "file", "checkpoint");
                    })
                )
                .Fit(Toy.View(_ml, Toy.Examples(4)))
        );
        Assert.Equal(["file"], Directory.GetFileSystemEntries(_folder).Select(Path.GetFileName));
    }

    [Fact]
    public void FailedFitsLeaveNoTensors()
    {
        string folder = Rewrite(tensors => [.. tensors.Where(pair => pair.Name != "lm_head.bias")]);
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        Assert.Throws<InvalidDataException>(() => Fit(options => options.Checkpoint = folder));
        Assert.Throws<ArgumentException>(() => Fit(options => options.FixLayers = 9));
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    private static void Says(Exception error, params string[] parts) =>
        Assert.All(parts, part => Assert.Contains(part, error.Message, StringComparison.Ordinal));

    private void Fit(Action<PromptFineTuneTrainer.Options> change) =>
        _ml.SkillLoc().PromptFineTune(Toy.Options(change)).Fit(Toy.View(_ml, Toy.Examples(4))).Dispose();

    private void Fails<T>(Action<PromptFineTuneTrainer.Options> change, params string[] says)
        where T : Exception => Says(Assert.Throws<T>(() => Fit(change)), says);

    private string Copy()
    {
        string folder = Directory.CreateDirectory(Path.Join(_folder, "copy")).FullName;
        foreach (string name in new[] { "config.json", "model.safetensors", "vocab.json", "merges.txt" })
        {
            File.Copy(Path.Join(Toy.Checkpoint, name), Path.Join(folder, name));
        }

        return folder;
    }

    private string Rewrite(Func<(string Name, Tensor Value)[], IEnumerable<(string Name, Tensor Value)>> change)
    {
        string folder = Copy();
        using DisposeScope scope = NewDisposeScope();
        (string Name, Tensor Value)[] tensors;
        using (var files = CheckpointFolder.Open(folder))
        {
            tensors = [.. files.Weights.Tensors.Select(info => (info.Name, files.Weights.Read(info.Name)))];
        }

        SafetensorsWriter.Write(Path.Join(folder, "model.safetensors"), change(tensors));
        return folder;
    }

    private sealed class Numbered
    {
        public string Label { get; set; } = "neg";

        public string Text { get; set; } = "a film";

        public float Value { get; set; }
    }
}
