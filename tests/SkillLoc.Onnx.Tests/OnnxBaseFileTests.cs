using System.Text;
using Google.Protobuf;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;

namespace SkillLoc.Onnx.Tests;

/// <summary>Base models made field by field, with the numbers of onnx.proto.</summary>
public sealed class OnnxBaseFileTests
{
    private static readonly OnnxBaseModel Model = new()
    {
        EncoderFingerprint = "f",
        MaxLength = 8,
        Width = 4,
        Dense = "",
        Output = "out",
        Weights = new Dictionary<string, OnnxWeight> { ["w"] = new("parameter", 0, [2, 1], [1, 1]), ["v"] = new("other", 0, [1], [1]) },
        Derived = [],
    };

    private static readonly byte[] Described = Entry(OnnxMetadata.Base, Model.ToJson());

    [Fact]
    public void WeightsBecomeInputs()
    {
        byte[] graph =
        [
            .. Text(2, "name"),
            .. Tensor("w", 1, [2, 1], Floats(1, 2)),
            .. Tensor("other", 1, [1], Floats(3)),
            .. Tensor("v", 1, [1], Floats(4)),
            .. Field(1, Text(2, "out")),
        ];
        var file = new OnnxBaseFile([.. Varint(1, 8), .. Field(7, graph), .. Described, .. Entry("more", "text")], "x.onnx");
        Assert.Equal(("text", 4), (file.Properties["more"], file.Model.Width));
        var weights = new Dictionary<string, OnnxInputWeight>();
        byte[] changed = file.WithInputs(new HashSet<string> { "w", "v" }, weights);
        Assert.Equal([1f, 2], weights["w"].Values);
        Assert.Equal([2L, 1], weights["w"].Shape);
        Assert.Equal([4f], weights["v"].Values);
        var read = new OnnxGraph(changed, "x.onnx");
        Assert.Equal(["other"], read.Tensors.Keys);
        Assert.Equal(["w 2,1", "v 1"], read.Inputs.Select(input => $"{input.Name} {string.Join(',', input.Shape)}"));
        // All else is as it was.
        Assert.Equal([8UL], OnnxGraph.Fields(changed, "x").Where(field => field.Number == 1).Select(field => field.Value));
        Assert.Equal(2, OnnxGraph.Fields(changed, "x").Count(field => field.Number == 14));
        Assert.Equal(
            [2, 11, 5, 11, 1],
            OnnxGraph.Fields(OnnxGraph.Fields(changed, "x").Single(field => field.Number == 7).Bytes, "x").Select(field => field.Number)
        );
    }

    [Theory]
    [InlineData("w", 7, 2, 8, "x.onnx: 'w' is not of the size that the metadata say; it is damaged.")]
    [InlineData("w", 1, 3, 12, "x.onnx: 'w' is not of the size that the metadata say; it is damaged.")]
    [InlineData("w", 1, 2, 4, "x.onnx: 'w' is not of the size that the metadata say; it is damaged.")]
    [InlineData("w", 1, 2, 12, "x.onnx: 'w' is not of the size that the metadata say; it is damaged.")]
    [InlineData("u", 1, 2, 8, "x.onnx lacks the weights w, which its metadata name; it is damaged.")]
    public void AWeightThatIsNotAsTheMetadataSayIsRefused(string name, int type, int rows, int bytes, string reason)
    {
        var file = new OnnxBaseFile([.. Field(7, Tensor(name, type, [(byte)rows, 1], new byte[bytes])), .. Described], "x.onnx");
        Refused(reason, file, "w");
    }

    [Fact]
    public void AWeightTwiceOrMissingIsRefused()
    {
        byte[] weight = Tensor("w", 1, [2, 1], Floats(1, 2));
        Refused(
            "x.onnx has the weight 'w' twice; it is damaged.",
            new OnnxBaseFile([.. Field(7, [.. weight, .. weight]), .. Described], "x.onnx"),
            "w"
        );
        Refused(
            "x.onnx lacks the weights v, which its metadata name; it is damaged.",
            new OnnxBaseFile([.. Field(7, weight), .. Described], "x.onnx"),
            "w",
            "v"
        );
    }

    [Fact]
    public void AWeightThatIsDamagedIsRefused()
    {
        byte[] half = Field(5, [0x10, 0x80]),
            name = Field(5, Field(8, [0xFF]));
        foreach (byte[] weight in (byte[][])[half, name])
        {
            Refused("x.onnx is damaged, or is no ONNX model: ", new OnnxBaseFile([.. Field(7, weight), .. Described], "x.onnx"), "w");
        }

        Refused("x.onnx is damaged, or is no ONNX model: ", new OnnxBaseFile([.. Field(7, [0x10, 0x80]), .. Described], "x.onnx"), "w");
    }

    [Fact]
    public void MetadataAreLookedAt()
    {
        Assert.StartsWith("x.onnx is no base model of grafts: its metadata has no 'skillloc", Message([]), StringComparison.Ordinal);
        Assert.Equal("x.onnx is damaged: its metadata have 'a' twice.", Message([.. Entry("a", "1"), .. Entry("a", "2"), .. Described]));
        Assert.Equal("x.onnx is damaged: its metadata have '' twice.", Message([.. Field(14, []), .. Field(14, Text(2, "x"))]));
        Assert.StartsWith("x.onnx is damaged, or is no ONNX model: ", Message([0x10, 0x80]), StringComparison.Ordinal);
        Assert.StartsWith($"x.onnx, {OnnxMetadata.Base}, line 1", Message(Entry(OnnxMetadata.Base, "{")), StringComparison.Ordinal);
        foreach (
            (OnnxBaseModel model, string reason) in (ReadOnlySpan<(OnnxBaseModel, string)>)
                [
                    (Model with { Width = 0 }, "the width is 0."),
                    (Model with { Width = 65_537 }, "the width is 65537."),
                    (Model with { MaxLength = 0 }, "the most tokens are 0."),
                    (
                        Model with
                        {
                            Weights = new Dictionary<string, OnnxWeight> { ["w"] = new("p", -1, [1], [1]) },
                        },
                        "the weight 'w' has an impossible shape."
                    ),
                ]
        )
        {
            Assert.Equal($"x.onnx, {OnnxMetadata.Base} is damaged: {reason}", Message(Entry(OnnxMetadata.Base, model.ToJson())));
        }
    }

    private static string Message(byte[] bytes) => Assert.Throws<InvalidDataException>(() => new OnnxBaseFile(bytes, "x.onnx")).Message;

    private static void Refused(string reason, OnnxBaseFile file, params string[] names) =>
        Assert.StartsWith(
            reason,
            Assert
                .Throws<InvalidDataException>(() => file.WithInputs(names.ToHashSet(), new Dictionary<string, OnnxInputWeight>()))
                .Message,
            StringComparison.Ordinal
        );

    private static byte[] Tensor(string name, int type, byte[] shape, byte[] data) =>
        Field(5, [.. Field(1, shape), .. Varint(2, (ulong)type), .. Text(8, name), .. Field(9, data)]);

    private static byte[] Entry(string key, string value) => Field(14, [.. Text(1, key), .. Text(2, value)]);

    private static byte[] Floats(params float[] values) => [.. values.SelectMany(BitConverter.GetBytes)];

    private static byte[] Text(int number, string text) => Field(number, Encoding.UTF8.GetBytes(text));

    private static byte[] Varint(int number, ulong value) => [(byte)(number << 3), (byte)value];

    private static byte[] Field(int number, byte[] content)
    {
        using var bytes = new MemoryStream();
        using (var output = new CodedOutputStream(bytes, leaveOpen: true))
        {
            output.WriteTag(number, WireFormat.WireType.LengthDelimited);
            output.WriteBytes(ByteString.CopyFrom(content));
        }

        return bytes.ToArray();
    }
}
