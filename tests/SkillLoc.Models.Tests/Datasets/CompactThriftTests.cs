using SkillLoc.Data.Parquet;
using static SkillLoc.Models.Tests.Datasets.ParquetBytes;

namespace SkillLoc.Models.Tests.Datasets;

/// <summary>Which bytes are a struct of a Parquet file, by Thrift's compact protocol: of a field the type in the lower half of a byte, and in
/// the upper one the distance to the number before, or 0 and the number; numbers in zigzag.</summary>
public sealed class CompactThriftTests
{
    // What describes a file: 1 is a number of 32 bits, 2 a list of structs, 3 a number of 64 bits, 6 a text, 8 and 9 are of encrypted files.
    [Theory]
    [InlineData("00")]
    [InlineData("15 02 00")]
    [InlineData("15 FEFFFFFF0F 00")]
    [InlineData("15 FFFFFFFF0F 00")]
    [InlineData("14 02 00")]
    [InlineData("05 02 02 00")]
    [InlineData("36 FFFFFFFFFFFFFFFFFF01 00")]
    [InlineData("35 02 00")]
    [InlineData("34 02 00")]
    [InlineData("68 00 00")]
    [InlineData("68 01 61 00")]
    [InlineData("15 02 58 01 61 00")]
    [InlineData("29 0C 00")]
    [InlineData("29 00 00")]
    [InlineData("29 1C 00 00")]
    [InlineData("29 2C 1502 00 00 00")]
    [InlineData("29 FC01 00 00")]
    // A type of whole numbers of 8 bits within the second field, and a box of reals within the fourth.
    [InlineData("29 1C AC AC 13 08 11 00 00 00 00")]
    [InlineData("49 1C 19 1C 3C 0C22 1C 17 0000000000000000 00 00 00 00 00 00")]
    // Fields of newer formats.
    [InlineData("A1 00")]
    [InlineData("A2 00")]
    [InlineData("A3 05 00")]
    [InlineData("A4 02 00")]
    [InlineData("A5 02 00")]
    [InlineData("A6 FFFFFFFFFFFFFFFFFF01 00")]
    [InlineData("A7 0000000000000000 00")]
    [InlineData("A8 01 61 00")]
    [InlineData("A9 23 01 01 00")]
    [InlineData("A9 24 02 02 00")]
    [InlineData("A9 25 02 02 00")]
    [InlineData("A9 26 02 02 00")]
    [InlineData("A9 17 0000000000000000 00")]
    [InlineData("A9 18 01 61 00")]
    [InlineData("A9 01 00")]
    [InlineData("AC 00 00")]
    [InlineData("A1 A1 00")]
    [InlineData("A1 0114 00")]
    [InlineData("05FEFF03 02 00")]
    public void AStructIsWhole(string hex) => Assert.True(IsFileMetaData(hex));

    [Theory]
    [InlineData("")]
    [InlineData("00 00")]
    [InlineData("15")]
    [InlineData("15 02")]
    [InlineData("15 80")]
    [InlineData("36 80808080808080808080 00 00")]
    [InlineData("A5 80808080808080808080 00 00")]
    // Numbers that 32 bits do not hold.
    [InlineData("15 8080808010 00")]
    [InlineData("15 8180808010 00")]
    // Another type than it should be.
    [InlineData("16 02 00")]
    [InlineData("13 02 00")]
    [InlineData("11 00")]
    [InlineData("12 00")]
    [InlineData("18 00 00")]
    [InlineData("33 02 00")]
    [InlineData("37 0000000000000000 00")]
    [InlineData("65 02 00")]
    [InlineData("69 18 00 00")]
    [InlineData("2C 00 00")]
    [InlineData("2A 1C 00 00")]
    [InlineData("29 15 02 00")]
    [InlineData("29 1C AC AC 15 08 00 00 00 00")]
    [InlineData("29 1C AC AC 13 08 15 02 00 00 00 00")]
    [InlineData("49 1C 19 1C 3C 0C22 1C 15 02 00 00 00 00 00 00")]
    // Lengths that are longer than what follows.
    [InlineData("68")]
    [InlineData("68 80")]
    [InlineData("68 02 61")]
    [InlineData("68 FFFFFFFFFFFFFFFFFF01 61 00")]
    [InlineData("29")]
    [InlineData("29 FC")]
    [InlineData("29 FC FFFFFFFF07 00 00")]
    [InlineData("29 1C")]
    [InlineData("29 3C 00 00")]
    [InlineData("29 2C 00 15")]
    // A field twice, and numbers that no field has.
    [InlineData("15 02 05 02 02 00")]
    [InlineData("15 02 19 0C 05 02 02 00")]
    [InlineData("05 00 02 00")]
    [InlineData("05 01 02 00")]
    [InlineData("05 80")]
    [InlineData("05 808004 02 00")]
    [InlineData("05 FEFF03 02 15 02 00")]
    // Encrypted.
    [InlineData("8C 00 00")]
    [InlineData("98 00 00")]
    // What the library does not pass over as it should.
    [InlineData("A0 00")]
    [InlineData("A3")]
    [InlineData("A4 80")]
    [InlineData("A7 00000000000000")]
    [InlineData("A8 02 61")]
    [InlineData("A8 80")]
    [InlineData("A9 11 01 00")]
    [InlineData("A9 1C 00 00")]
    [InlineData("A9 19 15 02 00")]
    [InlineData("A9 25 02 80")]
    [InlineData("AA 15 02 00")]
    [InlineData("AB 00 00")]
    [InlineData("AC")]
    [InlineData("AC 15 02 00 00")]
    [InlineData("AD 00000000000000000000000000000000 00")]
    [InlineData("AE 00")]
    [InlineData("AF 00")]
    public void OtherBytesAreNone(string hex) => Assert.False(IsFileMetaData(hex));

    [Fact]
    public void ListsWithinListsDoNotFillTheStack()
    {
        byte[] lists = [0xA9, .. Enumerable.Repeat((byte)0x19, 10_000_000)];
        Assert.False(CompactThrift.IsStruct(lists, ParquetStructs.FileMetaData));
    }

    [Fact]
    public void NumbersAndFlagsAreFoundByTheirFields()
    {
        byte[] header = Of(
            (1, 3),
            (2, 70_000),
            (3, -2),
            (5, Of((1, 4), (2, 7), (5, Of((1, "least"), (3, 1L << 40), (7, true))))),
            (8, Of((1, 5), (7, false)))
        ).Bytes;
        Dictionary<int, long>? numbers = CompactThrift.Numbers([.. header, 1, 2, 3], ParquetStructs.PageHeader, out int length);
        Assert.Equal(header.Length, length);
        Assert.Equal(
            new Dictionary<int, long>
            {
                [1] = 3,
                [2] = 70_000,
                [3] = -2,
                [CompactThrift.Within(5, 1)] = 4,
                [CompactThrift.Within(5, 2)] = 7,
                [CompactThrift.Within(CompactThrift.Within(5, 5), 3)] = 1L << 40,
                [CompactThrift.Within(CompactThrift.Within(5, 5), 7)] = 1,
                [CompactThrift.Within(8, 1)] = 5,
                [CompactThrift.Within(8, 7)] = 0,
            },
            numbers
        );
        Assert.Null(CompactThrift.Numbers(header.AsSpan(0, header.Length - 1), ParquetStructs.PageHeader, out _));
    }

    private static bool IsFileMetaData(string hex) =>
        CompactThrift.IsStruct(Convert.FromHexString(hex.Replace(" ", "", StringComparison.Ordinal)), ParquetStructs.FileMetaData);
}
