using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Prompts;
using TorchSharp.Modules;
using static SkillLoc.Models.Tests.Onnx.ProtobufBytes;
using static TorchSharp.torch;
using TemporaryFolder = SkillLoc.Models.Tests.Checkpoints.TemporaryFolder;

namespace SkillLoc.Models.Tests.Onnx;

/// <summary>What PyTorch's newer exporter writes is imported with the weights that were exported.</summary>
public sealed class DynamoImportTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(nameof(DynamoLayout.Opset18), "batch", "sequence")]
    [InlineData(nameof(DynamoLayout.Opset18), "1", "16")]
    [InlineData(nameof(DynamoLayout.Opset20), "batch", "sequence")]
    [InlineData(nameof(DynamoLayout.Opset20), "2", "128")]
    [InlineData(nameof(DynamoLayout.Opset23), "batch", "sequence")]
    [InlineData(nameof(DynamoLayout.Opset23), "1", "8")]
    [InlineData(nameof(DynamoLayout.JointHeads), "batch", "sequence")]
    [InlineData(nameof(DynamoLayout.MultiHead), "batch", "sequence")]
    [InlineData(nameof(DynamoLayout.Functions), "batch", "sequence")]
    public void WeightsAreThoseThatWereExported(string layout, string rows, string length)
    {
        string oracle = Oracles.PathOf("tiny-bert"),
            path = _folder.PathOf("model.onnx"),
            target = _folder.PathOf("imported");
        using var model = LanguageModel.Load(oracle, withHead: false);
        using IDisposable gradients = no_grad();
        File.WriteAllBytes(path, new DynamoExport(model, Enum.Parse<DynamoLayout>(layout)).Write(rows, length));
        OnnxCheckpoint.Import(path, target, new() { Config = Path.Join(oracle, "config.json") });
        using var imported = LanguageModel.Load(target, withHead: false);
        foreach ((string name, Parameter weight) in model.Parameters)
        {
            Assert.True(weight.eq(imported.Parameters[name]).all().item<bool>(), name);
        }
    }

    [Theory]
    [InlineData("If", "input_ids", "logits", "it has branches or loops (If 'node')")]
    [InlineData("Loop", "input_ids", "logits", "it has branches or loops (Loop 'node')")]
    [InlineData("Relu", "past_key_values.0.key", "logits", "its input 'past_key_values.0.key' holds what a decoder remembers")]
    [InlineData("Relu", "encoder_hidden_states", "logits", "its input 'encoder_hidden_states' is what a decoder reads of an encoder")]
    [InlineData("Relu", "input_ids", "present.0.key", "its output 'present.0.key' is what a decoder remembers")]
    public void DecodersAreRefusedByWhatTheyAre(string kind, string input, string output, string why)
    {
        byte[] node = [.. Text(1, input), .. Text(2, output), .. Text(3, "node"), .. Text(4, kind)];
        byte[] file = Field(7, [.. Field(1, node), .. Field(11, Text(1, input)), .. Field(12, Text(1, output))]);
        string message = Assert.Throws<NotSupportedException>(() => OnnxCheckpoint.Parse(file, "decoder_model_merged.onnx")).Message;
        Assert.StartsWith($"decoder_model_merged.onnx is a decoder: {why}", message, StringComparison.Ordinal);
    }

    /// <summary>Each of twenty functions calls the next twice, which would be a million nodes; and one calls itself.</summary>
    [Theory]
    [InlineData(20, 1)]
    [InlineData(1, 0)]
    public void FunctionsThatGrowWithoutEndAreRefused(int count, int step)
    {
        byte[] file =
        [
            .. Field(7, Field(1, Call(0))),
            .. Enumerable
                .Range(0, count)
                .SelectMany(place =>
                    Field(
                        25,
                        [.. Text(1, $"f{place}"), .. Field(7, Call(place + step)), .. Field(7, Call(place + step)), .. Text(10, "own")]
                    )
                ),
        ];
        string message = Assert.Throws<InvalidDataException>(() => new OnnxGraph(file, "x.onnx")).Message;
        Assert.Contains("its functions call each other more than 16 deep", message, StringComparison.Ordinal);

        static byte[] Call(int function) => [.. Text(2, "out"), .. Text(4, $"f{function}"), .. Text(7, "own")];
    }
}
