using System.IO.Compression;
using System.Text;
using SkillLoc.Models.Checkpoints;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Checkpoints;

/// <summary>The files of <c>oracles/torch-save</c> are written by PyTorch itself; <c>make.py</c> there says what is in them.</summary>
public class TorchCheckpointFileTests
{
    [Fact]
    public void TheSameWeightsAreTheSameBitByBitAsInSafetensors()
    {
        using DisposeScope scope = NewDisposeScope();
        using var bin = TorchCheckpointFile.Open(Oracles.PathOf("tiny-roberta", "pytorch_model.bin"));
        using var safetensors = SafetensorsFile.Open(Oracles.PathOf("tiny-roberta", "model.safetensors"));
        foreach (TensorInfo info in safetensors.Tensors)
        {
            Tensor expected = safetensors.Read(info.Name);
            Tensor actual = bin.Read(info.Name);
            Assert.Equal(expected.shape, actual.shape);
            Assert.Equal(SafetensorsTests.Bytes(expected), SafetensorsTests.Bytes(actual));
        }
    }

    [Theory]
    [InlineData("kinds.bin")]
    [InlineData("protocol4.bin")]
    [InlineData("legacy.bin")]
    public void EveryTypeAndEveryKindOfViewIsRead(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        using var file = TorchCheckpointFile.Open(Oracles.PathOf("torch-save", name));
        Assert.Equal(
            [
                "plain",
                "transposed",
                "window",
                "every_third",
                "block",
                "scalar",
                "empty",
                "half",
                "bfloat",
                "longs",
                "ints",
                "shorts",
                "chars",
                "bytes",
                "bools",
                "parameter",
            ],
            file.Tensors.Select(info => info.Name)
        );
        float[] Floats(string tensor) => file.Read(tensor, ScalarType.Float32).data<float>().ToArray();
        static IEnumerable<float> Count(int from, int count, int step = 1) =>
            Enumerable.Range(0, count).Select(i => (float)(from + (i * step)));

        Assert.Equal(Count(0, 24), Floats("plain"));
        Assert.Equal([6, 4], file.Read("transposed").shape);
        Assert.Equal(Enumerable.Range(0, 6).SelectMany(column => Count(column, 4, 6)), Floats("transposed"));
        Assert.True(file.Read("transposed").is_contiguous());
        Assert.Equal(Count(10, 6), Floats("window"));
        Assert.Equal(Count(1, 8, 3), Floats("every_third"));
        Assert.Equal([8, 9, 10, 14, 15, 16], Floats("block"));
        Assert.Equal([0, 3], file.Read("empty").shape);
        Assert.Empty(file.Read("scalar").shape);
        Assert.Equal(3.5, file.Read("scalar").item<double>());
        Assert.Equal([1.5f, -2, 65504], Floats("half"));
        Assert.Equal([1.5f, -2, 3.3895314e38f], Floats("bfloat"));
        Assert.Equal([-1, 1L << 40], file.Read("longs").data<long>().ToArray());
        Assert.Equal([-1, 1 << 30], file.Read("ints").data<int>().ToArray());
        Assert.Equal([(short)-1, (short)(1 << 14)], file.Read("shorts").data<short>().ToArray());
        Assert.Equal([(sbyte)-1, (sbyte)127], file.Read("chars").data<sbyte>().ToArray());
        Assert.Equal([(byte)0, (byte)255], file.Read("bytes").data<byte>().ToArray());
        Assert.Equal([true, false, true], file.Read("bools").data<bool>().ToArray());
        Assert.Equal([1, 1], Floats("parameter"));
    }

    [Fact]
    public void AStateDictAmongOtherPlainValuesIsFound()
    {
        using DisposeScope scope = NewDisposeScope();
        using var file = TorchCheckpointFile.Open(Oracles.PathOf("torch-save", "wrapped.bin"));
        Assert.Equal(["weight", "bias"], file.Tensors.Select(info => info.Name));
        Assert.Equal([0.25f, -4], file.Read("weight").data<float>().ToArray());
        Assert.Equal([8f], file.Read("bias").data<float>().ToArray());
    }

    [Theory]
    [InlineData("evil.bin", "posix.system")]
    [InlineData("complex.bin", "torch.ComplexFloatStorage")]
    [InlineData("list.bin", "state dict")]
    [InlineData("make.py", "not a zip")]
    public void WhatIsNotAPlainStateDictIsRefusedByName(string name, string reason)
    {
        string path = Oracles.PathOf("torch-save", name);
        InvalidDataException error = Assert.Throws<InvalidDataException>(() => TorchCheckpointFile.Open(path));
        Assert.Contains(path, error.Message, StringComparison.Ordinal);
        Assert.Contains(reason, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("cbuiltins\neval\n(X\u0001\0\0\01tR.", "builtins.eval")]
    [InlineData("c__builtin__\nexec\n.", "__builtin__.exec")]
    [InlineData("ctorch\nload\n.", "torch.load")]
    [InlineData("ctorch.hub\nload\n.", "torch.hub.load")]
    [InlineData("ccollections\nOrderedDict.__init__\n.", "collections.OrderedDict.__init__")]
    [InlineData("U\u0005posixU\u0006system\u0093.", "posix.system")]
    [InlineData("(ios\nsystem\n.", "0x69")]
    [InlineData("S'text'\n.", "0x53")]
    [InlineData("\u0082\u0001.", "0x82")]
    [InlineData("}\u0081.", "0x81")]
    [InlineData("ccollections\nOrderedDict\n)R}R.", "should have a tuple")]
    [InlineData("}K\u0001\u0085R.", "not a function")]
    [InlineData("ctorch._utils\n_rebuild_tensor_v2\n)R.", "unexpected arguments")]
    [InlineData("U\u0001a\u0085Q.", "not a tensor's storage")]
    [InlineData("K\u0001}b.", "should have a dictionary")]
    [InlineData("]K\u0001K\u0001s.", "should have a dictionary")]
    [InlineData("}(K\u0001u.", "without a value")]
    [InlineData("h\u0007.", "recalls entry 7")]
    [InlineData("t.", "more values")]
    [InlineData(".", "more values")]
    [InlineData("(0.", "more values")]
    [InlineData("X\u00ff\u00ff\u00ff\u00ff", "truncated")]
    [InlineData("U\u0001\u00ff.", "UTF-8")]
    [InlineData("\u0080\u0009.", "protocol 9")]
    [InlineData("\u008a\u0009aaaaaaaaa.", "9 bytes")]
    [InlineData("}", "truncated")]
    [InlineData("N.", "state dict")]
    [InlineData("}.", "no tensors")]
    public void CraftedPicklesAreRefusedWithTheReason(string pickle, string reason)
    {
        using var folder = new TemporaryFolder();
        string path = Zip(folder, Encoding.Latin1.GetBytes(pickle));
        InvalidDataException error = Assert.Throws<InvalidDataException>(() => TorchCheckpointFile.Open(path));
        Assert.Contains(path, error.Message, StringComparison.Ordinal);
        Assert.Contains(reason, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0, 2, 1, null)]
    [InlineData(2, 2, 1, null)]
    [InlineData(3, 2, 1, "does not fit")]
    [InlineData(0, 5, 1, "does not fit")]
    [InlineData(0, 2, 4, "does not fit")]
    [InlineData(0, 2, 3, null)]
    [InlineData(0, 4, 0, null)]
    [InlineData(0, 5, 0, "does not fit")]
    [InlineData(255, 0, 1, "does not fit")]
    public void ViewsBeyondTheirStorageAreRefused(int offset, int size, int stride, string? reason)
    {
        using var folder = new TemporaryFolder();
        string path = Zip(folder, TensorPickle(offset, size, stride), ("0", new byte[16]));
        if (reason is null)
        {
            using var file = TorchCheckpointFile.Open(path);
            using Tensor tensor = file.Read("w");
            Assert.Equal([size], tensor.shape);
        }
        else
        {
            InvalidDataException error = Assert.Throws<InvalidDataException>(() => TorchCheckpointFile.Open(path));
            Assert.Contains("'w'", error.Message, StringComparison.Ordinal);
            Assert.Contains(reason, error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void StoragesThatAreMissingOfAnotherLengthCompressedOrBigEndianAreRefused()
    {
        using var folder = new TemporaryFolder();
        byte[] pickle = TensorPickle(0, 2, 1);
        void Refused(string reason, string path) =>
            Assert.Contains(
                reason,
                Assert.Throws<InvalidDataException>(() => TorchCheckpointFile.Open(path)).Message,
                StringComparison.Ordinal
            );

        Refused("missing", Zip(folder, pickle, ("1", new byte[16])));
        Refused("have 12 bytes", Zip(folder, pickle, ("0", new byte[12])));
        Refused("compressed", Zip(folder, pickle, CompressionLevel.Optimal, ("0", new byte[16])));
        Refused("byte order", Zip(folder, pickle, ("0", new byte[16]), ("../byteorder", "big"u8.ToArray())));
        Refused("no data.pkl", Zip(folder, null, ("0", new byte[16])));
    }

    [Fact]
    public void ATruncatedFileIsRefused()
    {
        using var folder = new TemporaryFolder();
        string path = folder.PathOf("a.bin");
        byte[] bytes = File.ReadAllBytes(Oracles.PathOf("tiny-roberta", "pytorch_model.bin"));
        foreach (int length in new[] { 0, 1, 100, bytes.Length / 2, bytes.Length - 1 })
        {
            File.WriteAllBytes(path, bytes[..length]);
            Assert.Contains(
                path,
                Assert.Throws<InvalidDataException>(() => TorchCheckpointFile.Open(path)).Message,
                StringComparison.Ordinal
            );
        }
    }

    [Fact]
    public void WhateverIsDamagedIsReadOrRefusedAndNothingElse()
    {
        using var folder = new TemporaryFolder();
        byte[] pickle = TensorPickle(1, 2, 1);
        byte[] zip = File.ReadAllBytes(Oracles.PathOf("torch-save", "wrapped.bin"));
        string path = folder.PathOf("damaged.bin");
        var random = new Random(1);
        int refused = 0;
        for (int round = 0; round < 600; round++)
        {
            if (round % 3 == 0)
            {
                File.WriteAllBytes(path, SafetensorsTests.Damage(zip, random));
            }
            else
            {
                path = Zip(folder, SafetensorsTests.Damage(pickle, random), ("0", new byte[16]));
            }

            try
            {
                using var file = TorchCheckpointFile.Open(path);
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
        Assert.InRange(refused, 200, 600);
    }

    [Fact]
    public void SeveralThreadsCanRead()
    {
        using var file = TorchCheckpointFile.Open(Oracles.PathOf("tiny-roberta", "pytorch_model.bin"));
        string expected = CheckpointFingerprint.Compute(file);
        Parallel.For(0, 4, _ => Assert.Equal(expected, CheckpointFingerprint.Compute(file)));
    }

    [Fact]
    public void AMissingFileOrTensorIsNamed()
    {
        Assert.Contains(
            "nowhere",
            Assert.Throws<FileNotFoundException>(() => TorchCheckpointFile.Open("nowhere")).Message,
            StringComparison.Ordinal
        );
        var file = TorchCheckpointFile.Open(Oracles.PathOf("torch-save", "wrapped.bin"));
        Assert.Contains("'x'", Assert.Throws<KeyNotFoundException>(() => file.Read("x")).Message, StringComparison.Ordinal);
        file.Dispose();
        Assert.Throws<ObjectDisposedException>(() => file.Read("bias"));
    }

    /// <summary>{"w": a view of four floats in storage 0}, in the words of protocol 2.</summary>
    private static byte[] TensorPickle(int offset, int size, int stride) =>
        Encoding.Latin1.GetBytes(
            "\u0080\u0002}U\u0001wctorch._utils\n_rebuild_tensor_v2\n((U\u0007storagectorch\nFloatStorage\nU\u00010U\u0003cpuK\u0004tQ"
                + $"K{(char)offset}K{(char)size}\u0085K{(char)stride}\u0085\u0089Nt"
                + "Rs."
        );

    private static string Zip(TemporaryFolder folder, byte[]? pickle, params (string Key, byte[] Values)[] storages) =>
        Zip(folder, pickle, CompressionLevel.NoCompression, storages);

    private static string Zip(
        TemporaryFolder folder,
        byte[]? pickle,
        CompressionLevel compression,
        params (string Key, byte[] Values)[] storages
    )
    {
        string path = folder.PathOf("crafted.bin");
        using var zip = new ZipArchive(File.Create(path), ZipArchiveMode.Create);
        void Add(string name, byte[] bytes)
        {
            using Stream entry = zip.CreateEntry(name, compression).Open();
            entry.Write(bytes);
        }

        if (pickle is not null)
        {
            Add("archive/data.pkl", pickle);
        }

        foreach ((string? key, byte[]? values) in storages)
        {
            Add(key.StartsWith("../", StringComparison.Ordinal) ? "archive/" + key[3..] : "archive/data/" + key, values);
        }

        return path;
    }
}
