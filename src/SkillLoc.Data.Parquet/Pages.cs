using Parquet.Meta;

namespace SkillLoc.Data.Parquet;

/// <summary>Looks at the headers of a column's pages before the library reads them: it takes their sizes and numbers as they are, and reads on
/// behind what is damaged.</summary>
internal static class Pages
{
    // The fields of a page's header and of the headers within it, by their numbers in parquet.thrift.
    private const int Type = 1,
        Uncompressed = 2,
        Compressed = 3,
        DataPage = 5,
        DictionaryPage = 7,
        DataPageV2 = 8,
        Values = 1,
        Nulls = 2,
        DefinitionBytes = 5,
        RepetitionBytes = 6;

    // A header may quote the least and the greatest of the page's texts.
    private const int FirstWindow = 1 << 9;
    private const int LongestHeader = 1 << 24;

    // A value and its place in the results.
    private const int BytesOfValue = 32;

    /// <summary>Throws unless a column's pages fill its place in the file, hold a value a row, and say sizes that can be.</summary>
    /// <param name="file">The file, whose position is kept.</param>
    /// <param name="column">What the file says of the column.</param>
    /// <param name="rows">The number of rows.</param>
    /// <param name="end">Where the file's data end.</param>
    /// <param name="most">The most bytes that the column may take.</param>
    /// <exception cref="InvalidDataException">They do not.</exception>
    public static void Check(Stream file, ColumnMetaData column, long rows, long end, long most)
    {
        long position = file.Position,
            at = column.DictionaryPageOffset is > 0 and var first && first < column.DataPageOffset ? first : column.DataPageOffset,
            stop = at + column.TotalCompressedSize,
            values = 0,
            bytes = 0;
        Require(
            at >= 4 && column.TotalCompressedSize >= 0 && stop >= at && stop <= end,
            $"its pages begin at byte {at} and have {column.TotalCompressedSize} bytes, and the data end at {end}"
        );
        Require(
            column.NumValues == rows && rows >= 0 && rows <= most / BytesOfValue,
            $"it has {column.NumValues} values for {rows} rows, of which {most / BytesOfValue} would take all the memory that the file may"
        );
        byte[] window = new byte[FirstWindow];
        for (int page = 0; at < stop; page++)
        {
            Dictionary<int, long> header = Read(file, at, stop, ref window, out int length);
            long compressed = header.GetValueOrDefault(Compressed, -1),
                uncompressed = header.GetValueOrDefault(Uncompressed, -1);
            Require(
                compressed >= 0
                    && uncompressed >= 0
                    && compressed <= stop - at - length
                    && (column.Codec != CompressionCodec.UNCOMPRESSED || compressed == uncompressed),
                $"the page at byte {at} has {compressed} bytes compressed and {uncompressed} otherwise, and there are {stop - at - length}"
            );
            values += Count(header, page, at, compressed, uncompressed);
            bytes += uncompressed;
            Require(bytes <= most, $"its pages hold more than {most} bytes");
            at += length + compressed;
        }

        Require(values == rows, $"its pages hold {values} values for {rows} rows");
        file.Position = position;
    }

    /// <summary>The values of a page; those of a dictionary are none.</summary>
    private static long Count(Dictionary<int, long> header, int page, long at, long compressed, long uncompressed)
    {
        int kind = (int)header.GetValueOrDefault(Type, -1) switch
        {
            0 => DataPage,
            2 => DictionaryPage,
            3 => DataPageV2,
            var other => throw new InvalidDataException($"the page at byte {at} is of the type {other}"),
        };
        long values = header.GetValueOrDefault(CompactThrift.Within(kind, Values), -1);
        Require(values is >= 0 and <= int.MaxValue, $"the page at byte {at} has {values} values");
        if (kind == DictionaryPage)
        {
            // Each entry takes a bit at least.
            Require(page == 0 && values <= 8 * uncompressed, $"the dictionary at byte {at} is not the first page, or has {values} values");
            return 0;
        }

        if (kind == DataPageV2)
        {
            long nulls = header.GetValueOrDefault(CompactThrift.Within(kind, Nulls), -1),
                levels = header.GetValueOrDefault(CompactThrift.Within(kind, DefinitionBytes), -1),
                repetitions = header.GetValueOrDefault(CompactThrift.Within(kind, RepetitionBytes), -1);
            Require(
                nulls >= 0
                    && nulls <= values
                    && levels >= 0
                    && repetitions >= 0
                    && levels + repetitions <= Math.Min(compressed, uncompressed),
                $"the page at byte {at} has {nulls} nulls among {values} values, and {levels} and {repetitions} bytes of levels"
            );
        }

        return values;
    }

    private static Dictionary<int, long> Read(Stream file, long at, long stop, ref byte[] window, out int length)
    {
        while (true)
        {
            file.Position = at;
            Span<byte> wanted = window.AsSpan(0, (int)Math.Min(window.Length, stop - at));
            int read = file.ReadAtLeast(wanted, wanted.Length, throwOnEndOfStream: false);
            if (CompactThrift.Numbers(window.AsSpan(0, read), ParquetStructs.PageHeader, out length) is { } numbers)
            {
                return numbers;
            }

            Require(read == window.Length && window.Length < LongestHeader, $"the header of the page at byte {at} is not complete");
            window = new byte[2 * window.Length];
        }
    }

    private static void Require(bool isSo, string problem)
    {
        if (!isSo)
        {
            throw new InvalidDataException(problem);
        }
    }
}
