using Microsoft.ML.OnnxRuntime;
using SkillLoc.Models.Onnx;
using Xunit;

namespace SkillLoc.Onnx.Tests;

/// <summary>Products of int8 are whole numbers on every processor, also on those that would add them in 16 bits.</summary>
public class Int8PrecisionTests
{
    private const int Width = 64;

    [Fact]
    public void LargeProductsDoNotOverflow()
    {
        var graph = new OnnxModelBuilder();
        graph.Input("x", OnnxType.Float, "rows", $"{Width}");
        graph.Output("sums", OnnxType.Int32, "rows", $"{Width}");
        byte[] weight = new byte[Width * Width];
        Array.Fill(weight, (byte)127);
        graph.Add("weight", OnnxType.Int8, [Width, Width], 1, () => weight);
        graph.AddNamed("DynamicQuantizeLinear", ["x"], ["bytes", "step", "zero"]);
        graph.AddNamed("MatMulInteger", ["bytes", "weight", "zero"], ["sums"]);
        using var file = new MemoryStream();
        graph.Write(file);

        using InferenceSession session = OnnxTextModel.Open(settings => new(file.ToArray(), settings), "a test's", new());
        float[] ones = [.. Enumerable.Repeat(1f, 2 * Width)];
        using var x = OrtValue.CreateTensorValueFromMemory(ones, [2, Width]);
        using var run = new RunOptions();
        using IDisposableReadOnlyCollection<OrtValue> results = session.Run(run, ["x"], [x], ["sums"]);

        Assert.All(results[0].GetTensorDataAsSpan<int>().ToArray(), sum => Assert.Equal(Width * 255 * 127, sum));
    }
}
