using System.Text.Json.Nodes;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Merging;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Peft;

/// <summary>Adapters of T5's word embeddings, which Python has three modules of.</summary>
public sealed class StackEmbeddingTests : IDisposable
{
    private const string Prefix = "base_model.model.";

    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("encoder.embed_tokens")]
    [InlineData("decoder.embed_tokens")]
    public void LoraOfOneStackIsRefused(string module)
    {
        using Tensor a = ones(4, 800),
            b = ones(48, 4);
        string message = Refused(($"{module}.lora_embedding_A", a), ($"{module}.lora_embedding_B", b));
        Assert.Contains($"'{module}' adapts the word embeddings of one of T5's stacks", message, StringComparison.Ordinal);
    }

    [Fact]
    public void TablesThatDifferAreRefused()
    {
        using Tensor one = ones(800, 48),
            two = zeros(800, 48);
        Assert.Contains(
            "encoder.embed_tokens.weight' adapts",
            Refused(("encoder.embed_tokens.weight", one), ("decoder.embed_tokens.weight", two)),
            StringComparison.Ordinal
        );
        Assert.Contains("decoder.embed_tokens.weight' adapts", Refused(("decoder.embed_tokens.weight", two)), StringComparison.Ordinal);
        Write(("encoder.embed_tokens.weight", one), ("decoder.embed_tokens.weight", one));
        using var both = OpenMergeModel.Joined(OpenMergeModel.At(Oracles.PathOf("tiny-t5")), _folder);
        using Tensor table = both.Weights.Read("shared.weight");
        Assert.True(table.Equals(one));
    }

    private string Refused(params (string Name, Tensor Value)[] tensors)
    {
        Write(tensors);
        return Assert
            .Throws<NotSupportedException>(() => OpenMergeModel.Joined(OpenMergeModel.At(Oracles.PathOf("tiny-t5")), _folder))
            .Message;
    }

    private void Write(params (string Name, Tensor Value)[] tensors)
    {
        JsonNode config = JsonNode.Parse(File.ReadAllText(Oracles.PathOf("peft", "lora-t5", "adapter_config.json")))!;
        File.WriteAllText(Path.Join(_folder, "adapter_config.json"), config.ToJsonString());
        using FileStream stream = File.Create(Path.Join(_folder, "adapter_model.safetensors"));
        SafetensorsWriter.Write(stream, [.. tensors.Select(pair => (Prefix + pair.Name, pair.Value))], null, null);
    }
}
