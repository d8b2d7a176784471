using System.Text;
using System.Text.Json;
using SkillLoc.Models.Checkpoints;

namespace SkillLoc.Models.Tests.Checkpoints;

/// <summary>What a safetensors header says, value by value, and what it may not say.</summary>
public sealed class SafetensorsHeaderTests
{
    [Theory]
    [InlineData("{}", "", "")]
    [InlineData("""{"a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}""", "a F32 [2, 3] 0 24", "")]
    [InlineData(
        """{"a": {"data_offsets": [7, 7], "shape": [], "dtype": "U8"}, "\u00e9": {"dtype": "U8", "shape": [0], "data_offsets": [7, 8]}}""",
        "a U8 [] 7 7, \u00e9 U8 [0] 7 8",
        ""
    )]
    [InlineData(
        """{"__metadata__": {"k": "v", "": "\u00e9"}, "a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 9223372036854775807]}}""",
        "a F32 [-1] 0 9223372036854775807",
        "k=v, =\u00e9"
    )]
    [InlineData(
        """{"a": {"dtype": "x", "more": {"dtype": [1]}, "shape": [1], "data_offsets": [0, 1], "less": null}, "__metadata__": {}}""",
        "a x [1] 0 1",
        ""
    )]
    [InlineData(
        """{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}, "a": {"dtype": "F16", "shape": [1], "data_offsets": [4, 6]}}""",
        "a F32 [1] 0 4, a F16 [1] 4 6",
        ""
    )]
    public void IsRead(string header, string tensors, string metadata)
    {
        byte[] json = Encoding.UTF8.GetBytes(header);
        var entries = new List<SafetensorsHeader.Entry>();
        Dictionary<string, string> found = SafetensorsHeader.Read(json, entries.Add);
        Assert.Equal(
            tensors,
            string.Join(", ", entries.Select(each => $"{each.Name} {each.Dtype} [{string.Join(", ", each.Shape)}] {each.Begin} {each.End}"))
        );
        Assert.Equal(metadata, string.Join(", ", found.Select(each => $"{each.Key}={each.Value}")));
        // Metadata are counted too; there is room for them.
        Assert.Equal(entries.Count + (header.Contains("__metadata__", StringComparison.Ordinal) ? 1 : 0), SafetensorsHeader.Count(json));
    }

    [Theory]
    [InlineData("[]", "its header is a JSON Array, not an object")]
    [InlineData("\"a\"", "its header is a JSON String, not an object")]
    [InlineData("1", "its header is a JSON Number, not an object")]
    [InlineData("true", "its header is a JSON True, not an object")]
    [InlineData("false", "its header is a JSON False, not an object")]
    [InlineData("null", "its header is a JSON Null, not an object")]
    [InlineData("""{"__metadata__": []}""", "__metadata__ is a JSON Array, not an object of strings")]
    [InlineData("""{"__metadata__": "a"}""", "__metadata__ is a JSON String, not an object of strings")]
    [InlineData("""{"__metadata__": {"a": {}}}""", "__metadata__ entry 'a' is a JSON Object, not a string")]
    [InlineData("""{"__metadata__": {"a": null}}""", "__metadata__ entry 'a' is a JSON Null, not a string")]
    [InlineData("""{"__metadata__": {"a": "1", "b": "1", "a": "2"}}""", "it has 'a' twice")]
    [InlineData("""{"__metadata__": {}, "__metadata__": {}}""", "it has '__metadata__' twice")]
    [InlineData("""{"a": []}""", "tensor 'a' needs a text dtype and the arrays of whole numbers shape and data_offsets")]
    [InlineData("""{"a": {"dtype": null}}""", "tensor 'a' needs a text dtype and the arrays of whole numbers shape and data_offsets")]
    [InlineData("""{"a": {"shape": {}}}""", "tensor 'a' needs a text dtype and the arrays of whole numbers shape and data_offsets")]
    [InlineData("""{"a": {"shape": [null]}}""", "tensor 'a' needs a text dtype and the arrays of whole numbers shape and data_offsets")]
    [InlineData("""{"a": {"shape": [[1]]}}""", "tensor 'a' needs a text dtype and the arrays of whole numbers shape and data_offsets")]
    [InlineData("""{"a": {"shape": [9223372036854775808]}}""", "tensor 'a' needs a text dtype and the arrays of whole numbers")]
    [InlineData("""{"a": {"data_offsets": "0"}}""", "tensor 'a' needs a text dtype and the arrays of whole numbers shape and data_offsets")]
    [InlineData("""{"a": {"dtype": "U8", "shape": []}}""", "tensor 'a' needs a text dtype and the arrays of whole numbers shape and")]
    [InlineData("""{"a": {"dtype": "U8", "data_offsets": [0, 1]}}""", "tensor 'a' needs a text dtype and the arrays of whole numbers")]
    [InlineData("""{"a": {"shape": [], "data_offsets": [0, 1]}}""", "tensor 'a' needs a text dtype and the arrays of whole numbers")]
    [InlineData("""{"a": {"dtype": "U8", "dtype": "U8"}}""", "tensor 'a' has 'dtype' twice")]
    [InlineData("""{"a": {"shape": [], "shape": []}}""", "tensor 'a' has 'shape' twice")]
    [InlineData("""{"a": {"data_offsets": [], "data_offsets": []}}""", "tensor 'a' has 'data_offsets' twice")]
    [InlineData("""{"a": {"x": 1, "y": 1, "x": 1}}""", "tensor 'a' has 'x' twice, or more than 16 such properties")]
    [InlineData(
        """{"a": {"dtype": "U8", "shape": [], "data_offsets": []}}""",
        "tensor 'a' has data_offsets []; expected [begin, end] with 0 <= begin <= end"
    )]
    [InlineData("""{"a": {"dtype": "U8", "shape": [], "data_offsets": [0]}}""", "tensor 'a' has data_offsets [0]; expected [begin, end]")]
    [InlineData(
        """{"a": {"dtype": "U8", "shape": [], "data_offsets": [0, 1, 2]}}""",
        "tensor 'a' has data_offsets [0, 1, 2]; expected [begin, end]"
    )]
    [InlineData(
        """{"a": {"dtype": "U8", "shape": [], "data_offsets": [-1, 2]}}""",
        "tensor 'a' has data_offsets [-1, 2]; expected [begin, end]"
    )]
    [InlineData(
        """{"a": {"dtype": "U8", "shape": [], "data_offsets": [2, 1]}}""",
        "tensor 'a' has data_offsets [2, 1]; expected [begin, end]"
    )]
    public void IsRefused(string header, string reason) =>
        Assert.StartsWith(reason, Assert.Throws<FormatException>(() => Read(header)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("{} {}")]
    [InlineData("""{"a": {"dtype": "\ud800"}}""")]
    [InlineData("""{"a": {"dtype": "U8", "shape": [1,], "data_offsets": [0, 1]}}""")]
    public void IsJson(string header) => Assert.ThrowsAny<JsonException>(() => Read(header));

    [Fact]
    public void HasLimits()
    {
        string ones = string.Join(',', Enumerable.Repeat("1", 64));
        Assert.Equal(64, Read($$$"""{"a": {"dtype": "U8", "shape": [{{{ones}}}], "data_offsets": [0, 1]} }""").Single().Shape.Length);
        Refused(
            $$$"""{"a": {"dtype": "U8", "shape": [{{{ones}}}, 1], "data_offsets": [0, 1]} }""",
            "tensor 'a' has more than 64 dimensions"
        );
        string others = string.Concat(Enumerable.Range(0, 16).Select(i => $", \"x{i}\": {i}"));
        Assert.Single(Read($$$"""{"a": {"dtype": "U8", "shape": [], "data_offsets": [0, 1]{{{others}}}} }"""));
        Refused(
            $$$"""{"a": {"dtype": "U8", "shape": [], "data_offsets": [0, 1]{{{others}}}, "y": 1} }""",
            "tensor 'a' has 'y' twice, or more than 16 such properties"
        );
        string entries = string.Join(',', Enumerable.Range(0, 100_000).Select(i => $"\"{i}\":\"\""));
        Assert.Empty(Read($$"""{"__metadata__": { {{entries}} } }"""));
        Refused($$"""{"__metadata__": { {{entries}}, "a": "" } }""", "__metadata__ has more than 100000 entries");

        static void Refused(string header, string reason) =>
            Assert.Equal(reason, Assert.Throws<FormatException>(() => Read(header)).Message);
    }

    private static List<SafetensorsHeader.Entry> Read(string header)
    {
        var entries = new List<SafetensorsHeader.Entry>();
        SafetensorsHeader.Read(Encoding.UTF8.GetBytes(header), entries.Add);
        return entries;
    }
}
