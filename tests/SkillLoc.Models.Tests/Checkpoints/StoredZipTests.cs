using System.Buffers.Binary;
using System.IO.Hashing;
using System.Text;
using Microsoft.Win32.SafeHandles;
using SkillLoc.Models.Checkpoints;

namespace SkillLoc.Models.Tests.Checkpoints;

/// <summary>Where a zip's entries are, and every place where it may disagree with itself, each with the reason of the refusal.</summary>
public sealed class StoredZipTests : IDisposable
{
    // Of the zip of the entries a and b: where its second entry, its directory, the second entry of that, and its end begin.
    private const int B = 34,
        List = 70,
        ListB = List + 47,
        End = ListB + 47;

    // The same with a second end, for more than 4 GB: that, and what says where it is.
    private const int End64 = End,
        Locator = End64 + 56,
        Last = Locator + 20;

    private const string Before = "its directory and what stands before the entry 'a' disagree";
    private const string Ends = "the two ends of its directory disagree";

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void EntriesAreWhereTheyStand()
    {
        byte[] zip = Zip(new("a", "abc"u8.ToArray()), new("b", "12345"u8.ToArray()));
        Assert.Equal(End + 22, zip.Length);
        Assert.Equal(["a 31 3 abc", "b 65 5 12345"], Read(zip));
        // What an entry's disk is, where it is not said.
        Assert.Equal(["a 31 3 abc", "b 65 5 12345"], Read(Patched(zip, List + 34, 0xFF, 0xFF)));
        // Names that are UTF-8, entries without bytes, and a directory in another order.
        byte[] swapped = [.. zip[..List], .. zip[ListB..End], .. zip[List..ListB], .. zip[End..]];
        Assert.Equal(["a 31 3 abc", "b 65 5 12345"], Read(swapped));
        Assert.Equal(["\u00e9 32 0 "], Read(Zip(new Part("\u00e9", []) { Flags = 1 << 11 })));
        Assert.Empty(Read(Zip()));
    }

    [Theory]
    // The end.
    [InlineData(End, "00", "it does not end as a zip does")]
    [InlineData(End + 20, "01", "it does not end as a zip does")]
    [InlineData(End + 4, "01", "it is one of several volumes")]
    [InlineData(End + 6, "01", "it is one of several volumes")]
    [InlineData(End + 8, "01", "it is one of several volumes")]
    [InlineData(End + 8, "03000300", "its directory lists 2 entries, and 3 by its end")]
    [InlineData(End + 8, "01000100", "its directory lists 2 entries, and 1 by its end")]
    [InlineData(End + 12, "5D", "its directory should have 93 bytes at byte 70, and it ends at 164")]
    [InlineData(End + 16, "47", "its directory should have 94 bytes at byte 71, and it ends at 164")]
    [InlineData(End + 16, "A5", "its directory should have 94 bytes at byte 165, and it ends at 164")]
    [InlineData(End + 12, "A4000000" + "00000000", "its directory holds something else than an entry at byte 0")]
    // The directory.
    [InlineData(List, "00", "its directory holds something else than an entry at byte 0")]
    [InlineData(ListB, "00", "its directory holds something else than an entry at byte 47")]
    [InlineData(ListB + 28, "02", "its directory's entry at byte 47 is cut off")]
    [InlineData(ListB + 30, "01", "its directory's entry at byte 47 is cut off")]
    [InlineData(ListB + 32, "01", "its directory's entry at byte 47 is cut off")]
    [InlineData(List + 30, "01", "its directory holds something else than an entry at byte 48")]
    [InlineData(List + 32, "01", "its directory holds something else than an entry at byte 48")]
    [InlineData(ListB + 46, "FF", "the name of its directory's entry at byte 47 is not valid UTF-8")]
    [InlineData(List + 10, "08", "its entry 'a' is compressed; torch.save stores entries as they are")]
    [InlineData(List + 8, "01", "its entry 'a' is encrypted, or of a kind that is not known")]
    [InlineData(List + 8, "0010", "its entry 'a' is encrypted, or of a kind that is not known")]
    [InlineData(List + 34, "01", "its entry 'a' is encrypted, or of a kind that is not known")]
    [InlineData(List + 20, "04", "its entry 'a' takes 4 bytes for 3")]
    [InlineData(List + 24, "04", "its entry 'a' takes 3 bytes for 4")]
    [InlineData(List + 24, "FFFFFFFF", "its entry 'a' lacks its sizes")]
    [InlineData(
        List + 42,
        "01",
        "its entry 'a' begins at byte 1, and what is before it ends at 0; there must be neither gaps nor overlaps"
    )]
    [InlineData(ListB + 42, "23", "its entry 'a' of 3 bytes ends elsewhere than its directory says")]
    [InlineData(ListB + 42, "21", "its entry 'a' of 3 bytes ends elsewhere than its directory says")]
    [InlineData(ListB + 42, "1D", "its entry 'a' is cut off")]
    [InlineData(ListB + 42, "1E", Before)]
    [InlineData(ListB + 16, "00", "its directory and what stands before the entry 'b' disagree")]
    // What stands before an entry.
    [InlineData(0, "00", Before)]
    [InlineData(6, "08", Before)]
    [InlineData(8, "08", Before)]
    [InlineData(14, "00", Before)]
    [InlineData(18, "04", Before)]
    [InlineData(22, "04", Before)]
    [InlineData(18, "00", Before)]
    [InlineData(22, "FFFFFFFF", Before)]
    [InlineData(26, "05", Before)]
    [InlineData(28, "04", Before)]
    [InlineData(26, "02", "the entry 'a' of its directory has another name where it stands")]
    [InlineData(28, "03", "its entry 'a' of 3 bytes ends elsewhere than its directory says")]
    [InlineData(30, "78", "the entry 'a' of its directory has another name where it stands")]
    public void AZipThatDisagreesWithItselfIsRefusedWithTheReason(int place, string bytes, string reason) =>
        Refused(Patched(Zip(new("a", "abc"u8.ToArray()), new("b", "12345"u8.ToArray())), place, Convert.FromHexString(bytes)), reason);

    [Fact]
    public void AnEntryTwiceOrBytesOfNoneAreRefused()
    {
        Refused(Zip(new("a", [1]), new("a", [2])), "it has the entry 'a' twice");
        Refused(new byte[21], "it has 21 bytes, too few for a zip");
        byte[] empty = Zip();
        Refused([1, 2, 3, 4, .. Patched(empty, 16, 4)], "bytes that belong to no entry lie before byte 4");
        // As long as an end and what says where a second one is: that would have to be before it.
        Refused([0x50, 0x4b, 6, 7, .. new byte[16], .. empty], "its directory should have 0 bytes at byte 0, and it ends at 20");
        Refused([9, 0x50, 0x4b, 6, 7, .. new byte[16], .. empty], Ends);
        byte[] zip = Zip(new Part("a", "abc"u8.ToArray()));
        Refused([.. zip[..^22], 0, .. Patched(zip[^22..], 12, 48)], "its directory holds something else than an entry at byte 47");
    }

    [Theory]
    [InlineData("", null)]
    [InlineData("01000000", null)]
    [InlineData("5555020001020100080000000000000000FFFFFF", null)]
    [InlineData("75700000", "its entry 'a' has an extra field that gives it another name, or is cut off")]
    [InlineData("55550000" + "75700000", "its entry 'a' has an extra field that gives it another name, or is cut off")]
    [InlineData("01000100", "its entry 'a' has an extra field that gives it another name, or is cut off")]
    public void ExtraFieldsArePassedOverUnlessTheyGiveAnotherName(string extra, string? reason)
    {
        // In the directory and where the entry stands.
        byte[] bytes = Convert.FromHexString(extra);
        Part[] parts = [new("a", "abc"u8.ToArray()) { Extra = bytes }, new("a", "abc"u8.ToArray()) { LocalExtra = bytes }];
        foreach (Part part in parts)
        {
            if (reason is null)
            {
                Assert.Equal([$"a {31 + part.LocalExtra.Length} 3 abc"], Read(Zip(part)));
            }
            else
            {
                Refused(Zip(part), reason);
            }
        }
    }

    [Theory]
    // Size, size as stored and place, of those whose fields are full.
    [InlineData("FFFFFFFF", "FFFFFFFF", "FFFFFFFF", new long[] { 3, 3, 0 }, null)]
    [InlineData("FFFFFFFF", "03000000", "FFFFFFFF", new long[] { 3, 0 }, null)]
    [InlineData("03000000", "03000000", "FFFFFFFF", new long[] { 0 }, null)]
    [InlineData("FFFFFFFF", "FFFFFFFF", "FFFFFFFF", new long[] { 3, 3 }, "its entry 'a' lacks its sizes")]
    [InlineData("FFFFFFFF", "FFFFFFFF", "00000000", new long[] { 3, 4 }, "its entry 'a' takes 4 bytes for 3")]
    [InlineData("FFFFFFFF", "FFFFFFFF", "00000000", new long[] { -1, -1 }, "its entry 'a' takes -1 bytes for -1")]
    [InlineData("03000000", "03000000", "FFFFFFFF", new long[] { -1 }, "its entry 'a' takes 3 bytes for 3")]
    [InlineData("03000000", "03000000", "FFFFFFFF", new long[] { 1 }, "its entry 'a' begins at byte 1, and what is before it ends at 0")]
    public void LargeSizesStandInAnExtraField(string size, string stored, string place, long[] values, string? reason)
    {
        byte[] extra = [1, 0, (byte)(8 * values.Length), 0, .. values.SelectMany(BitConverter.GetBytes)];
        byte[] zip = Zip(new Part("a", "abc"u8.ToArray()) { Extra = extra });
        zip = Patched(zip, 34 + 20, Convert.FromHexString(stored + size));
        zip = Patched(zip, 34 + 42, Convert.FromHexString(place));
        if (reason is null)
        {
            Assert.Equal(["a 31 3 abc"], Read(zip));
        }
        else
        {
            Refused(zip, reason);
        }
    }

    [Theory]
    [InlineData("PK\u0007\u0008", 16, 0, null)]
    [InlineData("PK\u0007\u0008", 24, 0, null)]
    [InlineData("PK\u0007\u0009", 16, 0, "its directory and what stands behind the entry 'a' disagree")]
    [InlineData("PK\u0007\u0008", 16, 4, "its directory and what stands behind the entry 'a' disagree")]
    [InlineData("PK\u0007\u0008", 16, 8, "its directory and what stands behind the entry 'a' disagree")]
    [InlineData("PK\u0007\u0008", 16, 12, "its directory and what stands behind the entry 'a' disagree")]
    [InlineData("PK\u0007\u0008", 24, 4, "its directory and what stands behind the entry 'a' disagree")]
    [InlineData("PK\u0007\u0008", 24, 15, "its directory and what stands behind the entry 'a' disagree")]
    [InlineData("PK\u0007\u0008", 24, 16, "its directory and what stands behind the entry 'a' disagree")]
    [InlineData("", 0, 0, "its entry 'a' of 3 bytes ends elsewhere than its directory says")]
    [InlineData("PK\u0007\u0008", 20, 0, "its entry 'a' of 3 bytes ends elsewhere than its directory says")]
    public void SizesMayStandBehindAnEntry(string mark, int length, int wrong, string? reason)
    {
        byte[] content = "abc"u8.ToArray(),
            descriptor = new byte[length];
        Encoding.Latin1.GetBytes(mark).CopyTo(descriptor, 0);
        if (length > 4)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(descriptor.AsSpan(4), Crc32.HashToUInt32(content));
            descriptor[8] = descriptor[length == 16 ? 12 : 16] = 3;
        }

        if (wrong > 0)
        {
            descriptor[wrong]++;
        }

        // Where an entry stands its checksum and sizes are then either right or 0.
        byte[] zip = Zip(new Part("a", content) { Flags = 8, Descriptor = descriptor });
        foreach (byte[] each in new[] { zip, Patched(zip, 14, new byte[12]) })
        {
            if (reason is null)
            {
                Assert.Equal(["a 31 3 abc"], Read(each));
            }
            else
            {
                Refused(each, reason);
            }
        }

        Refused(Patched(zip, 18, 1), Before);
        if (length is 16 or 24)
        {
            // Without the flag nothing may stand there.
            Refused(
                Zip(new Part("a", content) { Descriptor = descriptor }),
                "its entry 'a' of 3 bytes ends elsewhere than its directory says"
            );
        }
    }

    [Theory]
    [InlineData(Last, "", null)]
    [InlineData(Last + 8, "FFFFFFFF" + "FFFFFFFF" + "FFFFFFFF", null)]
    [InlineData(Last + 12, "FFFFFFFF", null)]
    [InlineData(Last + 16, "FFFFFFFF", null)]
    [InlineData(Last + 8, "FFFFFFFE", "the two ends of its directory disagree")]
    [InlineData(Last + 10, "03", Ends)]
    [InlineData(Last + 12, "5D", Ends)]
    [InlineData(Last + 16, "47", Ends)]
    [InlineData(Locator + 4, "01", Ends)]
    [InlineData(Locator + 8, "A5", Ends)]
    [InlineData(Locator + 16, "02", Ends)]
    [InlineData(End64, "00", Ends)]
    [InlineData(End64 + 4, "2D", Ends)]
    [InlineData(End64 + 16, "01", Ends)]
    [InlineData(End64 + 20, "01", Ends)]
    [InlineData(End64 + 24, "01", Ends)]
    [InlineData(End64 + 32, "01", Ends)]
    [InlineData(End64 + 40, "5D", Ends)]
    [InlineData(End64 + 48, "47", Ends)]
    [InlineData(Locator, "00", "its directory should have 94 bytes at byte 70, and it ends at 240")]
    public void ASecondEndAgreesWithTheFirst(int place, string bytes, string? reason)
    {
        byte[] zip = Patched(WithSecondEnd(), place, Convert.FromHexString(bytes));
        if (reason is null)
        {
            Assert.Equal(["a 31 3 abc", "b 65 5 12345"], Read(zip));
        }
        else
        {
            Refused(zip, reason);
        }
    }

    [Fact]
    public void ADirectoryOfASecondEndIsInTheFile()
    {
        byte[] full = Patched(WithSecondEnd(), Last + 12, Enumerable.Repeat((byte)0xFF, 8).ToArray());
        Refused(Patched(full, End64 + 48, BitConverter.GetBytes(-1L)), "its directory should have 94 bytes at byte -1, and it ends at 164");
        Refused(
            Patched(full, End64 + 48, BitConverter.GetBytes(long.MinValue)),
            "its directory should have 94 bytes at byte -9223372036854775808, and it ends at 164"
        );
        Refused(
            Patched(full, End64 + 40, [.. BitConverter.GetBytes(-1L), .. BitConverter.GetBytes(165L)]),
            "its directory should have -1 bytes at byte 165, and it ends at 164"
        );
    }

    [Fact]
    public void ADirectoryHasALimit()
    {
        // A file of zeros that takes no place on the disk.
        const int Most = 1 << 26;
        using SafeFileHandle file = File.OpenHandle(_folder.PathOf("large"), FileMode.Create, FileAccess.ReadWrite);
        foreach (int length in new[] { Most + 1, Most })
        {
            byte[] end = Patched(Zip(), 12, BitConverter.GetBytes(length));
            RandomAccess.SetLength(file, 0);
            RandomAccess.Write(file, end, length);
            Assert.Equal(
                length > Most
                    ? "its directory has 67108865 bytes, more than the 67108864 that are read"
                    : "its directory holds something else than an entry at byte 0",
                Assert.Throws<InvalidDataException>(() => StoredZip.Read(file)).Message
            );
        }
    }

    [Fact]
    public void AnEntryMayHaveMoreThanFourGigabytes()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "elsewhere such a file would take its place on the disk");
        const long Length = 1L << 32;
        byte[] sizes = [.. BitConverter.GetBytes(Length), .. BitConverter.GetBytes(Length)];
        byte[] extra = [1, 0, 16, 0, .. sizes];
        byte[] zip = Zip(new Part("a", []) { Extra = extra, LocalExtra = extra });
        byte[] full = Enumerable.Repeat((byte)0xFF, 8).ToArray();
        zip = Patched(Patched(zip, 18, full), 51 + 20, full);
        zip = Patched(zip, zip.Length - 6, full[..4]);
        // The second end has the place of the directory, which its field cannot hold.
        long start = 51 + Length;
        byte[] list = zip[51..^22];
        byte[] tail = [.. list, .. SecondEnd(1, list.Length, start), .. zip[^22..]];
        using SafeFileHandle file = File.OpenHandle(_folder.PathOf("large"), FileMode.Create, FileAccess.ReadWrite);
        RandomAccess.Write(file, zip.AsSpan(0, 51), 0);
        RandomAccess.Write(file, tail, start);
        (string name, StoredBlock block) = Assert.Single(StoredZip.Read(file));
        Assert.Equal(("a", 51L, Length), (name, block.Start, block.Length));
    }

    [Fact]
    public void BytesAreComparedWithTheirChecksumOnce()
    {
        // More than one piece of a megabyte.
        byte[] content = new byte[(1 << 20) + 5];
        new Random(1).NextBytes(content);
        string path = _folder.PathOf("a.zip");
        File.WriteAllBytes(path, Zip(new Part("a", content)));
        using (SafeFileHandle file = File.OpenHandle(path))
        {
            StoredBlock block = StoredZip.Read(file)["a"];
            byte[] last = new byte[3];
            block.Read(file, content.Length - 3, last);
            Assert.Equal(content[^3..], last);
            Assert.Equal(content, block.ReadAll(file));
            Assert.Equal(
                "the file ends too early",
                Assert.Throws<InvalidDataException>(() => StoredZip.Fill(file, new FileInfo(path).Length - 1, last)).Message
            );
        }

        foreach (int place in new[] { 0, 1 << 20, content.Length - 1 })
        {
            byte[] damaged = Zip(new Part("a", content));
            damaged[31 + place] ^= 1;
            File.WriteAllBytes(path, damaged);
            using SafeFileHandle file = File.OpenHandle(path);
            StoredBlock block = StoredZip.Read(file)["a"];
            uint found = Crc32.HashToUInt32(damaged.AsSpan(31, content.Length));
            string message = $"their checksum is {found:x8}, and {Crc32.HashToUInt32(content):x8} was written";
            Assert.Equal(message, Assert.Throws<InvalidDataException>(() => block.ReadAll(file)).Message);
            Assert.Equal(message, Assert.Throws<InvalidDataException>(() => block.Read(file, 7, new byte[1])).Message);
            // Without a checksum nothing is compared.
            Assert.Equal(damaged[31..(31 + content.Length)], new StoredBlock(31, content.Length, null).ReadAll(file));
        }
    }

    private static byte[] WithSecondEnd()
    {
        byte[] zip = Zip(new("a", "abc"u8.ToArray()), new("b", "12345"u8.ToArray()));
        return [.. zip[..End], .. SecondEnd(2, End - List, List), .. zip[End..]];
    }

    private static byte[] SecondEnd(long count, long size, long start)
    {
        using var bytes = new MemoryStream();
        using var writer = new BinaryWriter(bytes);
        writer.Write(0x06064b50);
        writer.Write(44L);
        writer.Write(45 << 16 | 45);
        writer.Write(0L);
        writer.Write(count);
        writer.Write(count);
        writer.Write(size);
        writer.Write(start);
        writer.Write(0x07064b50);
        writer.Write(0);
        writer.Write(start + size);
        writer.Write(1);
        return bytes.ToArray();
    }

    private static byte[] Zip(params Part[] parts)
    {
        var zip = new CraftedZip();
        foreach (Part part in parts)
        {
            zip.Add(
                part.Name,
                part.Content,
                entry => entry with { Flags = part.Flags, Extra = part.Extra, LocalExtra = part.LocalExtra, Descriptor = part.Descriptor }
            );
        }

        return zip.ToArray();
    }

    private static byte[] Patched(byte[] zip, int place, params byte[] bytes)
    {
        byte[] patched = [.. zip];
        bytes.CopyTo(patched, place);
        return patched;
    }

    // Each entry's name, place, length and content.
    private string[] Read(byte[] zip)
    {
        string path = _folder.PathOf("read.zip");
        File.WriteAllBytes(path, zip);
        using SafeFileHandle file = File.OpenHandle(path);
        return
        [
            .. StoredZip
                .Read(file)
                .Select(each => $"{each.Key} {each.Value.Start} {each.Value.Length} {Encoding.Latin1.GetString(each.Value.ReadAll(file))}"),
        ];
    }

    private void Refused(byte[] zip, string reason) =>
        Assert.StartsWith(reason, Assert.Throws<InvalidDataException>(() => Read(zip)).Message, StringComparison.Ordinal);

    private sealed record Part(string Name, byte[] Content)
    {
        public ushort Flags { get; init; }

        public byte[] Extra { get; init; } = [];

        public byte[] LocalExtra { get; init; } = [];

        public byte[] Descriptor { get; init; } = [];
    }
}
