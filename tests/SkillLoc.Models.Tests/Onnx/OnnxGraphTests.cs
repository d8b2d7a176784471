using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Tests.Checkpoints;
using static SkillLoc.Models.Tests.Onnx.ProtobufBytes;

namespace SkillLoc.Models.Tests.Onnx;

/// <summary>Graphs made field by field, with the numbers of onnx.proto.</summary>
public sealed class OnnxGraphTests : IDisposable
{
    private static readonly byte[] Node = [.. Text(1, "in"), .. Text(2, "out"), .. Text(4, "Relu")];

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void NodesInputsAndOutputsAreRead()
    {
        byte[] attribute =
        [
            .. Text(1, "mixed"),
            .. Fixed(2, 1.5f),
            .. Varint(3, ulong.MaxValue),
            .. Text(4, "text"),
            .. Field(5, [.. Text(8, "inner"), .. Varint(2, 1), .. Varint(1, 1), .. Field(9, Floats(4))]),
            .. Fixed(7, 2.5f),
            .. Field(7, Floats(3.5f, 4.5f)),
            .. Field(7, [1, 2, 3]),
            .. Varint(8, 6),
            .. Field(8, [7, 0x80, 1]),
            .. Varint(99, 1),
        ];
        byte[] node =
        [
            .. Text(1, "a"),
            .. Text(1, ""),
            .. Text(1, "a"),
            .. Text(2, "b"),
            .. Text(2, "c"),
            .. Text(3, "title"),
            .. Text(4, "Kind"),
            .. Field(5, attribute),
            .. Text(6, "a comment"),
            .. Text(7, "domain"),
        ];
        byte[] shape = Field(2, Field(1, Field(2, [.. Field(1, Varint(1, 3)), .. Field(1, Text(2, "batch")), .. Field(1, [])])));
        OnnxGraph graph = Graph(
            Field(1, Node),
            Field(1, node),
            Field(11, [.. Text(1, "x"), .. shape, .. Text(3, "a comment")]),
            Field(11, Text(1, "w")),
            Field(11, [.. Text(1, "z"), .. Field(2, Field(1, Varint(2, 1)))]),
            Field(12, [.. Text(1, "y"), .. shape]),
            Field(5, Text(8, "w")),
            Text(2, "the graph's name")
        );
        Assert.Equal(["Relu", "Kind"], graph.Nodes.Select(each => each.Operator));
        OnnxNode read = graph.Nodes[1];
        Assert.Equal(["a", "", "a"], read.Inputs);
        Assert.Equal(["b", "c"], read.Outputs);
        Assert.Equal(("title", "domain", 1, "Kind 'title'"), (read.Name, read.Domain, read.Index, read.Title));
        Assert.Equal("Relu 'out'", graph.Nodes[0].Title);
        OnnxAttribute mixed = read.Attributes["mixed"];
        Assert.Equal((1.5f, -1, "text"), (mixed.Number, mixed.Integer, mixed.Text));
        Assert.Equal([2.5f, 3.5f, 4.5f], mixed.Numbers);
        Assert.Equal([6, 7, 128], mixed.Integers);
        Assert.Equal(("inner", 1), (mixed.Tensor!.Name, mixed.Tensor.Type));
        Assert.Equal(Floats(4), Data(graph, mixed.Tensor));
        // An input that names an initialiser is none.
        Assert.Equal(["x 3,-1,-1", "z "], graph.Inputs.Select(input => $"{input.Name} {string.Join(',', input.Shape)}"));
        Assert.Equal(["y"], graph.Outputs);
        Assert.Same(read, graph.Maker("c"));
        Assert.Null(graph.Maker("a"));
        Assert.Same(read, Assert.Single(graph.Readers("a")));
        Assert.Empty(graph.Readers("c"));
    }

    [Fact]
    public void ValuesOfTensorsAreInSeveralFields()
    {
        OnnxGraph graph = Graph(
            Field(1, Node),
            Tensor("raw", 1, Field(9, Floats(1, 2))),
            Tensor("floats", 1, Field(4, Floats(3, 4))),
            Tensor("float", 1, Fixed(4, 5)),
            Tensor("longs", OnnxTensor.Int64, [.. Varint(7, 1), .. Field(7, [2, 3])]),
            Tensor("ints", OnnxTensor.Int32, [.. Varint(5, ulong.MaxValue), .. Field(5, [4])]),
            Tensor("half", OnnxTensor.Float16, Varint(5, 0x3C00)),
            Tensor("flag", OnnxTensor.Bool, Varint(5, 1)),
            Tensor("packed", 1, [.. Varint(1, 1), .. Field(1, [2, 3]), .. Varint(1, 4)]),
            Tensor("nothing", 1, Varint(99, 1))
        );
        Assert.Equal(Floats(1, 2), Data(graph, graph.Tensors["raw"]));
        Assert.Equal(Floats(3, 4), Data(graph, graph.Tensors["floats"]));
        // A single float that is not packed is no raw data.
        Assert.Empty(Data(graph, graph.Tensors["float"]));
        Assert.Equal<byte>([1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0], Data(graph, graph.Tensors["longs"]));
        Assert.Equal<byte>([255, 255, 255, 255, 4, 0, 0, 0], Data(graph, graph.Tensors["ints"]));
        Assert.Equal<byte>([0, 0x3C], Data(graph, graph.Tensors["half"]));
        Assert.Equal<byte>([1], Data(graph, graph.Tensors["flag"]));
        Assert.Equal([1, 2, 3, 4], graph.Tensors["packed"].Shape);
        Assert.Empty(Data(graph, graph.Tensors["nothing"]));
    }

    [Fact]
    public void ConstantsAreTensors()
    {
        OnnxGraph graph = Graph(
            Field(1, Node),
            Constant("tensor", Text(1, "value"), Field(5, [.. Text(8, "other"), .. Varint(2, 1), .. Field(9, Floats(1))])),
            Constant("float", Text(1, "value_float"), Fixed(2, 2)),
            Constant("floats", Text(1, "value_floats"), Field(7, Floats(3, 4))),
            Constant("int", Text(1, "value_int"), Varint(3, 5)),
            Constant("ints", Text(1, "value_ints"), Field(8, [6, 7])),
            Constant("text", Text(1, "value_string"), Text(4, "x")),
            Constant("none", Text(1, "value"), []),
            Field(
                1,
                [.. Text(2, "one"), .. Text(2, "two"), .. Text(4, "Constant"), .. Field(5, [.. Text(1, "value_int"), .. Varint(3, 5)])]
            )
        );
        Assert.Equal(["tensor", "float", "floats", "int", "ints"], graph.Tensors.Keys);
        Assert.Equal(
            ["tensor 1 ", "float 1 ", "floats 1 2", "int 7 ", "ints 7 2"],
            graph.Tensors.Values.Select(tensor => $"{tensor.Name} {tensor.Type} {string.Join(',', tensor.Shape)}")
        );
        Assert.Equal(Floats(1), Data(graph, graph.Tensors["tensor"]));
        Assert.Equal(Floats(2), Data(graph, graph.Tensors["float"]));
        Assert.Equal(Floats(3, 4), Data(graph, graph.Tensors["floats"]));
        Assert.Equal<byte>([5, 0, 0, 0, 0, 0, 0, 0], Data(graph, graph.Tensors["int"]));
        Assert.Equal(16, Data(graph, graph.Tensors["ints"]).Length);
        // What is no tensor, or makes two values, stays a node.
        Assert.Equal(["out", "text", "none", "one"], graph.Nodes.Select(node => node.Outputs[0]));
    }

    [Theory]
    [InlineData("", null, null, "lie in another file ('')")]
    [InlineData(".", null, null, "lie in another file ('.')")]
    [InlineData("..", null, null, "lie in another file ('..')")]
    [InlineData("../data", null, null, "lie in another file ('../data')")]
    [InlineData("a/data", null, null, "lie in another file ('a/data')")]
    [InlineData("a\\data", null, null, "lie in another file ('a\\data')")]
    [InlineData("c:data", null, null, "lie in another file ('c:data')")]
    [InlineData("none", null, null, "which does not exist")]
    [InlineData("data", null, null, null)]
    [InlineData("data", "2", null, null)]
    [InlineData("data", "0", "6", null)]
    [InlineData("data", "6", "0", null)]
    [InlineData("data", "1", "5", null)]
    [InlineData("data", "1", "6", "are 6 bytes at 1 of")]
    [InlineData("data", "7", null, "are -1 bytes at 7 of")]
    [InlineData("data", "-1", "2", "are 2 bytes at -1 of")]
    [InlineData("data", "x", "2", "are 2 bytes at -1 of")]
    [InlineData("data", "0", "-2", "are -1 bytes at 0 of")]
    [InlineData("data", "0", "2147483648", "are 2147483648 bytes at 0 of")]
    [InlineData("data", "9223372036854775807", "1", "are 1 bytes at 9223372036854775807 of")]
    public void ValuesInAnotherFileAreThose(string location, string? offset, string? length, string? reason)
    {
        byte[] data = [1, 2, 3, 4, 5, 6];
        File.WriteAllBytes(_folder.PathOf("data"), data);
        List<byte> place = [.. Entry("location", location), .. Field(13, Text(1, "checksum")), .. Varint(14, 1)];
        place.AddRange(offset is null ? [] : Entry("offset", offset));
        place.AddRange(length is null ? [] : Entry("length", length));
        byte[] file = Field(7, [.. Field(1, Node), .. Tensor("w", 1, [.. place])]);
        var graph = new OnnxGraph(file, "x.onnx", _folder.Path);
        if (reason is null)
        {
            int from = int.Parse(offset ?? "0", null);
            Assert.Equal(data.Skip(from).Take(int.Parse(length ?? "6", null)), Data(graph, graph.Tensors["w"]));
            // In memory there is no folder.
            var alone = new OnnxGraph(file, "x.onnx");
            Assert.Equal(
                "x.onnx: the values of 'w' lie in another file ('data').",
                Assert.Throws<InvalidDataException>(() => Data(alone, alone.Tensors["w"])).Message
            );
            return;
        }

        string message = Assert.Throws<InvalidDataException>(() => Data(graph, graph.Tensors["w"])).Message;
        Assert.StartsWith("x.onnx: the values of 'w' ", message, StringComparison.Ordinal);
        Assert.Contains(reason, message, StringComparison.Ordinal);
    }

    [Fact]
    public void APlaceElsewhereNeedsItsMark()
    {
        // Only where field 14 is 1 do entries count.
        OnnxGraph graph = Graph(Field(1, Node), Tensor("w", 1, [.. Entry("location", "data"), .. Varint(14, 0), .. Field(9, Floats(1))]));
        Assert.Null(graph.Tensors["w"].External);
        Assert.Equal(Floats(1), Data(graph, graph.Tensors["w"]));
    }

    [Fact]
    public void AGraphThatIsDamagedIsRefused()
    {
        Refused("it has two tensors 'w'", Field(1, Node), Tensor("w", 1, []), Tensor("w", 1, []));
        Refused("it has two tensors 'w'", Field(1, Node), Tensor("w", 1, []), Constant("w", Text(1, "value_int"), Varint(3, 5)));
        Refused("a Relu makes nothing", Field(1, Text(4, "Relu")));
        Refused("a name is not valid UTF-8", Field(1, [.. Node, .. Field(3, [0xFF])]));
        Refused("it holds no graph", Text(2, "the graph's name"));
        Refused("it holds no graph", Constant("c", Text(1, "value_int"), Varint(3, 5)));
        // A message that ends within a number, and bits that are no field.
        Refused("While parsing a protocol message, the input ended unexpectedly", Field(1, [.. Node, 0x18, 0x80]));
        Refused("invalid tag", Field(1, [.. Node, 0x00, 0x00]));
        Refused("longer than the 2 bytes that are left", Field(1, [.. Node, 0x1A, 5]));
        Refused("longer than the 3 bytes that are left", Field(1, [.. Node, 0x1A, 0x80, 0x80]));
        Refused(
            "more than 64 dimensions",
            Field(1, Node),
            Tensor("w", 1, [.. Enumerable.Repeat(Varint(1, 1), 65).SelectMany(each => each)])
        );
        Assert.Equal(64, Graph(Field(1, Node), Tensor("w", 1, Field(1, new byte[64]))).Tensors["w"].Shape.Length);
        Refused("more than 65536 packed numbers", Field(1, Node), Tensor("w", 7, Field(7, new byte[65_537])));
        Assert.Equal(8 * 65_536, Graph(Field(1, Node), Tensor("w", 7, Field(7, new byte[65_536]))).Tensors["w"].Data.Count);
        Assert.Throws<InvalidDataException>(() => new OnnxGraph([], "x.onnx"));
    }

    [Fact]
    public void FieldsOfOtherTypesArePassedOver()
    {
        // Of 64 bits, and a group with a field in it.
        OnnxGraph graph = Graph([0x51, 1, 2, 3, 4, 5, 6, 7, 8, 0x5B, 0x08, 1, 0x5C, .. Field(1, Node)]);
        Assert.Single(graph.Nodes);
        // What should be a message and is a number has no fields.
        Assert.Empty(Graph(Field(1, Node), Varint(11, 5)).Inputs.Single().Name);
    }

    private static byte[] Data(OnnxGraph graph, OnnxTensor tensor) => graph.Data(tensor).AsSpan().ToArray();

    private static byte[] Tensor(string name, int type, byte[] content) =>
        Field(5, [.. Text(8, name), .. Varint(2, (ulong)type), .. content]);

    private static byte[] Constant(string output, byte[] name, byte[] value) =>
        Field(1, [.. Text(2, output), .. Text(4, "Constant"), .. Field(5, [.. name, .. value])]);

    private static byte[] Entry(string key, string value) => Field(13, [.. Text(1, key), .. Text(2, value)]);

    private static OnnxGraph Graph(params byte[][] fields) => new(Field(7, [.. fields.SelectMany(field => field)]), "x.onnx");

    private static void Refused(string reason, params byte[][] fields)
    {
        string message = Assert.Throws<InvalidDataException>(() => Graph(fields)).Message;
        Assert.StartsWith("x.onnx is not a complete ONNX file (", message, StringComparison.Ordinal);
        Assert.Contains(reason, message, StringComparison.Ordinal);
    }
}
