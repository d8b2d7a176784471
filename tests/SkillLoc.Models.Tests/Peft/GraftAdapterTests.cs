using System.Text.Json.Nodes;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Peft;
using TorchSharp;

namespace SkillLoc.Models.Tests.Peft;

/// <summary>Grafts as SHiRA adapters, there and back.</summary>
public sealed class GraftAdapterTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("tiny-roberta", 0.01, false)]
    [InlineData("tiny-roberta", 0.01, true)]
    [InlineData("tiny-bert", 0.03, true)]
    [InlineData("tiny-t5", 0.02, true)]
    [InlineData("tiny-roberta", 0.6, false)]
    public void NothingIsLost(string basis, double share, bool everywhere)
    {
        Graft graft = Random(basis, share, everywhere);
        PeftAdapter.Of(graft, Oracles.PathOf(basis)).Save(_folder);
        var read = PeftAdapter.Load(_folder);
        var back = read.ToGraft(Oracles.PathOf(basis));
        Assert.Equal(graft.Parts.Select(part => part.Name), back.Parts.Select(part => part.Name));
        foreach ((GraftPart one, GraftPart other) in graft.Parts.Zip(back.Parts))
        {
            Assert.Equal(one.Indices, other.Indices);
            Assert.Equal(one.Values, other.Values);
        }

        Assert.Equal(
            (graft.BaseFingerprint, graft.Task, graft.Sparsity, graft.ConsideredCount, graft.Metrics["accuracy"]),
            (back.BaseFingerprint, back.Task, back.Sparsity, back.ConsideredCount, back.Metrics["accuracy"])
        );

        // The number of coordinates is what PEFT asks for.
        int rank = JsonNode.Parse(File.ReadAllText(Path.Join(_folder, "adapter_config.json")))!["r"]!.GetValue<int>();
        foreach ((string key, long[] shape) in read.Shapes.Where(pair => pair.Key.EndsWith(".shira_weight", StringComparison.Ordinal)))
        {
            string name = key["base_model.model.".Length..^".shira_weight".Length] + ".weight";
            using var model = SafetensorsFile.Open(Oracles.PathOf(basis, "model.safetensors"));
            Assert.Equal(rank * model.Tensors.First(info => info.Name == name).Shape.Sum(), shape[0]);
            Assert.Equal([2, shape[0]], read.Shapes[key.Replace("shira_weight", "shira_indices", StringComparison.Ordinal)]);
        }
    }

    [Fact]
    public void TheAdapterIsTheGraftedModel()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        Graft graft = Random("tiny-roberta", 0.01, everywhere: true);
        PeftAdapter.Of(graft, Oracles.PathOf("tiny-roberta")).Save(_folder);
        using var grafted = LanguageModel.Load(Oracles.PathOf("tiny-roberta"));
        graft.MergeInto(grafted);
        using LanguageModel adapted = PeftAdapter.Load(_folder).LoadModel(Oracles.PathOf("tiny-roberta"));
        foreach ((string name, TorchSharp.Modules.Parameter weight) in grafted.Parameters)
        {
            Assert.True((weight - adapted.Parameters[name]).abs().max().item<float>() < 1e-6, name);
        }
    }

    [Fact]
    public void AdaptersOfPythonBecomeGrafts()
    {
        var graft = PeftAdapter.Load(Oracles.PathOf("peft", "shira-roberta")).ToGraft(Oracles.PathOf("tiny-roberta"));
        Assert.Equal(9, graft.Parts.Count);
        Assert.Equal((6 * 96) + (3 * 144), graft.Count);
        using var grafted = LanguageModel.Load(Oracles.PathOf("tiny-roberta"));
        graft.MergeInto(grafted);
    }

    [Fact]
    public void UnknownKeysAreKept()
    {
        string config = Path.Join(_folder, "in");
        Copy(Oracles.PathOf("peft", "lora-roberta"), config);
        string path = Path.Join(config, "adapter_config.json");
        JsonNode json = JsonNode.Parse(File.ReadAllText(path))!;
        json["of_a_later_version"] = "kept";
        File.WriteAllText(path, json.ToJsonString());
        PeftAdapter.Load(config).Save(Path.Join(_folder, "out"));
        Assert.Equal(
            "kept",
            JsonNode.Parse(File.ReadAllText(Path.Join(_folder, "out", "adapter_config.json")))!["of_a_later_version"]!.GetValue<string>()
        );
        using var before = SafetensorsFile.Open(Path.Join(config, "adapter_model.safetensors"));
        using var after = SafetensorsFile.Open(Path.Join(_folder, "out", "adapter_model.safetensors"));
        Assert.Equal(CheckpointFingerprint.Compute(before), CheckpointFingerprint.Compute(after));
    }

    [Theory]
    [InlineData("peft_type", "\"OFT\"", "OFT")]
    [InlineData("layer_replication", "[[0, 1]]", "layer_replication")]
    [InlineData("init_lora_weights", "\"pissa\"", "init_lora_weights")]
    public void WhatIsNotSupportedIsNamed(string key, string value, string named)
    {
        Copy(Oracles.PathOf("peft", "lora-roberta"), _folder);
        Change(key, value);
        Assert.Contains(named, Assert.Throws<NotSupportedException>(() => PeftAdapter.Load(_folder)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("r", "3", "query")]
    [InlineData("lora_alpha", "\"many\"", "lora_alpha")]
    [InlineData("use_dora", "true", "query")]
    public void WhatDoesNotFitIsNamed(string key, string value, string named)
    {
        Copy(Oracles.PathOf("peft", "lora-roberta"), _folder);
        Change(key, value);
        string message = Assert
            .Throws<InvalidDataException>(() => PeftAdapter.Load(_folder).LoadModel(Oracles.PathOf("tiny-roberta")))
            .Message;
        Assert.Contains(named, message, StringComparison.Ordinal);
    }

    [Fact]
    public void AnotherBaseIsRefused()
    {
        var adapter = PeftAdapter.Load(Oracles.PathOf("peft", "lora-roberta"));
        Assert.Contains(
            "another base",
            Assert.Throws<InvalidDataException>(() => adapter.LoadModel(Oracles.PathOf("tiny-gpt2"))).Message,
            StringComparison.Ordinal
        );
        Graft graft = Random("tiny-roberta", 0.01, everywhere: false);
        Assert.Throws<InvalidDataException>(() => PeftAdapter.Of(graft, Oracles.PathOf("tiny-roberta-finetuned")));
        Assert.Contains(
            "Conv1D",
            Assert
                .Throws<NotSupportedException>(() =>
                    PeftAdapter.Of(new Graft { BaseFingerprint = "", Parts = [] }, Oracles.PathOf("tiny-gpt2"))
                )
                .Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void AClassifiersHeadOfT5IsRefusedByName()
    {
        using torch.Tensor bias = torch.zeros(2);
        SafetensorsWriter.Write(
            Path.Join(_folder, PeftAdapter.WeightsFile),
            [("base_model.model.classification_head.out_proj.bias", bias)],
            new Dictionary<string, string>(StringComparer.Ordinal)
        );
        File.Copy(Oracles.PathOf("peft", "lora-t5", "adapter_config.json"), Path.Join(_folder, "adapter_config.json"));
        var adapter = PeftAdapter.Load(_folder);
        Assert.Contains(
            "T5ForSequenceClassification",
            Assert.Throws<NotSupportedException>(() => adapter.LoadModel(Oracles.PathOf("tiny-t5"))).Message,
            StringComparison.Ordinal
        );
    }

    private void Change(string key, string value)
    {
        string path = Path.Join(_folder, "adapter_config.json");
        JsonNode json = JsonNode.Parse(File.ReadAllText(path))!;
        json[key] = JsonNode.Parse(value);
        File.WriteAllText(path, json.ToJsonString());
    }

    /// <summary>A graft of random scalars, some of them equal to the base's or far smaller.</summary>
    internal static Graft Random(string basis, double share, bool everywhere)
    {
        using var model = LanguageModel.Load(Oracles.PathOf(basis));
        var random = new Random(7);
        var parts = new List<GraftPart>();
        foreach ((string name, TorchSharp.Modules.Parameter weight) in model.Parameters)
        {
            if (
                !everywhere
                && !name.EndsWith("query.weight", StringComparison.Ordinal)
                && !name.EndsWith("output.dense.weight", StringComparison.Ordinal)
            )
            {
                continue;
            }

            using torch.Tensor detached = weight.detach();
            float[] values = detached.view(-1).data<float>().ToArray();
            int[] indices = [.. Enumerable.Range(0, values.Length).Where(_ => random.NextDouble() < share)];
            if (indices.Length > 0)
            {
                parts.Add(
                    new(
                        name,
                        indices,
                        [
                            .. indices.Select(
                                (index, i) =>
                                    i % 7 == 0 ? values[index]
                                    : i % 7 == 1 ? values[index] * 1e-9f
                                    : values[index] + (random.NextSingle() - 0.5f)
                            ),
                        ]
                    )
                );
            }
        }

        return new()
        {
            BaseFingerprint = model.Fingerprint(),
            Task = "a task",
            Sparsity = 0.01,
            ConsideredCount = 12345,
            Metrics = new Dictionary<string, double> { ["accuracy"] = 0.875 },
            Parts = parts,
        };
    }

    private static void Copy(string from, string to)
    {
        Directory.CreateDirectory(to);
        foreach (string file in Directory.EnumerateFiles(from))
        {
            File.Copy(file, Path.Join(to, Path.GetFileName(file)));
        }
    }
}
