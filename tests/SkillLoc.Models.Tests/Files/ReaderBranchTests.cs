using System.Text;
using Google.Protobuf;
using SkillLoc.Models.Cartography;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Merging;
using SkillLoc.Models.Runs;
using SkillLoc.Models.Tokenization;

namespace SkillLoc.Models.Tests.Files;

/// <summary>What readers of values one by one refuse, each with the reason.</summary>
public sealed class ReaderBranchTests : IDisposable
{
    private const string Steps = """ "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false} """;

    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-branches-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("[]", "a JSON Array, not an object")]
    [InlineData("\"a\"", "a JSON String, not an object")]
    [InlineData("1", "a JSON Number, not an object")]
    [InlineData("true", "a JSON True, not an object")]
    [InlineData("false", "a JSON False, not an object")]
    [InlineData("null", "a JSON Null, not an object")]
    [InlineData("""{"__metadata__":[]}""", "__metadata__ is a JSON Array")]
    [InlineData("""{"__metadata__":{"a":1}}""", "entry 'a' is a JSON Number")]
    [InlineData("""{"__metadata__":{"a":"1","a":"2"}}""", "it has 'a' twice")]
    [InlineData("""{"__metadata__":{},"__metadata__":{}}""", "it has '__metadata__' twice")]
    [InlineData("""{"a":1}""", "tensor 'a' needs a text dtype")]
    [InlineData("""{"a":{"dtype":1,"shape":[],"data_offsets":[0,1]}}""", "tensor 'a' needs a text dtype")]
    [InlineData("""{"a":{"dtype":"U8","shape":1,"data_offsets":[0,1]}}""", "tensor 'a' needs a text dtype")]
    [InlineData("""{"a":{"dtype":"U8","shape":["1"],"data_offsets":[0,1]}}""", "tensor 'a' needs a text dtype")]
    [InlineData("""{"a":{"dtype":"U8","shape":[1.5],"data_offsets":[0,1]}}""", "tensor 'a' needs a text dtype")]
    [InlineData("""{"a":{"dtype":"U8","shape":[1]}}""", "tensor 'a' needs a text dtype")]
    [InlineData("""{"a":{"dtype":"U8","data_offsets":[0,1]}}""", "tensor 'a' needs a text dtype")]
    [InlineData("""{"a":{"shape":[1],"data_offsets":[0,1]}}""", "tensor 'a' needs a text dtype")]
    [InlineData("""{"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}}""", "tensor 'a' has 'dtype' twice")]
    [InlineData("""{"a":{"dtype":"U8","shape":[1],"shape":[1],"data_offsets":[0,1]}}""", "tensor 'a' has 'shape' twice")]
    [InlineData("""{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"data_offsets":[0,1]}}""", "tensor 'a' has 'data_offsets' twice")]
    [InlineData("""{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1,"x":1}}""", "tensor 'a' has 'x' twice")]
    [InlineData("""{"a":{"dtype":"U8","shape":[1],"data_offsets":[0]}}""", "data_offsets [0]; expected")]
    [InlineData("""{"a":{"dtype":"U8","shape":[1],"data_offsets":[-1,0]}}""", "data_offsets [-1, 0]; expected")]
    [InlineData("""{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}}""", "data_offsets [1, 0]; expected")]
    [InlineData("""{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}} {}""", "not valid JSON")]
    [InlineData("{\"a\u00ff\":1}", "not valid UTF-8")]
    public void ASafetensorsHeaderIsRefusedWithTheReason(string header, string reason) => RefusedHeader(header, reason);

    [Fact]
    public void ASafetensorsHeaderOfTooMuchIsRefused()
    {
        string ones = string.Join(',', Enumerable.Repeat("1", 65));
        RefusedHeader($$"""{"a":{"dtype":"U8","shape":[{{ones}}],"data_offsets":[0,1]} }""", "more than 64 dimensions");
        string others = string.Concat(Enumerable.Range(0, 17).Select(i => $",\"x{i}\":1"));
        RefusedHeader($$"""{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]{{others}} } }""", "more than 16 such properties");
        string entries = string.Join(',', Enumerable.Range(0, 100_001).Select(i => $"\"{i}\":\"\""));
        RefusedHeader($$"""{"__metadata__": { {{entries}} } }""", "more than 100000 entries");
    }

    [Fact]
    public void PropertiesThatTheFormatDoesNotHaveArePassedOver()
    {
        byte[] header = Encoding.UTF8.GetBytes("""{"a":{"dtype":"U8","x":{"shape":[2]},"shape":[1],"data_offsets":[0,1],"y":null}} """);
        using var file = SafetensorsFile.FromBytes((byte[])[.. BitConverter.GetBytes((long)header.Length), .. header, 7]);
        Assert.Equal([1], Assert.Single(file.Tensors).Shape);
    }

    [Theory]
    [InlineData("""{"a": 0, "b": -1}""", "token 'b' has the id -1")]
    [InlineData("""{"a": 0, "b": 16777217}""", "token 'b' has the id 16777217")]
    [InlineData("""{"a": 0, "b": 1.5}""", "token 'b' has the id 1.5")]
    [InlineData("""{"a": 0, "b": {"c": [1]}}""", "token 'b' has the id {\"c\": [1]}")]
    [InlineData("""{"a": 0, "a": 1}""", "token 'a' occurs twice")]
    [InlineData("""{"a": 70000, "b": 70000}""", "tokens 'a' and 'b' both have the id 70000")]
    [InlineData("{}", "it holds no tokens")]
    [InlineData("[]", "it holds no JSON object")]
    [InlineData("""{"a": 0} x""", "it is not complete JSON")]
    public void AVocabularyIsRefusedWithTheReason(string json, string reason)
    {
        File.WriteAllText(Path.Join(_folder, "vocab.json"), json);
        File.WriteAllText(Path.Join(_folder, "merges.txt"), "");
        RefusedTokenizer("vocab.json", reason);
    }

    [Theory]
    [InlineData("\"a b\", 5", "merge 2 begins '5")]
    [InlineData("\"a b\", {}", "merge 2 begins '{}")]
    [InlineData("[\"a\"]", "merge 1 begins '[\"a\"]")]
    [InlineData("[\"a\", 1]", "merge 1 begins '[\"a\", 1]")]
    [InlineData("[1, \"a\"]", "merge 1 begins '[1")]
    [InlineData("[\"a\", \"b\", \"c\"]", "merge 1 begins '[\"a\", \"b\", \"c\"]")]
    [InlineData("[\"a\", \"b\"], \"a b\"", "merge 2 ('a b') occurs twice")]
    [InlineData("\"a  b\"", "it should be two tokens")]
    [InlineData("\"a c\"", "needs the token 'ac'")]
    public void MergesAreRefusedWithTheReason(string merges, string reason)
    {
        File.WriteAllText(
            Path.Join(_folder, "tokenizer.json"),
            $$$"""{ {{{Steps}}}, "model": {"merges": [{{{merges}}}], "type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2} } }"""
        );
        RefusedTokenizer("tokenizer.json", reason);
    }

    [Theory]
    [InlineData("""{"model": {"vocab": {"a": 0}, "vocab": {"a": 0}, "merges": []}}""", "it is not complete JSON")]
    [InlineData("""{"model": {"vocab": {"a": 0}}, "model": {"vocab": {"a": 0}, "merges": []}}""", "it is not complete JSON")]
    [InlineData("""{"model": {"vocab": 1, "merges": []}}""", "its model has no 'vocab'")]
    [InlineData("{" + Steps + """, "model": {"vocab": {"a": 0}, "merges": "x"}}""", "its model has no 'merges'")]
    [InlineData("""{"model": {"type": "Unigram", "unk_id": 0, "vocab": []}}""", "no 'vocab', an array of pieces")]
    [InlineData("""{"model": {"type": "Unigram", "unk_id": 0, "vocab": {"a": 1}}}""", "no 'vocab', an array of pieces")]
    [InlineData("""{"model": {"type": "Unigram", "unk_id": 0, "vocab": [["a", 1], ["a", 2]]}}""", "piece 'a' occurs twice")]
    [InlineData("""{"model": {"type": "Unigram", "unk_id": 0, "vocab": [1]}}""", "its vocabulary holds 1")]
    [InlineData("""{"model": {"type": "Unigram", "unk_id": 0, "vocab": [[]]}}""", "its vocabulary holds []")]
    [InlineData("""{"model": {"type": "Unigram", "unk_id": 0, "vocab": [["a"]]}}""", "its vocabulary holds [\"a\"]")]
    [InlineData("""{"model": {"type": "Unigram", "unk_id": 0, "vocab": [["a", "b"]]}}""", "its vocabulary holds [\"a\", \"b\"]")]
    [InlineData("""{"model": {"type": "Unigram", "unk_id": 0, "vocab": [["a", 1, 2]]}}""", "its vocabulary holds [\"a\", 1, 2]")]
    [InlineData("[]", "it holds a JSON Array")]
    public void ASerializedTokenizerIsRefusedWithTheReason(string json, string reason)
    {
        File.WriteAllText(Path.Join(_folder, "tokenizer.json"), json);
        RefusedTokenizer("tokenizer.json", reason);
    }

    [Fact]
    public void LinesOfTokensHaveALimit()
    {
        File.WriteAllText(Path.Join(_folder, "vocab.txt"), "[UNK]\n" + new string('a', 70_000));
        RefusedTokenizer("vocab.txt", "line 2 has 70000 characters");
        File.WriteAllBytes(Path.Join(_folder, "vocab.txt"), [.. "[UNK]\n"u8, 0xFF]);
        RefusedTokenizer("vocab.txt", "it is not UTF-8 text");
    }

    [Theory]
    [InlineData("[]", "holds StartArray")]
    [InlineData("{\"0\": []}", "row '0' must be")]
    [InlineData("""{"0": {"acc": [1], "acc": [1], "confidence": [1]}}""", "row '0' must be")]
    [InlineData("""{"0": {"acc": [true], "confidence": [1]}}""", "row '0' must be")]
    [InlineData("""{"0": {"acc": 1, "confidence": [1]}}""", "row '0' must be")]
    [InlineData("""{"0": {"acc": [1]}}""", "row '0' must be")]
    [InlineData("""{"0": {"confidence": [1]}}""", "row '0' must be")]
    [InlineData("""{"01": {"acc": [1], "confidence": [1]}}""", "row '01' must be")]
    [InlineData("""{"0": {"acc": [1], "confidence": [1]}, "0": {"acc": [1], "confidence": [1]}}""", "row '0' occurs twice")]
    [InlineData("""{"0": {"acc": [1], "confidence": [1]}""", "holds no training dynamics")]
    public void TrainingDynamicsAreRefusedWithTheReason(string json, string reason)
    {
        string path = Path.Join(_folder, "cartography.json");
        File.WriteAllText(path, json);
        Named(path, reason, Assert.Throws<InvalidDataException>(() => TrainingDynamics.Load(path)).Message);
    }

    [Fact]
    public void FilesOfSettingsHaveALimit()
    {
        string config = Path.Join(_folder, "config.json");
        File.WriteAllText(config, "{\"model_type\": \"" + new string('a', 9 << 20) + "\"}");
        Named(config, "at most 8388608", Assert.Throws<InvalidDataException>(() => ModelConfig.Load(config)).Message);
        File.WriteAllText(config, "{\"model_type\": [" + string.Concat(Enumerable.Repeat("1,", 300_000)) + "1]}");
        Named(
            config,
            "values, which would take too much memory",
            Assert.Throws<InvalidDataException>(() => ModelConfig.Load(config)).Message
        );
        string recipe = Path.Join(_folder, "merge.yml");
        File.WriteAllText(recipe, new string('a', 3 << 20));
        Named(recipe, "at most 2097152", Assert.Throws<InvalidDataException>(() => MergeRecipeFile.Load(recipe)).Message);
        string log = Path.Join(_folder, "runs.jsonl");
        File.WriteAllText(log, string.Concat(Enumerable.Repeat("{\"kind\":\"\"}\n", 60_000)));
        Named(log, "too much memory", Assert.Throws<InvalidDataException>(() => RunRecord.Read(log)).Message);
    }

    [Theory]
    [InlineData(new byte[] { 0xEF, 0xBB, 0xBF }, "utf-8")]
    [InlineData(new byte[] { 0xFF, 0xFE }, "utf-16")]
    public void AConfigurationMayBeginWithAByteOrderMark(byte[] mark, string encoding)
    {
        string path = Path.Join(_folder, "config.json");
        File.WriteAllBytes(path, [.. mark, .. Encoding.GetEncoding(encoding).GetBytes("{\"model_type\": \"unknown\"}")]);
        Assert.Equal("unknown", ModelConfig.Load(path).ModelType);
    }

    [Fact]
    public void AnOnnxFileOfTooManyPartsIsRefused()
    {
        byte[] fields = [.. Enumerable.Repeat((byte[])[0x0a, 0], 1_000_000).SelectMany(field => field)];
        Refused(fields, "which would take too much memory");
        // Nodes whose only output has no name.
        byte[] nodes = [.. Enumerable.Repeat((byte[])[0x0a, 2, 0x12, 0], 1_000_000).SelectMany(field => field)];
        Refused(Field(7, nodes), "nodes and tensors, which would take too much memory");
        Refused(Field(7, Field(5, Field(1, [.. Enumerable.Repeat((byte)1, 65)]))), "more than 64 dimensions");
        Refused(Field(7, Field(5, Field(7, [.. Enumerable.Repeat((byte)1, 70_000)]))), "more than 65536 packed numbers");
        Refused([0x3a, 5, 1], "longer than the 3 bytes that are left");

        static void Refused(byte[] file, string reason) =>
            Named("x.onnx", reason, Assert.Throws<InvalidDataException>(() => OnnxCheckpoint.Parse(file, "x.onnx")).Message);

        static byte[] Field(int number, byte[] content)
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

    private static void Named(string path, string reason, string message)
    {
        Assert.StartsWith(path, message, StringComparison.Ordinal);
        Assert.Contains(reason, message, StringComparison.Ordinal);
    }

    private void RefusedTokenizer(string file, string reason) =>
        Named(Path.Join(_folder, file), reason, Assert.Throws<InvalidDataException>(() => CheckpointTokenizer.Load(_folder)).Message);

    private static void RefusedHeader(string header, string reason)
    {
        byte[] json = Encoding.Latin1.GetBytes(header);
        byte[] file = [.. BitConverter.GetBytes((long)json.Length), .. json, 7];
        Named("x", reason, Assert.Throws<InvalidDataException>(() => SafetensorsFile.FromBytes(file, "x")).Message);
    }
}
