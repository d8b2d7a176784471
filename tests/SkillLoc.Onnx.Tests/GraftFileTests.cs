using System.Text;

namespace SkillLoc.Onnx.Tests;

/// <summary>Grafts as bytes: a header's length, the header, and the tensors one after another.</summary>
public sealed class GraftFileTests
{
    private const string Metadata = "\"__metadata__\": {\"format\": \"skillloc-graft\", \"version\": \"1\", \"base_fingerprint\": \"f\"}";

    private const string Part = """
        , "w.indices": {"dtype": "I32", "shape": [2], "data_offsets": [0, 8]}, "w.values": {"dtype": "F32", "shape": [2], "data_offsets": [8, 16]}
        """;

    [Fact]
    public void AGraftIsRead()
    {
        string header =
            "{"
            + Metadata.Replace("\"f\"", "\"f\", \"settings\": \"{}\"", StringComparison.Ordinal)
            + Part
            + """
                , "empty.indices": {"dtype": "I32", "shape": [0], "data_offsets": [16, 16]},
                "empty.values": {"dtype": "F32", "shape": [0], "data_offsets": [16, 16]},
                "head.out.weight": {"dtype": "F32", "shape": [1, 2], "data_offsets": [16, 24]},
                "head.x.values": {"dtype": "F32", "shape": [], "data_offsets": [24, 28]}}
                """;
        var graft = GraftFile.Read(File(header, Numbers(0, 5), Floats(1.5f, -2), Floats(3, 4), Floats(5)), "x");
        Assert.Equal(("f", "{}"), (graft.Fingerprint, graft.Settings));
        Assert.Equal(["w", "empty"], graft.Parts.Keys);
        Assert.Equal([0, 5], graft.Parts["w"].Indices);
        Assert.Equal([1.5f, -2], graft.Parts["w"].Values);
        Assert.Empty(graft.Parts["empty"].Indices);
        Assert.Equal(["out.weight", "x.values"], graft.HeadWeights.Keys);
        Assert.Equal([1L, 2], graft.HeadWeights["out.weight"].Shape);
        Assert.Equal([3f, 4], graft.HeadWeights["out.weight"].Values);
        Assert.Equal([5f], graft.HeadWeights["x.values"].Values);
        Assert.Equal("", GraftFile.Read(File("{" + Metadata + "}"), "x").Settings);
    }

    [Theory]
    [InlineData(
        """{"format": "skillloc-mask", "version": "1"}""",
        "the metadata's 'format' is not 'skillloc-graft'; right would be a file"
    )]
    [InlineData("""{"version": "1"}""", "the metadata's 'format' is not 'skillloc-graft'; right would be a file that Graft.Save wrote.")]
    [InlineData("""{"format": "skillloc-graft"}""", "its format version is '', and this program reads version 1.")]
    [InlineData("""{"format": "skillloc-graft", "version": "3"}""", "its format version is '3', and this program reads version 1.")]
    [InlineData(
        """{"format": "skillloc-graft", "version": "2"}""",
        "it has zeros outside, and so changes all that it was chosen from; a set"
    )]
    [InlineData("""{"format": "skillloc-graft", "version": "1"}""", "it names no base model.")]
    public void MetadataOfAnotherFileAreRefused(string metadata, string reason) =>
        Refused(File($$"""{"__metadata__": {{metadata}}}"""), reason);

    [Fact]
    public void AFileThatIsCutOffIsRefused()
    {
        Refused([], "it has 0 bytes, fewer than the 8 of the header's length.");
        Refused(new byte[7], "it has 7 bytes, fewer than the 8 of the header's length.");
        Refused([3, 0, 0, 0, 0, 0, 0, 0, 1, 2], "its header should have 3 bytes, and 2 follow; it is cut off or another file.");
        Refused([255, 255, 255, 255, 255, 255, 255, 255, 1], "its header should have 18446744073709551615 bytes, and 1 follow;");
        byte[] whole = File("{" + Metadata + Part + "}", Numbers(0, 5), Floats(1, 2));
        Refused(whole[..^1], $"its tensors end at byte {whole.Length}, and the file has {whole.Length - 1};");
        Refused([.. whole, 0], $"its tensors end at byte {whole.Length}, and the file has {whole.Length + 1};");
    }

    [Theory]
    [InlineData("{", "its header is damaged (")]
    [InlineData("[]", "its header is damaged (its header is a JSON Array, not an object).")]
    [InlineData("{\"a\": {\"dtype\": \"F32\"}}", "its header is damaged (tensor 'a' needs")]
    [InlineData(
        "{\"a\": {\"dtype\": \"U8\", \"shape\": [], \"data_offsets\": [4294967296, 4294967297]}}",
        "its header is damaged (Arithmetic operation resulted in an overflow.)."
    )]
    [InlineData(
        "{\"a\": {\"dtype\": \"U8\", \"shape\": [], \"data_offsets\": [0, 4294967296]}}",
        "its header is damaged (Arithmetic operation resulted in an overflow.)."
    )]
    [InlineData(
        "{\"a\": {\"dtype\": \"U8\", \"shape\": [], \"data_offsets\": [0, 0]}, \"a\": {\"dtype\": \"U8\", \"shape\": [], \"data_offsets\": [0, 0]}}",
        "its header is damaged (it has 'a' twice)."
    )]
    [InlineData(
        "{\"a\": {\"dtype\": \"U8\", \"shape\": [1], \"data_offsets\": [1, 1]}}",
        "tensor 'a' does not begin where the one before it ends."
    )]
    [InlineData(
        "{\"a\": {\"dtype\": \"U8\", \"shape\": [1], \"data_offsets\": [0, -1]}}",
        "its header is damaged (tensor 'a' has data_offsets [0, -1]; expected [begin, end] with 0 <= begin <= end)."
    )]
    [InlineData(
        "{\"a\": {\"dtype\": \"U8\", \"shape\": [-1], \"data_offsets\": [0, 0]}}",
        "tensor 'a' does not begin where the one before it ends."
    )]
    public void AHeaderThatIsDamagedIsRefused(string header, string reason) => Refused(File(header), reason);

    [Fact]
    public void TensorsThatAreNoPartsAreRefused()
    {
        Refused(With(Part, Numbers(5, 0), Floats(1, 2)), "'w' must have ascending indices from 0 on and as many values.");
        Refused(With(Part, Numbers(5, 5), Floats(1, 2)), "'w' must have ascending indices from 0 on and as many values.");
        Refused(With(Part, Numbers(-1, 5), Floats(1, 2)), "'w' must have ascending indices from 0 on and as many values.");
        string fewer = Part.Replace("[2], \"data_offsets\": [8, 16]", "[1], \"data_offsets\": [8, 12]", StringComparison.Ordinal);
        Refused(With(fewer, Numbers(0, 5), Floats(1)), "'w' must have ascending indices from 0 on and as many values.");
        Refused(With(Part[..Part.LastIndexOf(", \"w.values", StringComparison.Ordinal)], Numbers(0, 5)), "'w' must have ascending indices");
        string other = Part.Replace("w.values", "v.values", StringComparison.Ordinal)
            .Replace("w.indices", "v.indices", StringComparison.Ordinal);
        Refused(
            With(Part.Replace("w.indices", "w.values.x", StringComparison.Ordinal), Numbers(0, 5), Floats(1, 2)),
            "it holds the tensor 'w.values.x', which is no part of a graft."
        );
        Refused(
            With(other.Replace("v.indices", "w.values", StringComparison.Ordinal), Numbers(0, 5), Floats(1, 2)),
            "it holds the tensor 'w.values', which is no part of a graft."
        );
        foreach (float value in (float[])[float.NaN, float.PositiveInfinity, float.NegativeInfinity])
        {
            Refused(With(Part, Numbers(0, 5), Floats(1, value)), "tensor 'w.values' has a value that is not finite.");
        }
    }

    [Theory]
    [InlineData("\"F32\"", "\"F16\"", "tensor 'w.values' is F16 [2] of 8 bytes, not F32.")]
    [InlineData("\"I32\"", "\"F32\"", "tensor 'w.indices' is F32 [2] of 8 bytes, not I32.")]
    [InlineData("\"F32\", \"shape\": [2]", "\"F32\", \"shape\": [3]", "tensor 'w.values' is F32 [3] of 8 bytes, not F32.")]
    [InlineData(
        "\"F32\", \"shape\": [2]",
        "\"F32\", \"shape\": [0, 4611686018427387904]",
        "is F32 [0, 4611686018427387904] of 8 bytes, not F32."
    )]
    [InlineData(
        "\"F32\", \"shape\": [2]",
        "\"F32\", \"shape\": [4611686018427387904, 4611686018427387904, 4611686018427387904, 2]",
        "4611686018427387904, 2] of 8 bytes, not F32."
    )]
    public void TensorsOfAnotherTypeOrSizeAreRefused(string was, string becomes, string reason) =>
        Refused(With(Part.Replace(was, becomes, StringComparison.Ordinal), Numbers(0, 5), Floats(1, 2)), reason);

    private static byte[] With(string tensors, params byte[][] data) => File("{" + Metadata + tensors + "}", data);

    private static byte[] File(string header, params byte[][] data)
    {
        byte[] json = Encoding.UTF8.GetBytes(header);
        return [.. BitConverter.GetBytes((long)json.Length), .. json, .. data.SelectMany(each => each)];
    }

    private static byte[] Numbers(params int[] values) => [.. values.SelectMany(BitConverter.GetBytes)];

    private static byte[] Floats(params float[] values) => [.. values.SelectMany(BitConverter.GetBytes)];

    private static void Refused(byte[] bytes, string reason)
    {
        string message = Assert.Throws<InvalidDataException>(() => GraftFile.Read(bytes, "x")).Message;
        Assert.StartsWith("x is no graft that can be read: ", message, StringComparison.Ordinal);
        Assert.Contains(reason, message, StringComparison.Ordinal);
    }
}
