using System.IO.MemoryMappedFiles;
using System.Text;
using Microsoft.ML.OnnxRuntime;
using static SkillLoc.Onnx.Tests.MappedOnnxFileTests;

namespace SkillLoc.Onnx.Tests;

/// <summary>Which weights are taken out of a file, and when it is left to ONNX Runtime.</summary>
public sealed class MappedOnnxFileBranchTests : IDisposable
{
    // A graph without nodes, whose output is its input: the least that ONNX Runtime opens.
    private static readonly byte[] Least =
    [
        0x08,
        8,
        .. Field(7, [.. Field(2, "g"u8), .. Field(11, Value("x")), .. Field(1, Identity()), .. Field(12, Value("y"))]),
        .. Field(8, [0x10, 13]),
    ];

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("skillloc-mapped-");

    /// <summary>Fields of a tensor beside its 16 bytes of values, and whether the values are shared, mapped or left where they are.</summary>
    public static TheoryData<string, string> Tensors =>
        new()
        {
            { "08041001420177", "shared" },
            { "080208021001420177", "mapped" },
            { "0802080210014201", "damaged" },
            { "08020802100a420177", "mapped" },
            { "0804100a420177", "left" },
            { "0804420177", "left" },
            { "08041001", "left" },
            { "080410014201777001", "left" },
            { "080410014201776a00", "left" },
        };

    private string Model => Path.Combine(_folder.FullName, "model.onnx");

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [MemberData(nameof(Tensors))]
    public void WhatATensorSaysDecidesWhereItsValuesLie(string fields, string where)
    {
        byte[] tensor = Field(5, [.. Convert.FromHexString(fields), .. Field(9, new byte[16])]);
        if (where == "damaged")
        {
            Assert.Throws<InvalidDataException>(() => Read(tensor));
            return;
        }

        MappedOnnxFile read = Read(tensor);
        Assert.Equal(where == "shared" ? ["w"] : [], read.Shared.Keys);
        Assert.Equal(where == "left" ? 0 : 1, Count(read.Rest, "location"));
    }

    [Fact]
    public void TensorsThatAreSmallOrTwiceOrWithoutBytesAreLeft()
    {
        byte[] shape = [0x08, 4, 0x10, 1];
        byte[] values = new byte[16];
        byte[] once = Field(5, [.. shape, .. Field(8, "v"u8), .. Field(9, values)]);
        Assert.Equal(1, Count(Read([.. once, .. once]).Rest, "location"));
        Assert.Empty(Read(Field(5, [.. shape, .. Field(8, "v"u8), .. Field(4, values)])).Shared);

        // The tensor is long enough, but not its values; and the tensor is too short.
        Assert.Empty(Read(Field(5, [.. shape, .. Field(8, "a very long name"u8), .. Field(9, [0, 0, 0, 0])])).Shared);
        Assert.Empty(Read(Field(5, [0x10, 1])).Shared);
    }

    [Theory]
    [InlineData("3a00" + "7206" + "120161" + "120162")]
    [InlineData("3a00" + "7206" + "0a0161" + "1a0162")]
    [InlineData("3a00" + "7203" + "0a0161")]
    public void MetadataArePairs(string bytes)
    {
        InvalidDataException error = Assert.Throws<InvalidDataException>(() =>
            new MappedOnnxFile(new MemoryStream(Convert.FromHexString(bytes)), "x.onnx")
        );
        Assert.Equal("x.onnx: its metadata are no pairs of texts, or one is there twice.", error.Message);
    }

    [Fact]
    public void FieldsAreCounted()
    {
        byte[] most = [0x3a, 0, .. Enumerable.Repeat(new byte[] { 0x08, 0 }, (1 << 18) - 1).SelectMany(field => field)];
        Assert.Equal(most, new MappedOnnxFile(new MemoryStream(most), "x.onnx").Rest);
        InvalidDataException error = Assert.Throws<InvalidDataException>(() =>
            new MappedOnnxFile(new MemoryStream([.. most, 0x08, 0]), "x.onnx")
        );
        Assert.Equal("x.onnx: it has fields that are longer than what they lie in, or too many.", error.Message);
    }

    /// <summary>Files with holes: an unknown field of 2 GB, and a weight of 8 GB.</summary>
    [Theory]
    [InlineData("3a00" + "0a8080808008", 1L << 31, "what remains of it is longer than an array")]
    [InlineData(
        "3a97808080202a91808080200880808080081001420177" + "4a8080808020",
        1L << 33,
        "the values of a weight are not as many as its shape says"
    )]
    public void WhatIsLongerThanAnArrayIsRefused(string head, long hole, string message)
    {
        byte[] bytes = Convert.FromHexString(head);
        using FileStream file = File.Create(Model, 4096, FileOptions.DeleteOnClose);
        file.Write(bytes);
        file.SetLength(bytes.Length + hole);
        InvalidDataException error = Assert.Throws<InvalidDataException>(() => new MappedOnnxFile(file, "x.onnx"));
        Assert.Equal($"x.onnx: {message}.", error.Message);
    }

    [Fact]
    public void AFileThatChangesOrIsMappedWhileItIsOpenedIsLeftToOnnxRuntime()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Files are mapped on Linux only.");
        Assert.Null(MappedOnnxFile.TryOpen(Model, () => new(), "it"));
        File.WriteAllBytes(Model, Least);
        string link = Path.Combine(_folder.FullName, "link.onnx");
        File.CreateSymbolicLink(link, Model);
        foreach (string path in new[] { Model, link })
        {
            using OnnxSession? opened = MappedOnnxFile.TryOpen(path, () => new(), "it");
            Assert.NotNull(opened);
        }

        Assert.Null(Opened(() => File.SetLastWriteTimeUtc(Model, DateTime.UnixEpoch)));
        using (var mapping = MemoryMappedFile.CreateFromFile(Model, FileMode.Open))
        using (MemoryMappedViewAccessor view = mapping.CreateViewAccessor())
        {
            Assert.Null(Opened(() => { }));
        }

        Assert.Null(Opened(() => File.Delete(Model)));
    }

    [Fact]
    public void OnlyWhatAFileCanCauseIsCaught()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Files are mapped on Linux only.");
        File.WriteAllBytes(Model, Least);
        Assert.Null(Opened(() => throw new UnauthorizedAccessException()));
        Assert.Throws<InvalidOperationException>(() => Opened(() => throw new InvalidOperationException()));
        File.WriteAllBytes(Model, [0x3a, 0]);
        Assert.Null(Opened(() => { }));
    }

    private OnnxSession? Opened(Action meanwhile) =>
        MappedOnnxFile.TryOpen(
            Model,
            () =>
            {
                meanwhile();
                return new SessionOptions();
            },
            "it"
        );

    /// <summary>Reads a graph of tensors, with a product that reads "w" and a node without an operator.</summary>
    private static MappedOnnxFile Read(byte[] tensors)
    {
        byte[] product = Field(1, [.. Field(1, "x"u8), .. Field(1, "w"u8), .. Field(4, "MatMul"u8)]);
        return new(new MemoryStream(Field(7, [.. product, .. Field(1, Field(1, "z"u8)), .. tensors])), "x.onnx", leastBytes: 8);
    }

    private static int Count(byte[] bytes, string text) => Encoding.Latin1.GetString(bytes).Split(text).Length - 1;

    private static byte[] Identity() => [.. Field(1, "x"u8), .. Field(2, "y"u8), .. Field(4, "Identity"u8)];

    // A number of float32.
    private static byte[] Value(string name) =>
        [.. Field(1, Encoding.UTF8.GetBytes(name)), .. Field(2, Field(1, [0x08, 1, .. Field(2, Field(1, [0x08, 1]))]))];
}
