using System.Buffers.Binary;
using SkillLoc.Models.Datasets;

namespace SkillLoc.Models.Tests.Datasets;

/// <summary>What the headers of pages say is looked at before the library takes it as it is.</summary>
public sealed class ParquetPageTests : IDisposable
{
    private static readonly TaskFileFormat Hub = new()
    {
        Layout = TaskFileLayout.Parquet,
        Text = 1,
        Label = ^1,
    };

    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-pages-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    // The pages of the column of texts: a dictionary at byte 0x3D and values at byte 0x66. Numbers are doubled, 15 is before each.
    [Theory]
    [InlineData(0x3E, 0x04, 0x08, "is of the type 4")]
    [InlineData(0x3E, 0x04, 0x00, "has -1 values")]
    [InlineData(0x40, 0x30, 0x2F, "bytes compressed and -24 otherwise")]
    [InlineData(0x42, 0x34, 0x33, "has -26 bytes compressed")]
    [InlineData(0x42, 0x34, 0x7E, "page at byte")]
    [InlineData(0x42, 0x34, 0x36, "page at byte")]
    [InlineData(0x45, 0x04, 0x03, "has -2 values")]
    [InlineData(0x66, 0x00, 0x04, "has -1 values")]
    [InlineData(0x6D, 0x06, 0x04, "hold 2 values for 3 rows")]
    [InlineData(0x6D, 0x06, 0x7E, "hold 63 values for 3 rows")]
    [InlineData(0x65, 0x15, 0x18, "is not complete")]
    public void AHeaderThatCannotBeIsRefused(int place, byte was, byte becomes, string said)
    {
        byte[] file = File.ReadAllBytes(Oracles.PathOf("parquet", "hub.parquet"));
        Assert.Equal(was, file[place]);
        file[place] = becomes;
        string path = Path.Join(_folder, "file.parquet");
        File.WriteAllBytes(path, file);
        string message = Assert.Throws<InvalidDataException>(() => TaskFileReader.Read(path, Hub).Count()).Message;
        Assert.StartsWith($"{path}, column 'sentence', rows from 1: the Parquet file is damaged", message, StringComparison.Ordinal);
        Assert.Contains(said, message, StringComparison.Ordinal);
    }

    [Fact]
    public void ANumberWhereATextShouldBeIsRefused()
    {
        // The library took it for the text's length and made room for it.
        byte[] file = File.ReadAllBytes(Oracles.PathOf("parquet", "hub.parquet"));
        int name = file.AsSpan().IndexOf((byte[])[8, .. "sentence"u8]) - 1;
        Assert.Equal(8, file[name] & 0xF);
        file[name] = (byte)((file[name] & 0xF0) | 6);
        string path = Path.Join(_folder, "file.parquet");
        File.WriteAllBytes(path, file);
        Assert.Contains(
            "what describes its columns is not complete",
            Assert.Throws<InvalidDataException>(() => TaskFileReader.Read(path, Hub).Count()).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void AFileThatSaysItIsEncryptedIsRefused()
    {
        byte[] file = File.ReadAllBytes(Oracles.PathOf("parquet", "hub.parquet"));
        int length = BinaryPrimitives.ReadInt32LittleEndian(file.AsSpan(file.Length - 8));
        // A ninth field, of no bytes, before the zero that ends the footer.
        byte[] encrypted = [.. file[..^9], 0x08, 18, 0, .. file[^9..]];
        BinaryPrimitives.WriteInt32LittleEndian(encrypted.AsSpan(encrypted.Length - 8), length + 3);
        string path = Path.Join(_folder, "file.parquet");
        File.WriteAllBytes(path, encrypted);
        Assert.Throws<InvalidDataException>(() => TaskFileReader.Read(path, Hub).Count());
    }
}
