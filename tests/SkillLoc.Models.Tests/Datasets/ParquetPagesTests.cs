using System.IO.Compression;
using K4os.Compression.LZ4;
using Parquet.Meta;
using SkillLoc.Data.Parquet;
using Snappier;
using static SkillLoc.Models.Tests.Datasets.ParquetBytes;

namespace SkillLoc.Models.Tests.Datasets;

/// <summary>What is found out of a column's pages before the library reads them.</summary>
public sealed class ParquetPagesTests
{
    private const int PlainValues = 0,
        DeltaNumbers = 5,
        DeltaLengths = 6,
        DeltaBytes = 7;
    private const long Most = 4096;

    private static readonly byte[] Content = [1, 2, 3, 4];

    [Fact]
    public void PagesThatFillTheirPlaceAreAccepted()
    {
        byte[] first = Page(2, PlainValues, Content),
            second = PageV2(3, 1, PlainValues, [2, 1], Content, 4, isCompressed: true);
        Assert.Equal(4 + first.Length + second.Length, Check([.. first, .. second], 5, mayBeNull: true));
        Assert.Equal(4, Check([], 0));
        // Entries are no values.
        byte[] entries = Dictionary(4, Content);
        Assert.Equal(4 + entries.Length + first.Length, Check([.. entries, .. first], 2));
    }

    [Fact]
    public void ADictionarysPlaceMayBeMissingOrBehind()
    {
        byte[] page = Page(2, PlainValues, Content);
        foreach (long? place in (long?[])[null, 0, 4, 1000])
        {
            Assert.Equal(4 + page.Length, Check(page, 2, column => column.DictionaryPageOffset = place));
            Assert.Equal(4 + page.Length, Check(page, 2, column => column.IndexPageOffset = place));
        }

        // The library begins with whatever is first.
        Refused("begin at byte 1", page, 2, column => column.IndexPageOffset = 1);
        Refused("begin at byte 2", page, 2, column => column.DictionaryPageOffset = 2);
        Refused("begin at byte -1", page, 2, column => column.DictionaryPageOffset = -1);
        Refused("begin at byte 0", page, 2, column => column.DataPageOffset = 0);
    }

    [Fact]
    public void APlaceThatIsNotInTheFileIsRefused()
    {
        byte[] page = Page(2, PlainValues, Content);
        Refused("begin at byte 3", page, 2, column => column.DataPageOffset = 3);
        Refused("have -1 bytes", page, 2, column => column.TotalCompressedSize = -1);
        Refused($"have {long.MaxValue} bytes", page, 2, column => column.TotalCompressedSize = long.MaxValue);
        Refused($"the data end at {4 + page.Length}", page, 2, column => column.TotalCompressedSize++);
        Refused("is not complete", page, 2, column => column.TotalCompressedSize = 3);
        Refused("has 4 bytes compressed", page, 2, column => column.TotalCompressedSize--);
        Refused("has 3 values for 2 rows", page, 2, column => column.NumValues = 3);
        Refused("has -1 values for -1 rows", page, -1);
        // 32 bytes for each.
        byte[] many = Page(128, PlainValues, Content);
        Check(many, 128);
        Refused("has 129 values for 129 rows, of which 128", Page(129, PlainValues, Content), 129);
    }

    [Theory]
    [InlineData(1, 4, 4, 5, "is of the type 1")]
    [InlineData(-1, 4, 4, 5, "is of the type -1")]
    [InlineData(0, 4, -1, 5, "has -1 bytes compressed and 4 otherwise")]
    [InlineData(0, -1, 4, 5, "has 4 bytes compressed and -1 otherwise")]
    [InlineData(0, 5, 5, 5, "has 5 bytes compressed and 5 otherwise, and there are 4")]
    [InlineData(0, 5, 4, 5, "has 4 bytes compressed and 5 otherwise")]
    [InlineData(0, 4, 4, 7, "has -1 values")]
    [InlineData(2, 4, 4, 5, "has -1 values")]
    [InlineData(3, 4, 4, 5, "has -1 values")]
    public void AHeaderThatCannotBeIsRefused(int type, int uncompressed, int compressed, int field, string reason) =>
        Refused(reason, [.. Header(type, uncompressed, compressed, field, Of((1, 2))), .. Content], 2);

    [Fact]
    public void AHeaderWithoutSizesIsRefused()
    {
        Refused("has -1 bytes compressed and 4 otherwise", [.. Of((1, 0), (2, 4), (5, Of((1, 2)))).Bytes, .. Content], 2);
        Refused("has 4 bytes compressed and -1 otherwise", [.. Of((1, 0), (3, 4), (5, Of((1, 2)))).Bytes, .. Content], 2);
        Refused("is of the type -1", [.. Of((2, 4), (3, 4), (5, Of((1, 2)))).Bytes, .. Content], 2);
    }

    [Fact]
    public void ValuesAreAsManyAsRows()
    {
        Refused("hold 1 values for 2 rows", Page(1, PlainValues, Content), 2);
        Refused("hold 3 values for 2 rows", Page(3, PlainValues, Content), 2);
        Refused("hold 3 values for 2 rows", [.. Page(2, PlainValues, Content), .. Page(1, PlainValues, Content)], 2);
        Refused("has -2 values", Page(-2, PlainValues, Content), 2);
    }

    [Fact]
    public void ADictionaryIsFirstAndNoLongerThanItsBytes()
    {
        byte[] page = Page(2, PlainValues, Content);
        Refused("is not the first page", [.. page, .. Dictionary(1, Content)], 2);
        Refused("has 5 values in 4 bytes", [.. Dictionary(5, Content), .. page], 2);
        // 32 bytes for each.
        byte[] entries = new byte[200];
        Check([.. Dictionary(128, entries), .. page], 2);
        Refused("129 entries", [.. Dictionary(129, entries), .. page], 2);
    }

    [Theory]
    [InlineData(2, 2, 0, 0, true, null)]
    [InlineData(2, 0, 4, 0, true, null)]
    [InlineData(2, -1, 0, 0, true, "has -1 nulls among 2 values")]
    [InlineData(2, 3, 0, 0, true, "has 3 nulls among 2 values")]
    [InlineData(2, 0, -1, 0, true, "-1 and 0 bytes of levels")]
    [InlineData(2, 0, 5, 0, true, "5 and 0 bytes of levels")]
    [InlineData(2, 0, 0, 1, true, "0 and 1 bytes of levels")]
    [InlineData(2, 0, 0, 0, false, null)]
    [InlineData(2, 0, 1, 0, false, "1 and 0 bytes of levels")]
    public void LevelsOfTheSecondFormatFitIntoThePage(int values, int nulls, int levels, int repetitions, bool mayBeNull, string? reason)
    {
        ParquetBytes.Struct inner = Of((1, values), (2, nulls), (3, values), (4, PlainValues), (5, levels), (6, repetitions));
        byte[] page = [.. Header(3, 4, 4, 8, inner), .. Content];
        if (reason is null)
        {
            Assert.Equal(4 + page.Length, Check(page, values, mayBeNull: mayBeNull));
        }
        else
        {
            Refused(reason, page, values, mayBeNull: mayBeNull);
        }
    }

    [Fact]
    public void LevelsAreNoLongerThanThePageInEitherForm()
    {
        ParquetBytes.Struct inner = Of((1, 2), (2, 0), (3, 2), (4, PlainValues), (5, 4), (6, 0));
        Refused("4 and 0 bytes", [.. Header(3, 3, 4, 8, inner), .. Content], 2, Gzip, mayBeNull: true);
        Refused("4 and 0 bytes", [.. Header(3, 4, 3, 8, inner), .. Content], 2, Gzip, mayBeNull: true);
    }

    [Theory]
    [InlineData(400)]
    [InlineData(600)]
    [InlineData(70_000)]
    public void AHeaderMayQuoteALongText(int length)
    {
        string text = new('a', length);
        byte[] page =
        [
            .. Header(0, 4, 4, 5, Of((1, 2), (2, PlainValues), (3, 3), (4, 3), (5, Of((1, text), (2, text), (5, text), (6, text))))),
            .. Content,
        ];
        Assert.Equal(4 + page.Length, Check(page, 2));
        Refused("is not complete", page[..^10], 2);
    }

    [Fact]
    public void AHeaderOfMegabytesIsRefused()
    {
        byte[] page = [.. Header(0, 4, 4, 5, Of((1, 2), (2, PlainValues), (3, 3), (4, 3), (5, Of((1, new byte[1 << 24]))))), .. Content];
        Refused("the header of the page at byte 4 is not complete", page, 2);
    }

    [Fact]
    public void PagesHoldNoMoreThanTheColumnMay()
    {
        byte[] half = Page(1, PlainValues, Content, 2048),
            more = Page(1, PlainValues, Content, 2049);
        Check([.. half, .. half], 2, Gzip);
        Refused("hold more than 4096 bytes", [.. half, .. more], 2, Gzip);
    }

    [Fact]
    public void SizesInTheCompressedBytesCount()
    {
        byte[] zeros = new byte[5000];
        Refused("hold more than 4096 bytes", Page(2, PlainValues, Snappy.CompressToArray(zeros), 4), 2, SnappyCodec);
        using var zstd = new ZstdSharp.Compressor();
        Refused("hold more than 4096 bytes", Page(2, PlainValues, zstd.Wrap(zeros).ToArray(), 4), 2, Zstd);
        Check(Page(2, PlainValues, Snappy.CompressToArray(zeros.AsSpan(0, 4096)), 4), 2, SnappyCodec);
        // Of the second format, the levels and pages that say so are not compressed.
        byte[] levels = [2, 1];
        Refused(
            "hold more than 4096 bytes",
            PageV2(2, 0, PlainValues, levels, Snappy.CompressToArray(zeros), 4, isCompressed: true),
            2,
            SnappyCodec,
            mayBeNull: true
        );
        Check(PageV2(2, 0, PlainValues, levels, [0xFF, 0xFF, 0x7F, 1], 4, isCompressed: false), 2, SnappyCodec, mayBeNull: true);
    }

    [Fact]
    public void TextsThatRepeatTheOneBeforeAreCounted()
    {
        // A text of 38 characters, and 99 that repeat it; the page's own bytes count too.
        string[] texts = [.. Enumerable.Repeat(new string('a', 38), 100)];
        byte[] content = DeltaTexts(texts);
        Assert.InRange(content.Length, 300, 1000);
        Refused("hold more than 4096 bytes", Page(100, DeltaBytes, content), 100);
        Check(Page(100, DeltaBytes, content), 100, most: content.Length + 3800);
        Refused($"hold more than {content.Length + 3799} bytes", Page(100, DeltaBytes, content), 100, most: content.Length + 3799);
    }

    [Theory]
    [InlineData(CompressionCodec.UNCOMPRESSED)]
    [InlineData(CompressionCodec.SNAPPY)]
    [InlineData(CompressionCodec.GZIP)]
    [InlineData(CompressionCodec.BROTLI)]
    [InlineData(CompressionCodec.LZ4)]
    [InlineData(CompressionCodec.LZ4_RAW)]
    [InlineData(CompressionCodec.ZSTD)]
    public void TextsThatRepeatTheOneBeforeAreCountedInEveryCompression(CompressionCodec codec)
    {
        string hundred = new('a', 100);
        byte[] content = DeltaTexts(hundred + "one", hundred + "once", hundred + "only", "", "two", "twofold");
        // 103 + 104 + 104 + 0 + 3 + 7.
        const int Texts = 321;
        byte[] levels = [12, 1],
            withLevels = [2, 0, 0, 0, .. levels, .. content];
        foreach (
            (byte[] page, int size, bool mayBeNull) in (ReadOnlySpan<(byte[], int, bool)>)
                [
                    (Page(6, DeltaBytes, Compress(codec, content), content.Length), content.Length, false),
                    (Page(6, DeltaBytes, Compress(codec, withLevels), withLevels.Length), withLevels.Length, true),
                    (
                        PageV2(6, 0, DeltaBytes, levels, Compress(codec, content), content.Length, isCompressed: true),
                        levels.Length + content.Length,
                        true
                    ),
                    (PageV2(8, 2, DeltaBytes, levels, content, content.Length, isCompressed: false), levels.Length + content.Length, true),
                ]
        )
        {
            int rows = page.AsSpan().IndexOf((byte[])[0x15, 16]) is >= 0 and < 20 ? 8 : 6;
            Check(page, rows, column => column.Codec = codec, mayBeNull, size + Texts);
            Refused($"hold more than {size + Texts - 1} bytes", page, rows, column => column.Codec = codec, mayBeNull, size + Texts - 1);
        }
    }

    [Fact]
    public void DeltasInACompressionThatIsNotReadAreRefused() =>
        Refused(
            "compressed by LZO, which is not read",
            Page(1, DeltaNumbers, Deltas(3, 7)),
            1,
            column => column.Codec = CompressionCodec.LZO
        );

    [Fact]
    public void NumbersAreReadAsTheyAreWritten()
    {
        // Lengths of several blocks, each of another number of bits.
        string[] texts = [.. Enumerable.Range(0, 300).Select(i => new string((char)('a' + (i % 26)), i * 7 % 60))];
        int bytes = texts.Sum(text => text.Length);
        byte[] content = DeltaTexts(texts);
        Check(Page(300, DeltaBytes, content), 300, most: content.Length + bytes);
        Refused("hold more", Page(300, DeltaBytes, content), 300, most: content.Length + bytes - 1);
    }

    [Theory]
    [InlineData(DeltaNumbers)]
    [InlineData(DeltaLengths)]
    public void NumbersOfDeltasAreLookedAtBeforeTheyAreRead(int encoding)
    {
        Check(Page(3, encoding, Deltas(5, 1, 2, 30)), 3);
        // Some may be null, and then there are fewer.
        Check(Page(3, encoding, [1, 0, 0, 0, 9, .. Deltas(5, 1, 2)]), 3, mayBeNull: true);
        Refused("holds 4 numbers for 3 values", Page(3, encoding, Deltas(5, 1, 2, 30, 4)), 3);
        Refused("are not complete", Page(3, encoding, [1, 0, 0]), 3, mayBeNull: true);
        Refused("are not complete", Page(3, encoding, [9, 0, 0, 0, 9]), 3, mayBeNull: true);
        Refused("are not complete", Page(3, encoding, [255, 255, 255, 255, 9]), 3, mayBeNull: true);
    }

    // A block's numbers, its parts, how many there are in all, and the first.
    [Theory]
    [InlineData("8001 04 03 02", null)]
    [InlineData("808004 01 03 02", null)]
    [InlineData("08 01 03 02", null)]
    [InlineData("888004 01 03 02", "in blocks of 65544 in 1 parts")]
    [InlineData("8001 00 03 02", "in blocks of 128 in 0 parts")]
    [InlineData("8001 8101 03 02", "in blocks of 128 in 129 parts")]
    [InlineData("8001 8001 03 02", "in blocks of 128 in 128 parts")]
    [InlineData("00 00 03 02", "in blocks of 0 in 0 parts")]
    [InlineData("8001 04 8080808008 02", "holds 2147483648 numbers")]
    [InlineData("8001 04 03", "are not complete")]
    [InlineData("80", "are not complete")]
    [InlineData("", null)]
    [InlineData("80808080808080808080 01", "more than ten bytes")]
    public void ABlockOfDeltasHasASize(string hex, string? reason)
    {
        byte[] page = Page(3, DeltaNumbers, Bytes(hex));
        if (reason is null)
        {
            Assert.Equal(4 + page.Length, Check(page, 3));
        }
        else
        {
            Refused(reason, page, 3);
        }
    }

    // Blocks of 8 in one part: of the lengths that are the text's before, and of the others, each with a least difference, a width and bits.
    [Theory]
    [InlineData("08 01 02 00 00 00 | 08 01 02 02 00 00 | 6161", null)]
    [InlineData("08 01 02 00 02 00 | 08 01 02 02 00 00 | 6161", null)]
    [InlineData("08 01 02 00 04 00 | 08 01 02 02 00 00 | 6161", "text 2 of its page has 2 bytes of the one before and 1 of its own")]
    [InlineData("08 01 02 02 01 00 | 08 01 02 02 00 00 | 6161", "text 1 of its page has 1 bytes of the one before")]
    [InlineData("08 01 02 00 01 00 | 08 01 02 02 00 00 | 6161", "text 2 of its page has -1 bytes of the one before")]
    [InlineData("08 01 02 00 00 00 | 08 01 02 06 00 00 | 6161", "text 1 of its page has 0 bytes of the one before and 3 of its own")]
    [InlineData("08 01 02 00 00 00 | 08 01 02 01 00 00 | 6161", "text 1 of its page has 0 bytes of the one before and -1 of its own")]
    [InlineData("08 01 01 00 | 08 01 02 02 00 00 | 6161", "holds 1 lengths of 2 texts")]
    [InlineData("08 01 02 00 00 00 | 08 01 03 02 00 00 | 6161", "holds 3 lengths of 2 texts")]
    [InlineData("08 01 02 00 00 20 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 | 08 01 02 00 00 00", null)]
    [InlineData("08 01 02 00 00 21 0000", "has 33 bits")]
    [InlineData("08 01 02 00 00 02 00", "are not complete")]
    [InlineData("08 01 02 00 00", "are not complete")]
    [InlineData("08 01 02 00", "are not complete")]
    public void LengthsOfTextsThatCannotBeAreRefused(string hex, string? reason)
    {
        byte[] page = Page(2, DeltaBytes, Bytes(hex));
        if (reason is null)
        {
            Assert.Equal(4 + page.Length, Check(page, 2));
        }
        else
        {
            Refused(reason, page, 2);
        }
    }

    [Fact]
    public void NoTextsAreNone()
    {
        Check(Page(0, DeltaBytes, Bytes("08 01 00 00 08 01 00 00")), 0);
        Check(PageV2(2, 2, DeltaBytes, [4, 0], Bytes("08 01 00 00 08 01 00 00"), 8, isCompressed: false), 2, mayBeNull: true);
    }

    private static byte[] Bytes(string hex) =>
        Convert.FromHexString(hex.Replace(" ", "", StringComparison.Ordinal).Replace("|", "", StringComparison.Ordinal));

    private static void Gzip(ColumnMetaData column) => column.Codec = CompressionCodec.GZIP;

    private static void SnappyCodec(ColumnMetaData column) => column.Codec = CompressionCodec.SNAPPY;

    private static void Zstd(ColumnMetaData column) => column.Codec = CompressionCodec.ZSTD;

    private static byte[] Compress(CompressionCodec codec, byte[] content)
    {
        using var compressed = new MemoryStream();
        switch (codec)
        {
            case CompressionCodec.SNAPPY:
                return Snappy.CompressToArray(content);
            case CompressionCodec.GZIP:
                using (var gzip = new GZipStream(compressed, CompressionLevel.Optimal, leaveOpen: true))
                {
                    gzip.Write(content);
                }

                return compressed.ToArray();
            case CompressionCodec.BROTLI:
                using (var brotli = new BrotliStream(compressed, CompressionLevel.Optimal, leaveOpen: true))
                {
                    brotli.Write(content);
                }

                return compressed.ToArray();
            case CompressionCodec.ZSTD:
                using (var zstd = new ZstdSharp.Compressor())
                {
                    return zstd.Wrap(content).ToArray();
                }

            case CompressionCodec.LZ4
            or CompressionCodec.LZ4_RAW:
                byte[] target = new byte[LZ4Codec.MaximumOutputSize(content.Length)];
                return target[..LZ4Codec.Encode(content, target)];
            default:
                return content;
        }
    }

    private static long Check(byte[] pages, long rows, Action<ColumnMetaData>? change = null, bool mayBeNull = false, long most = Most)
    {
        var column = new ColumnMetaData
        {
            Codec = CompressionCodec.UNCOMPRESSED,
            DataPageOffset = 4,
            TotalCompressedSize = pages.Length,
            NumValues = rows,
        };
        change?.Invoke(column);
        using var file = new MemoryStream([.. "PAR1"u8, .. pages, .. "footer"u8]);
        return Pages.Check(file, column, mayBeNull, rows, 4 + pages.Length, most);
    }

    private static void Refused(
        string reason,
        byte[] pages,
        long rows,
        Action<ColumnMetaData>? change = null,
        bool mayBeNull = false,
        long most = Most
    ) =>
        Assert.Contains(
            reason,
            Assert.Throws<InvalidDataException>(() => Check(pages, rows, change, mayBeNull, most)).Message,
            StringComparison.Ordinal
        );
}
