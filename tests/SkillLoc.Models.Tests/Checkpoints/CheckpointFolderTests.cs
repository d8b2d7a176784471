using System.Text.Json;
using System.Text.Json.Nodes;
using SkillLoc.Models.Checkpoints;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Checkpoints;

public class CheckpointFolderTests
{
    [Fact]
    public void OpensAFolderThatPythonWrote()
    {
        using var folder = CheckpointFolder.Open(Oracles.PathOf("tiny-roberta"));
        Assert.Equal("roberta", folder.Config.ModelType);
        Assert.EndsWith("model.safetensors", folder.Weights.Path, StringComparison.Ordinal);
        Assert.Equal(["vocab.json", "merges.txt"], folder.TokenizerFiles.Select(file => Path.GetFileName(file)));
    }

    [Fact]
    public void FallsBackToPytorchModelBin()
    {
        using var temporary = new TemporaryFolder();
        foreach (string? file in new[] { "config.json", "pytorch_model.bin" })
        {
            File.Copy(Oracles.PathOf("tiny-roberta", file), temporary.PathOf(file));
        }

        using var folder = CheckpointFolder.Open(temporary.Path);
        Assert.IsType<TorchCheckpointFile>(folder.Weights);
    }

    [Theory]
    [InlineData(null, "float32")]
    [InlineData(ScalarType.BFloat16, "bfloat16")]
    public void WhatIsSavedIsCompleteAndOpensAgain(ScalarType? storeAs, string type)
    {
        using DisposeScope scope = NewDisposeScope();
        using var temporary = new TemporaryFolder();
        using var source = CheckpointFolder.Open(Oracles.PathOf("tiny-roberta"));
        IReadOnlyList<(string Name, Tensor Value)> tensors = source.Weights.ReadAll();
        string target = temporary.PathOf("saved");
        CheckpointFolder.Save(target, source.Config, tensors, source.TokenizerFiles, storeAs);

        Assert.Equal(
            ["config.json", "merges.txt", "model.safetensors", "vocab.json"],
            Directory.EnumerateFiles(target).Select(file => Path.GetFileName(file)).Order()
        );
        Assert.Equal(File.ReadAllBytes(source.TokenizerFiles[0]), File.ReadAllBytes(Path.Combine(target, "vocab.json")));
        JsonNode config = JsonNode.Parse(File.ReadAllText(Path.Combine(target, "config.json")))!;
        Assert.Equal(type, (string?)config["dtype"]);
        Assert.Equal("RobertaForMaskedLM", (string?)config["architectures"]![0]);

        using var saved = CheckpointFolder.Open(target);
        Assert.Equal("pt", Assert.IsType<SafetensorsFile>(saved.Weights).Metadata["format"]);
        Assert.Equal(tensors.Select(tensor => tensor.Name), saved.Weights.Tensors.Select(info => info.Name));
        foreach ((string? name, Tensor? value) in tensors)
        {
            Assert.Equal(SafetensorsTests.Bytes(value.to(storeAs ?? ScalarType.Float32)), SafetensorsTests.Bytes(saved.Weights.Read(name)));
        }

        Assert.Equal(["saved"], temporary.Names());
    }

    [Fact]
    public void SavingOverACheckpointReplacesItsWeightsAndKeepsWhatElseIsThere()
    {
        using var temporary = new TemporaryFolder();
        foreach (string? file in new[] { "config.json", "model.safetensors" })
        {
            File.Copy(Oracles.PathOf("tiny-roberta", file), temporary.PathOf(file));
        }

        string[] mine = ["README.md", "model_backup.safetensors"];
        string[] stale = ["pytorch_model.bin", "model-00001-of-00002.safetensors", "model.safetensors.index.json"];
        foreach (string? name in mine.Concat(stale))
        {
            File.WriteAllText(temporary.PathOf(name), name);
        }

        using Tensor one = torch.ones(1);
        CheckpointFolder.Save(temporary.Path, ModelConfig.Roberta(), [("one", one)], []);
        Assert.Equal(["README.md", "config.json", "model.safetensors", "model_backup.safetensors"], temporary.Names());
        Assert.All(mine, name => Assert.Equal(name, File.ReadAllText(temporary.PathOf(name))));
        using var folder = CheckpointFolder.Open(temporary.Path);
        Assert.Equal("one", Assert.Single(folder.Weights.Tensors).Name);
    }

    [Fact]
    public void ACheckpointCanBeSavedOverItselfWhileItIsOpen()
    {
        using DisposeScope scope = NewDisposeScope();
        using var temporary = new TemporaryFolder();
        foreach (string? file in new[] { "config.json", "model.safetensors", "vocab.json", "merges.txt" })
        {
            File.Copy(Oracles.PathOf("tiny-roberta", file), temporary.PathOf(file));
        }

        string before;
        using (var folder = CheckpointFolder.Open(temporary.Path))
        {
            before = CheckpointFingerprint.Compute(folder.Weights);
            CheckpointFolder.Save(temporary.Path, folder.Config, folder.Weights.ReadAll(), folder.TokenizerFiles);
        }
        using var again = CheckpointFolder.Open(temporary.Path);
        Assert.Equal(before, CheckpointFingerprint.Compute(again.Weights));
        Assert.Equal(2, again.TokenizerFiles.Count);
    }

    [Fact]
    public void ASaveThatFailsLeavesTheOldCheckpoint()
    {
        using var temporary = new TemporaryFolder();
        using Tensor one = torch.ones(1);
        string target = temporary.PathOf("model");
        CheckpointFolder.Save(target, ModelConfig.Bert(), [("one", one)], []);
        IOException error = Assert.Throws<IOException>(() =>
            CheckpointFolder.Save(target, ModelConfig.Roberta(), [("two", one)], [temporary.PathOf("no-vocab.txt")])
        );
        Assert.Contains(target, error.Message, StringComparison.Ordinal);
        Assert.Contains("no-vocab.txt", error.Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => CheckpointFolder.Save(target, ModelConfig.Roberta(), [("two", one), ("two", one)], []));
        using var folder = CheckpointFolder.Open(target);
        Assert.Equal("bert", folder.Config.ModelType);
        Assert.Equal(["model"], temporary.Names());
    }

    [Fact]
    public void AFolderWithSomethingElseInItIsNotReplaced()
    {
        using var temporary = new TemporaryFolder();
        using Tensor one = torch.ones(1);
        File.WriteAllText(temporary.PathOf("thesis.tex"), "x");
        IOException error = Assert.Throws<IOException>(() => CheckpointFolder.Save(temporary.Path, ModelConfig.Bert(), [("one", one)], []));
        Assert.Contains("not", error.Message, StringComparison.Ordinal);
        Assert.Equal(["thesis.tex"], temporary.Names());
    }

    [Fact]
    public void WhatIsMissingIsNamed()
    {
        using var temporary = new TemporaryFolder();
        Assert.Contains(
            "nowhere",
            Assert.Throws<DirectoryNotFoundException>(() => CheckpointFolder.Open(temporary.PathOf("nowhere"))).Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "config.json",
            Assert.Throws<FileNotFoundException>(() => CheckpointFolder.Open(temporary.Path)).Message,
            StringComparison.Ordinal
        );
        File.Copy(Oracles.PathOf("tiny-roberta", "config.json"), temporary.PathOf("config.json"));
        FileNotFoundException error = Assert.Throws<FileNotFoundException>(() => CheckpointFolder.Open(temporary.Path));
        Assert.Contains(temporary.Path, error.Message, StringComparison.Ordinal);
        Assert.Contains("model.safetensors, model.safetensors.index.json, pytorch_model.bin", error.Message, StringComparison.Ordinal);
        File.WriteAllBytes(
            temporary.PathOf("model.safetensors"),
            File.ReadAllBytes(Oracles.PathOf("tiny-roberta", "model.safetensors"))[..^1]
        );
        Assert.Contains(
            "truncated",
            Assert.Throws<InvalidDataException>(() => CheckpointFolder.Open(temporary.Path)).Message,
            StringComparison.Ordinal
        );
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void WeightsThatAreNotFiniteAreRefusedByFileAndName(float bad)
    {
        using DisposeScope scope = NewDisposeScope();
        using var temporary = new TemporaryFolder();
        string path = temporary.PathOf("a.safetensors");
        SafetensorsWriter.Write(
            path,
            [("good", torch.ones(2)), ("bad", torch.tensor(new[] { 1f, bad, 2f })), ("ids", torch.tensor(new[] { 1L }))]
        );
        using var file = SafetensorsFile.Open(path);
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        InvalidDataException error = Assert.Throws<InvalidDataException>(() => file.ReadAll());
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
        Assert.Contains(path, error.Message, StringComparison.Ordinal);
        Assert.Contains("'bad' has 1 values", error.Message, StringComparison.Ordinal);
        Assert.Equal(1, file.ReadFinite("ids").item<long>());
    }

    [Fact]
    public void ReadingAllConvertsWeightsButNotIntegers()
    {
        using DisposeScope scope = NewDisposeScope();
        using var stream = new MemoryStream();
        SafetensorsWriter.Write(stream, [("w", torch.ones(2)), ("ids", torch.tensor(new[] { 1L }))]);
        using var file = SafetensorsFile.FromBytes(stream.ToArray());
        Assert.Equal([ScalarType.Float64, ScalarType.Int64], file.ReadAll(ScalarType.Float64).Select(tensor => tensor.Value.dtype));
    }

    [Fact]
    public void ShardsAreOneStore()
    {
        using DisposeScope scope = NewDisposeScope();
        using var temporary = new TemporaryFolder();
        using var whole = SafetensorsFile.Open(Oracles.PathOf("tiny-roberta", "model.safetensors"));
        File.Copy(Oracles.PathOf("tiny-roberta", "config.json"), temporary.PathOf("config.json"));
        var map = new Dictionary<string, string>();
        IReadOnlyList<(string Name, Tensor Value)> all = whole.ReadAll();
        foreach (
            (IEnumerable<(string Name, Tensor Value)>? shard, string? file) in new[]
            {
                (all.Take(20), "model-00001-of-00002.safetensors"),
                (all.Skip(20), "model-00002-of-00002.safetensors"),
            }
        )
        {
            SafetensorsWriter.Write(temporary.PathOf(file), shard);
            foreach ((string? name, Tensor _) in shard)
            {
                map.Add(name, file);
            }
        }
        string index = temporary.PathOf("model.safetensors.index.json");
        File.WriteAllText(index, JsonSerializer.Serialize(new { metadata = new { total_size = 1 }, weight_map = map }));

        using (var folder = CheckpointFolder.Open(temporary.Path))
        {
            Assert.Equal(index, folder.Weights.Path);
            Assert.Equal(whole.Tensors.Select(info => info.Name), folder.Weights.Tensors.Select(info => info.Name));
            Assert.Equal(CheckpointFingerprint.Compute(whole), CheckpointFingerprint.Compute(folder.Weights));
            Assert.Throws<KeyNotFoundException>(() => folder.Weights.Read("x"));
        }

        map["extra"] = "model-00001-of-00002.safetensors";
        File.WriteAllText(index, JsonSerializer.Serialize(new { weight_map = map }));
        Assert.Contains(
            "'extra'",
            Assert.Throws<InvalidDataException>(() => ShardedTensorStore.Open(index)).Message,
            StringComparison.Ordinal
        );
        map["extra"] = "missing.safetensors";
        File.WriteAllText(index, JsonSerializer.Serialize(new { weight_map = map }));
        Assert.Contains(
            "'missing.safetensors'",
            Assert.Throws<FileNotFoundException>(() => ShardedTensorStore.Open(index)).Message,
            StringComparison.Ordinal
        );
        map["extra"] = "../model.safetensors";
        File.WriteAllText(index, JsonSerializer.Serialize(new { weight_map = map }));
        Assert.Contains(
            "beside",
            Assert.Throws<InvalidDataException>(() => ShardedTensorStore.Open(index)).Message,
            StringComparison.Ordinal
        );
        File.WriteAllText(index, """{"weight_map":{"a":1}}""");
        Assert.Throws<InvalidDataException>(() => ShardedTensorStore.Open(index));
        File.WriteAllText(index, "{");
        Assert.Throws<InvalidDataException>(() => ShardedTensorStore.Open(index));
    }

    [Fact]
    public void ShardsOfPytorchFilesAreOneStoreToo()
    {
        using DisposeScope scope = NewDisposeScope();
        using var temporary = new TemporaryFolder();
        File.Copy(Oracles.PathOf("torch-save", "wrapped.bin"), temporary.PathOf("pytorch_model-00001-of-00001.bin"));
        string index = temporary.PathOf("pytorch_model.bin.index.json");
        File.WriteAllText(index, """{"weight_map":{"bias":"pytorch_model-00001-of-00001.bin"}}""");
        using var store = ShardedTensorStore.Open(index);
        Assert.Equal([8f], store.Read("bias").data<float>().ToArray());
        Assert.False(store.Contains("weight"));
    }
}
