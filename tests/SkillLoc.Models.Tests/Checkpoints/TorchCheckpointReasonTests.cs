using System.Text;
using SkillLoc.Models.Checkpoints;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Checkpoints;

/// <summary>What a PyTorch checkpoint holds, in both formats, and what it is refused for, in which words.</summary>
public sealed class TorchCheckpointReasonTests : IDisposable
{
    private const string Magic = "\u0080\u0002\u008a\u000al\u00fc\u009cF\u00f9 j\u00a8P\u0019.",
        Version = "\u0080\u0002M\u00e9\u0003.",
        Machine = "\u0080\u0002}U\u000dlittle_endian\u0088s.",
        Key0 = "\u0080\u0002]U\u00010a.",
        Count4 = "\u0004\0\0\0\0\0\0\0",
        Values = "\0\0\u0080?\0\0\0@\0\0@@\0\0\u0080@";

    private readonly TemporaryFolder _folder = new();

    private string Path => _folder.PathOf("pytorch_model.bin");

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("", "it is not a zip file")]
    [InlineData("PK\u0003", "it is not a zip file")]
    [InlineData("pk\u0003\u0004", "it is not a zip file")]
    [InlineData("PK\u0003\u0004", "it has 4 bytes, too few for a zip")]
    [InlineData("\u0080", "the pickle ends at byte 1, in the middle of something; it is truncated")]
    public void WhatIsOfNeitherFormatIsRefused(string file, string reason) => Refused(file, reason);

    [Theory]
    [InlineData("data.pkl", "data/0", null, null)]
    [InlineData("a/data.pkl", "a/data/0", null, null)]
    [InlineData("a/b/data.pkl", "a/b/data/0", null, null)]
    [InlineData("a/data.pkl", "a/data/0", "a/other/data", null)]
    [InlineData("a/data.pkl", "a/data/0", "a/xdata.pkl", null)]
    [InlineData("a/xdata.pkl", "a/data/0", null, "the zip has no data.pkl; expected what torch.save writes for a state dict")]
    [InlineData("a/data.pkl", "a/data/0", "a/b/data.pkl", "the zip has several data.pkl; expected what torch.save writes for a state dict")]
    [InlineData("a/data.pkl", "a/data/0", "data.pkl", "the zip has several data.pkl; expected what torch.save writes for a state dict")]
    [InlineData("a/data.pkl", "a/data/0", "a/constants.pkl", "the zip is a TorchScript program, or has entries outside of one folder")]
    [InlineData("a/data.pkl", "a/data/0", "b/c", "the zip is a TorchScript program, or has entries outside of one folder")]
    [InlineData("a/data.pkl", "data/0", null, "the zip is a TorchScript program, or has entries outside of one folder")]
    [InlineData("a/data.pkl", "a/data/1", null, "the values of tensor 'w' (data/0) are missing")]
    public void EntriesHaveTheirNames(string pickle, string values, string? other, string? reason)
    {
        CraftedZip zip = new CraftedZip().Add(pickle, Bytes($"}}U\u0001w{View()}s.")).Add(values, Bytes(Values));
        Expect(other is null ? zip : zip.Add(other, [1]), reason, "w=1,2");
    }

    [Theory]
    [InlineData("little", null)]
    [InlineData("big", "its byte order is 'big'; expected little")]
    [InlineData("", "its byte order is ''; expected little")]
    public void TheByteOrderIsLittle(string order, string? reason) =>
        Expect(
            new CraftedZip()
                .Add("a/data.pkl", Bytes($"}}U\u0001w{View()}s."))
                .Add("a/data/0", Bytes(Values))
                .Add("a/byteorder", Bytes(order)),
            reason,
            "w=1,2"
        );

    [Theory]
    [InlineData("N.", "it does not hold a dictionary; expected the state dict of a model")]
    [InlineData("].", "it does not hold a dictionary; expected the state dict of a model")]
    [InlineData("}.", "its dictionary has no tensors; expected the state dict of a model")]
    [InlineData("}U\u0001wK\u0001s.", "its dictionary has no tensors; expected the state dict of a model")]
    [InlineData("}U\u000astate_dict}s.", "its dictionary has no tensors; expected the state dict of a model")]
    [InlineData("}(U\u000astate_dictNU\u000astate_dictNu.", "it has 'state_dict' twice")]
    [InlineData("}K\u0001@s.", "it has a tensor under the key '1', which is not a text")]
    [InlineData("}(U\u0001w@U\u0001w@u.", "the tensor name 'w' occurs twice")]
    [InlineData("}(U\u0001w@U\u0001vNK\u0001Nu.", null, "w=1,2")]
    [InlineData("}(U\u0001w@U\u000astate_dictNu.", null, "w=1,2")]
    [InlineData("}(U\u0001w@U\u000astate_dict}U\u0001v@su.", null, "v=1,2")]
    [InlineData("}(U\u0001v@U\u0001w@u.", null, "v=1,2 w=1,2")]
    public void AStateDictIsFound(string pickle, string? reason, string values = "") =>
        Expect(Zip(pickle.Replace("@", View(), StringComparison.Ordinal)), reason, values);

    [Theory]
    [InlineData("K\u0004", "K\u0000", "K\u0004\u0085", "K\u0001\u0085", null, "w=1,2,3,4")]
    [InlineData("K\u0004", "K\u0003", "K\u0001\u0085", "K\u0009\u0085", null, "w=4")]
    [InlineData("K\u0004", "K\u0001", "K\u0002\u0085", "K\u0002\u0085", null, "w=2,4")]
    [InlineData("K\u0004", "K\u0000", "K\u0002K\u0002\u0086", "K\u0001K\u0002\u0086", null, "w=1,3,2,4")]
    [InlineData("K\u0004", "K\u0002", "K\u0003\u0085", "K\u0000\u0085", null, "w=3,3,3")]
    [InlineData("K\u0004", "K\u0004", "K\u0000\u0085", "K\u0001\u0085", null, "w=")]
    [InlineData("K\u0004", "K\u0001", ")", ")", null, "w=2")]
    [InlineData("K\u0004", "K\u0001", "K\u0004\u0085", "K\u0001\u0085", "of shape [4], strides [1] and offset 1 does not fit its 4 values")]
    [InlineData("K\u0004", "K\u0002", "K\u0002\u0085", "K\u0002\u0085", "of shape [2], strides [2] and offset 2 does not fit its 4 values")]
    [InlineData("K\u0004", "K\u0005", "K\u0000\u0085", "K\u0001\u0085", "of shape [0], strides [1] and offset 5 does not fit its 4 values")]
    [InlineData("K\u0004", "K\u0000", "K\u0005\u0085", "K\u0000\u0085", "of shape [5], strides [0] and offset 0 does not fit its 4 values")]
    [InlineData(
        "K\u0004",
        "J\u00ff\u00ff\u00ff\u00ff",
        "K\u0001\u0085",
        "K\u0001\u0085",
        "of shape [1], strides [1] and offset -1 does not fit its 4 values"
    )]
    [InlineData(
        "K\u0004",
        "K\u0003",
        "K\u0002\u0085",
        "J\u00ff\u00ff\u00ff\u00ff\u0085",
        "of shape [2], strides [-1] and offset 3 does not fit its 4 values"
    )]
    [InlineData(
        "K\u0004",
        "K\u0000",
        "J\u00ff\u00ff\u00ff\u00ff\u0085",
        "K\u0001\u0085",
        "of shape [-1], strides [1] and offset 0 does not fit its 4 values"
    )]
    [InlineData("K\u0004", "K\u0000", "K\u0001\u0085", ")", "of shape [1], strides [] and offset 0 does not fit its 4 values")]
    [InlineData("K\u0003", "K\u0000", ")", ")", "(data/0) have 16 bytes; 3 elements of 4 bytes would be right")]
    [InlineData("J\u00fc\u00ff\u00ff\u00ff", "K\u0000", ")", ")", "(data/0) have 16 bytes; -4 elements of 4 bytes would be right")]
    public void ViewsLieWithinTheirStorage(
        string elements,
        string offset,
        string shape,
        string stride,
        string? reason,
        string values = ""
    ) =>
        Expect(
            Zip($"}}U\u0001w{View(elements, offset, shape, stride)}s."),
            reason is null ? null
                : reason.StartsWith("of ", StringComparison.Ordinal) ? "tensor 'w' " + reason
                : "the values of tensor 'w' " + reason,
            values
        );

    [Theory]
    [InlineData(Magic, Version, Machine, Key0, Count4 + Values, null)]
    [InlineData("\u0080\u0002N.", Version, Machine, Key0, Count4 + Values, "it begins as a pickle, and not as torch.save begins one")]
    [InlineData(
        Magic,
        "\u0080\u0002M\u00ea\u0003.",
        Machine,
        Key0,
        Count4 + Values,
        "it begins as a pickle, and not as torch.save begins one"
    )]
    [InlineData(Magic, "\u0080\u0002N.", Machine, Key0, Count4 + Values, "it begins as a pickle, and not as torch.save begins one")]
    [InlineData(Magic, "\u0080\u0002U\u0001a.", Machine, Key0, Count4 + Values, "it begins as a pickle, and not as torch.save begins one")]
    [InlineData(Magic, Version, "\u0080\u0002N.", Key0, Count4 + Values, "it does not say that its byte order is little")]
    [InlineData(Magic, Version, "\u0080\u0002}.", Key0, Count4 + Values, "it does not say that its byte order is little")]
    [InlineData(
        Magic,
        Version,
        "\u0080\u0002}U\u000dlittle_endian\u0089s.",
        Key0,
        Count4 + Values,
        "it does not say that its byte order is little"
    )]
    [InlineData(
        Magic,
        Version,
        "\u0080\u0002}U\u000dlittle_endianK\u0001s.",
        Key0,
        Count4 + Values,
        "it does not say that its byte order is little"
    )]
    [InlineData(Magic, Version, Machine, "\u0080\u0002}.", Count4 + Values, "it has no list of its storages")]
    [InlineData(Magic, Version, Machine, "\u0080\u0002N.", Count4 + Values, "it has no list of its storages")]
    [InlineData(Magic, Version, Machine, "\u0080\u0002]U\u00011a.", Count4 + Values, "it lists a storage that nothing in it refers to")]
    [InlineData(Magic, Version, Machine, "\u0080\u0002]K\u0000a.", Count4 + Values, "it lists a storage that nothing in it refers to")]
    [InlineData(Magic, Version, Machine, "\u0080\u0002].", "", "the values of tensor 'w' (data/0) are missing")]
    [InlineData(Magic, Version, Machine, Key0, "", "it ends before its storage '0'")]
    [InlineData(Magic, Version, Machine, Key0, "\u0004\0\0\0\0\0\0", "it ends before its storage '0'")]
    [InlineData(Magic, Version, Machine, Key0, Count4, "its storage '0' of 4 elements is cut off")]
    [InlineData(Magic, Version, Machine, Key0, Count4 + "\0\0\u0080?\0\0\0@\0\0@@\0\0\u0080", "its storage '0' of 4 elements is cut off")]
    [InlineData(Magic, Version, Machine, Key0, "\u0003" + "\0\0\0\0\0\0\0" + Values, "its storage '0' should have 4 elements and has 3")]
    [InlineData(
        Magic,
        Version,
        Machine,
        "\u0080\u0002](U\u00010U\u00010e.",
        Count4 + Values + Count4 + Values,
        "it has the storage '0' twice"
    )]
    [InlineData(Magic, Version, Machine, Key0, Count4 + Values + "xy", "2 bytes follow its storages")]
    public void TheFormatBefore16IsReadOrRefusedWithTheReason(
        string mark,
        string version,
        string machine,
        string keys,
        string rest,
        string? reason
    )
    {
        string file = $"{mark}{version}{machine}\u0080\u0002}}U\u0001w{View()}s.{keys}{rest}";
        if (reason is null)
        {
            File.WriteAllBytes(Path, Bytes(file));
            Assert.Equal("w=1,2", Read());
        }
        else
        {
            Refused(file, reason);
        }
    }

    [Fact]
    public void TheFormatBefore16HasStoragesOneAfterAnother()
    {
        const string Numbers = "\u0002\0\0\0\0\0\0\0\u0007\0\0\0\u0008\0\0\0",
            Both = "\u0080\u0002](U\u00011U\u00010e.";
        string ints = View("K\u0002")
            .Replace("Float", "Int", StringComparison.Ordinal)
            .Replace("U\u00010", "U\u00011", StringComparison.Ordinal);
        string start = Magic + Version + Machine;
        File.WriteAllBytes(Path, Bytes($"{start}}}(U\u0001v{ints}U\u0001w{View()}u.{Both}{Numbers}{Count4}{Values}"));
        Assert.Equal("v=7,8 w=1,2", Read());

        // Elements that are fewer than none, as the pickle and what stands before the values both say.
        const string MinusOne = "\u00ff\u00ff\u00ff\u00ff";
        Refused($"{start}}}U\u0001w{View("J" + MinusOne)}s.{Key0}{MinusOne}{MinusOne}", "its storage '0' of -1 elements is cut off");
        Refused(
            $"{start}}}U\u0001w{View("\u008a\u0008\0\0\0\0\0\0\0\u007f")}s.{Key0}\0\0\0\0\0\0\0\u007f{Values}",
            "its storage '0' of 9151314442816847872 elements is cut off"
        );
    }

    [Fact]
    public void APickleHasALimit()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "elsewhere such a file would take its place on the disk");
        const int Most = 1 << 28;
        foreach ((string name, int length) in new[] { ("a/data.pkl", Most + 1), ("a/byteorder", Most + 1), ("a/data.pkl", Most) })
        {
            byte[] pickle = new CraftedZip().Add("a/data.pkl", []).ToArray();
            byte[] empty = name == "a/data.pkl" ? [] : pickle[..40];
            byte[] zip = new CraftedZip().Add(name, []).ToArray();
            byte[] size = [.. BitConverter.GetBytes(length), .. BitConverter.GetBytes(length)];
            int header = 30 + name.Length;
            size.CopyTo(zip, 18);
            size.CopyTo(zip, header + 20);
            BitConverter.GetBytes(empty.Length).CopyTo(zip, header + 42);
            byte[] list = [.. empty.Length > 0 ? pickle[40..^22] : [], .. zip[header..^22]],
                end = zip[^22..];
            end[8] = end[10] = (byte)(empty.Length > 0 ? 2 : 1);
            BitConverter.GetBytes(list.Length).CopyTo(end, 12);
            BitConverter.GetBytes(empty.Length + header + length).CopyTo(end, 16);
            using (Microsoft.Win32.SafeHandles.SafeFileHandle file = File.OpenHandle(Path, FileMode.Create, FileAccess.Write))
            {
                RandomAccess.Write(file, [.. empty, .. zip[..header]], 0);
                RandomAccess.Write(file, [.. list, .. end], empty.Length + header + length);
            }

            RefusedFile(
                length > Most
                    ? $"its entry '{name}' has 268435457 bytes, more than the 268435456 that a state dict could need"
                    : "their checksum is "
            );
        }
    }

    [Fact]
    public void DamagedValuesAreFoundWhenTheyAreRead()
    {
        byte[] zip = Zip($"}}(U\u0001w{View()}U\u0001v{View(shape: "K\u0002\u0085", stride: "K\u0002\u0085")}u.").ToArray();
        zip[zip.AsSpan().IndexOf(Bytes(Values))] = 1;
        File.WriteAllBytes(Path, zip);
        using var file = TorchCheckpointFile.Open(Path);
        foreach (string name in new[] { "w", "v" })
        {
            Assert.Matches(
                $@"^{Path}: the values of tensor '{name}' cannot be read \(their checksum is [0-9a-f]{{8}}, and [0-9a-f]{{8}} was written\); the file is damaged\.$",
                Assert.Throws<InvalidDataException>(() => file.Read(name)).Message
            );
        }
    }

    [Fact]
    public void TensorsAreGivenInAnyTypeByTheirNames()
    {
        File.WriteAllBytes(Path, Zip($"}}(U\u0001w{View()}U\u0001v{View(shape: "K\u0002\u0085", stride: "K\u0002\u0085")}u.").ToArray());
        using var file = TorchCheckpointFile.Open(Path);
        Assert.Equal(Path, file.Path);
        Assert.True(file.Contains("v"));
        Assert.False(file.Contains("V"));
        Assert.Equal([("w", 8L), ("v", 8L)], file.Tensors.Select(info => (info.Name, info.ByteLength)));
        foreach ((string name, double[] values) in new[] { ("w", new double[] { 1, 2 }), ("v", [1, 3]) })
        {
            using Tensor tensor = file.Read(name, ScalarType.Float64, CPU);
            Assert.Equal(values, tensor.data<double>().ToArray());
        }

        Assert.Equal($"{Path} has no tensor 'x' among its 2.", Assert.Throws<KeyNotFoundException>(() => file.Read("x")).Message);
        Assert.Throws<ArgumentNullException>(() => file.Read(null!));
        Assert.Throws<ArgumentException>(() => TorchCheckpointFile.Open(""));
    }

    /// <summary>The words that build a view of four floats, 1 to 4.</summary>
    private static string View(
        string elements = "K\u0004",
        string offset = "K\u0000",
        string shape = "K\u0002\u0085",
        string stride = "K\u0001\u0085"
    ) =>
        $"ctorch._utils\n_rebuild_tensor_v2\n((U\u0007storagectorch\nFloatStorage\nU\u00010U\u0003cpu{elements}tQ"
        + $"{offset}{shape}{stride}\u0089NtR";

    private static byte[] Bytes(string latin1) => Encoding.Latin1.GetBytes(latin1);

    private static CraftedZip Zip(string pickle) => new CraftedZip().Add("a/data.pkl", Bytes(pickle)).Add("a/data/0", Bytes(Values));

    private void Expect(CraftedZip zip, string? reason, string values)
    {
        File.WriteAllBytes(Path, zip.ToArray());
        if (reason is null)
        {
            Assert.Equal(values, Read());
        }
        else
        {
            RefusedFile(reason + ".");
        }
    }

    private void Refused(string file, string reason)
    {
        File.WriteAllBytes(Path, Bytes(file));
        RefusedFile(reason + ".");
    }

    private void RefusedFile(string reason)
    {
        string message = Assert.Throws<InvalidDataException>(() => TorchCheckpointFile.Open(Path)).Message;
        Assert.StartsWith($"{Path} cannot be read as a PyTorch checkpoint: {reason}", message, StringComparison.Ordinal);
    }

    private string Read()
    {
        using var file = TorchCheckpointFile.Open(Path);
        return string.Join(
            ' ',
            file.Tensors.Select(info =>
            {
                using Tensor values = file.Read(info.Name, ScalarType.Float32);
                Assert.Equal(info.Shape, values.shape);
                return $"{info.Name}={string.Join(',', values.data<float>().ToArray())}";
            })
        );
    }
}
