using System.Buffers.Binary;
using System.Text;
using System.Text.Json;
using SkillLoc.Models.Checkpoints;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Checkpoints;

public class SafetensorsTests
{
    public static TheoryData<ScalarType, string, int> Types =>
        new()
        {
            { ScalarType.Float64, "F64", 8 },
            { ScalarType.Float32, "F32", 4 },
            { ScalarType.Float16, "F16", 2 },
            { ScalarType.BFloat16, "BF16", 2 },
            { ScalarType.Int64, "I64", 8 },
            { ScalarType.Int32, "I32", 4 },
            { ScalarType.Int16, "I16", 2 },
            { ScalarType.Int8, "I8", 1 },
            { ScalarType.Byte, "U8", 1 },
            { ScalarType.Bool, "BOOL", 1 },
        };

    [Theory]
    [MemberData(nameof(Types))]
    public void EveryTypeComesBackBitByBit(ScalarType type, string name, int size)
    {
        using DisposeScope scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        string path = folder.PathOf("a.safetensors");
        Tensor matrix = torch.arange(6, dtype: ScalarType.Float32).reshape(2, 3).to(type);
        Tensor scalar = torch.ones(Array.Empty<long>(), dtype: ScalarType.Float32).to(type);
        Tensor empty = torch.empty(new long[] { 0, 3 }, dtype: type);
        SafetensorsWriter.Write(path, [("matrix", matrix), ("scalar", scalar), ("empty", empty)]);

        // Plain JSON and plain bytes, as any other program would read them.
        byte[] bytes = File.ReadAllBytes(path);
        long headerLength = BinaryPrimitives.ReadInt64LittleEndian(bytes);
        Assert.Equal(0, (headerLength + 8) % 8);
        using var header = JsonDocument.Parse(bytes.AsMemory(8, (int)headerLength));
        Assert.Equal(name, header.RootElement.GetProperty("matrix").GetProperty("dtype").GetString());
        Assert.Equal(6 * size, header.RootElement.GetProperty("matrix").GetProperty("data_offsets")[1].GetInt32());
        Assert.Equal(8 + headerLength + (7 * size), bytes.Length);

        using var file = SafetensorsFile.Open(path);
        Assert.Equal(["matrix", "scalar", "empty"], file.Tensors.Select(info => info.Name));
        foreach ((Tensor? tensor, TensorInfo? info) in new[] { matrix, scalar, empty }.Zip(file.Tensors))
        {
            Tensor read = file.Read(info.Name);
            Assert.Equal(tensor.shape, info.Shape);
            Assert.Equal(tensor.shape, read.shape);
            Assert.Equal((type, type), (info.Dtype, read.dtype));
            Assert.Equal(Bytes(tensor), Bytes(read));
        }
    }

    [Fact]
    public void ReadsWhatTheReferenceImplementationWrote()
    {
        using DisposeScope scope = NewDisposeScope();
        using var file = SafetensorsFile.Open(Oracles.PathOf("tiny-roberta", "model.safetensors"));
        Assert.Equal("pt", file.Metadata["format"]);
        TensorInfo embeddings = Assert.Single(file.Tensors, info => info.Name == "roberta.embeddings.word_embeddings.weight");
        Assert.Equal([900, 48], embeddings.Shape);
        Assert.Equal(900 * 48 * 4, embeddings.ByteLength);
        Assert.True(file.Contains("lm_head.bias"));
        Assert.False(file.Contains("lm_head"));

        using var expected = SafetensorsFile.Open(Oracles.PathOf("tiny-roberta", "expected.safetensors"));
        Tensor ids = expected.Read("input_ids");
        Tensor hidden = expected.Read("hidden.0");
        Assert.Equal(ScalarType.Int64, ids.dtype);
        Assert.Equal(ids.shape, hidden.shape[..2]);
        Assert.Equal(0, ids.data<long>()[0]); // <s>
    }

    [Fact]
    public void Bfloat16AndFloat16AreTheUpperHalvesThatTheFormatsSay()
    {
        using DisposeScope scope = NewDisposeScope();
        byte[] bytes = Pack(
            """{"b":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]},"h":{"dtype":"F16","shape":[2],"data_offsets":[4,8]}}""",
            [0x80, 0x3f, 0x20, 0xc0, 0x00, 0x3c, 0xff, 0x7b]
        );
        using var file = SafetensorsFile.FromBytes(bytes);
        Assert.Equal([1f, -2.5f], file.Read("b", ScalarType.Float32).data<float>().ToArray());
        Assert.Equal([1f, 65504f], file.Read("h", ScalarType.Float32).data<float>().ToArray());
    }

    [Fact]
    public void StoresWeightsAsAnotherTypeOnRequestButNotIntegers()
    {
        using DisposeScope scope = NewDisposeScope();
        using var stream = new MemoryStream();
        SafetensorsWriter.Write(
            stream,
            [("w", torch.tensor(new[] { 1f, -2.5f })), ("ids", torch.tensor(new[] { 7L }))],
            storeAs: ScalarType.BFloat16
        );
        using var file = SafetensorsFile.FromBytes(stream.ToArray());
        byte[] raw = new byte[4];
        file.CopyBytes("w", 0, raw);
        Assert.Equal([0x80, 0x3f, 0x20, 0xc0], raw);
        Assert.Equal([7L], file.Read("ids").data<long>().ToArray());
        Assert.Throws<ArgumentException>(() => SafetensorsWriter.Write(stream, [], storeAs: ScalarType.Int8));
    }

    [Fact]
    public void OrderMetadataAndAlignmentAreKeptThroughAStream()
    {
        using DisposeScope scope = NewDisposeScope();
        using var stream = new MemoryStream();
        (string, Tensor)[] tensors =
        [
            ("z", torch.tensor(new byte[] { 1, 2, 3 })),
            ("a", torch.tensor(new[] { 4f })),
            ("ü \"quoted\" \n", torch.tensor(new[] { 5.0 })),
            ("m", torch.tensor(new byte[] { 6 })),
        ];
        SafetensorsWriter.Write(stream, tensors, new Dictionary<string, string> { ["kéy"] = "välue\t", ["b"] = "" });
        stream.Position = 0;
        using var file = SafetensorsFile.FromStream(stream);
        Assert.Equal(tensors.Select(tensor => tensor.Item1), file.Tensors.Select(info => info.Name));
        Assert.Equal(("välue\t", ""), (file.Metadata["kéy"], file.Metadata["b"]));
        foreach ((string? name, Tensor? value) in tensors)
        {
            Assert.Equal(Bytes(value), Bytes(file.Read(name)));
        }

        byte[] bytes = stream.ToArray();
        using var header = JsonDocument.Parse(bytes.AsMemory(8, (int)BinaryPrimitives.ReadInt64LittleEndian(bytes)));
        foreach ((string? name, Tensor? value) in tensors)
        {
            Assert.Equal(0, header.RootElement.GetProperty(name).GetProperty("data_offsets")[0].GetInt32() % value.element_size());
        }
    }

    [Fact]
    public void ViewsAreWrittenInRowMajorOrderAndGradientsDoNotMatter()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor matrix = torch.arange(6, dtype: ScalarType.Float32).reshape(2, 3);
        Tensor parameter = torch.ones(2, requires_grad: true);
        using var stream = new MemoryStream();
        SafetensorsWriter.Write(stream, [("t", matrix.t()), ("row", matrix.narrow(0, 1, 1)), ("p", parameter * 2)]);
        using var file = SafetensorsFile.FromBytes(stream.ToArray());
        Assert.Equal([0f, 3, 1, 4, 2, 5], file.Read("t").data<float>().ToArray());
        Assert.Equal([3f, 4, 5], file.Read("row").data<float>().ToArray());
        Assert.Equal([2f, 2], file.Read("p").data<float>().ToArray());
        Assert.False(file.Read("p").requires_grad);
    }

    [Fact]
    public void ConversionGoesPieceByPieceWithoutASeam()
    {
        // More than one piece of 16 MiB each way.
        using DisposeScope scope = NewDisposeScope();
        Tensor numbers = torch.arange(5_000_000, dtype: ScalarType.Float32);
        using var stream = new MemoryStream();
        SafetensorsWriter.Write(stream, [("n", numbers)], storeAs: ScalarType.Float64);
        using var file = SafetensorsFile.FromBytes(stream.ToArray());
        Assert.Equal(Bytes(numbers), Bytes(file.Read("n", ScalarType.Float32)));
    }

    [Fact]
    public void NothingIsLeftBehind()
    {
        using var folder = new TemporaryFolder();
        string path = folder.PathOf("a.safetensors");
        using Tensor tensor = torch.ones(3, 4);
        using Tensor view = tensor.t();
        SafetensorsWriter.Write(path, [("a", tensor), ("b", view)], storeAs: ScalarType.Float16);
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        SafetensorsWriter.Write(path, [("a", tensor), ("b", view)], storeAs: ScalarType.Float16);
        using (var file = SafetensorsFile.Open(path))
        {
            file.Read("a").Dispose();
            file.ReadFinite("b", ScalarType.Float32).Dispose();
            CheckpointFingerprint.Compute(file);
        }
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    [Fact]
    public void TensorsOutliveTheFileButTheFileCannotBeReadAfterItIsDisposed()
    {
        var file = SafetensorsFile.Open(Oracles.PathOf("tiny-roberta", "model.safetensors"));
        using Tensor bias = file.Read("lm_head.bias");
        file.Dispose();
        file.Dispose();
        Assert.Equal(900, bias.numel());
        Assert.Throws<ObjectDisposedException>(() => file.Read("lm_head.bias"));
    }

    [Fact]
    public void UnknownNamesAndBytesOutsideOfATensorAreRefused()
    {
        using var file = SafetensorsFile.FromBytes(Pack("""{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}""", [1, 2, 3]), "my file");
        KeyNotFoundException error = Assert.Throws<KeyNotFoundException>(() => file.Read("b"));
        Assert.Contains("my file", error.Message, StringComparison.Ordinal);
        Assert.Contains("'b'", error.Message, StringComparison.Ordinal);
        byte[] two = new byte[2];
        file.CopyBytes("a", 1, two);
        Assert.Equal([2, 3], two);
        Assert.Throws<ArgumentOutOfRangeException>(() => file.CopyBytes("a", 2, two));
        Assert.Throws<ArgumentOutOfRangeException>(() => file.CopyBytes("a", -1, two));
    }

    [Fact]
    public void NamesTwiceOrReservedAreRefusedAndWriteNothing()
    {
        using DisposeScope scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        Tensor one = torch.ones(1);
        Assert.Throws<ArgumentException>(() => SafetensorsWriter.Write(folder.PathOf("a"), [("x", one), ("x", one)]));
        Assert.Throws<ArgumentException>(() => SafetensorsWriter.Write(folder.PathOf("a"), [("__metadata__", one)]));
        Assert.Empty(folder.Names());
    }

    [Theory]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}""", 4, "needs 8 bytes, but its data_offsets give it 4")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", 3, "truncated")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", 5, "longer")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", 8, "'a' begins at byte 4")]
    [InlineData(
        """{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}""",
        6,
        "'b' begins at byte 2"
    )]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}""", 4, "0 <= begin <= end")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}""", 4, "0 <= begin <= end")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}}""", 4, "0 <= begin <= end")]
    [InlineData("""{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}""", 4, "impossible shape")]
    [InlineData("""{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}""", 0, "impossible shape")]
    [InlineData("""{"a":{"dtype":"F32","shape":[0,4611686018427387904,4],"data_offsets":[0,0]}}""", 0, "impossible shape")]
    [InlineData("""{"a":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}}""", 1, "F8_E4M3; supported are F64")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}}""", 4, "'a' needs")]
    [InlineData("""{"a":{"shape":[1],"data_offsets":[0,4]}}""", 4, "'a' needs")]
    [InlineData("""{"a":7}""", 0, "'a' needs")]
    [InlineData(
        """{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}""",
        2,
        "'a' twice"
    )]
    [InlineData("""{"__metadata__":{"a":1}}""", 0, "'a' is a JSON Number")]
    [InlineData("""{"__metadata__":[]}""", 0, "not an object of strings")]
    [InlineData("""{"\ud800":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}""", 1, "JSON")]
    [InlineData("[]", 0, "not an object")]
    [InlineData("{", 0, "JSON")]
    public void HeadersThatLieAreRefusedWithTheReason(string header, int dataLength, string reason)
    {
        InvalidDataException error = Assert.Throws<InvalidDataException>(() =>
            SafetensorsFile.FromBytes(Pack(header, new byte[dataLength]), "x.safetensors")
        );
        Assert.StartsWith("x.safetensors", error.Message, StringComparison.Ordinal);
        Assert.Contains(reason, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(new byte[0], "0 bytes")]
    [InlineData(new byte[] { 1, 0, 0 }, "3 bytes")]
    [InlineData(new byte[] { 9, 0, 0, 0, 0, 0, 0, 0, (byte)'{' }, "should have 9 bytes, but only 1")]
    [InlineData(new byte[] { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }, "another kind of file")]
    public void FilesTooShortForTheirHeaderAreRefused(byte[] bytes, string reason)
    {
        using var folder = new TemporaryFolder();
        string path = folder.PathOf("a.safetensors");
        File.WriteAllBytes(path, bytes);
        InvalidDataException error = Assert.Throws<InvalidDataException>(() => SafetensorsFile.Open(path));
        Assert.Contains(path, error.Message, StringComparison.Ordinal);
        Assert.Contains(reason, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void AMissingFileIsNamed() =>
        Assert.Contains(
            "nowhere",
            Assert.Throws<FileNotFoundException>(() => SafetensorsFile.Open("nowhere")).Message,
            StringComparison.Ordinal
        );

    [Fact]
    public void WhateverIsDamagedIsReadOrRefusedAndNothingElse()
    {
        byte[] good = Pack(
            """{"__metadata__":{"k":"v"},"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[0],"data_offsets":[8,8]},"c":{"dtype":"BOOL","shape":[],"data_offsets":[8,9]}}""",
            [0, 0, 128, 63, 0, 0, 0, 64, 1]
        );
        SafetensorsFile.FromBytes(good).Dispose();
        var random = new Random(1);
        int refused = 0;
        for (int round = 0; round < 5000; round++)
        {
            byte[] bytes = Damage(good, random);
            try
            {
                using var file = SafetensorsFile.FromBytes(bytes);
                foreach (TensorInfo info in file.Tensors)
                {
                    file.Read(info.Name).Dispose();
                }
            }
            catch (InvalidDataException)
            {
                refused++;
            }
        }
        Assert.InRange(refused, 2000, 5000);
    }

    internal static byte[] Damage(byte[] good, Random random)
    {
        List<byte> bytes = good.ToList();
        for (int edits = random.Next(1, 4); edits > 0; edits--)
        {
            int at = random.Next(bytes.Count);
            switch (random.Next(5))
            {
                case 0:
                    bytes[at] = (byte)random.Next(256);
                    break;
                case 1:
                    bytes[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 2:
                    bytes.Insert(at, (byte)random.Next(256));
                    break;
                case 3 when bytes.Count > 1:
                    bytes.RemoveAt(at);
                    break;
                default:
                    // Digits are where the lies about sizes are.
                    if (bytes[at] is >= (byte)'0' and <= (byte)'9')
                    {
                        bytes[at] = (byte)random.Next('0', '9' + 1);
                    }

                    break;
            }
        }
        return random.Next(10) == 0 ? [.. bytes.Take(random.Next(bytes.Count))] : [.. bytes];
    }

    internal static byte[] Bytes(Tensor tensor) => tensor.numel() == 0 ? [] : tensor.contiguous().bytes.ToArray();

    private static byte[] Pack(string header, byte[] data)
    {
        byte[] text = Encoding.UTF8.GetBytes(header);
        byte[] length = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, text.Length);
        return [.. length, .. text, .. data];
    }
}
