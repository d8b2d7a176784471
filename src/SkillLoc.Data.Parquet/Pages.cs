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
        EncodingOfPage = 2,
        Nulls = 2,
        EncodingOfPageV2 = 4,
        DefinitionBytes = 5,
        RepetitionBytes = 6,
        IsCompressed = 7;

    // A header may quote the least and the greatest of the page's texts.
    private const int FirstWindow = 1 << 9;
    private const int LongestHeader = 1 << 24;

    // A value and its place in the results.
    private const int BytesOfValue = 32;

    /// <summary>Throws unless a column's pages fill its place in the file, hold a value a row, say sizes that can be, and become no more
    /// bytes than the column may take.</summary>
    /// <param name="file">The file.</param>
    /// <param name="column">What the file says of the column.</param>
    /// <param name="mayBeNull">Whether values may be null.</param>
    /// <param name="rows">The number of rows.</param>
    /// <param name="end">Where the file's data end.</param>
    /// <param name="most">The most bytes that the column may take.</param>
    /// <returns>Where the column's pages end.</returns>
    /// <exception cref="InvalidDataException">They do not.</exception>
    public static long Check(Stream file, ColumnMetaData column, bool mayBeNull, long rows, long end, long most)
    {
        // The library begins at the first of these.
        long[] places = [column.DataPageOffset, column.DictionaryPageOffset ?? 0, column.IndexPageOffset ?? 0];
        long at = places.Where(place => place != 0).DefaultIfEmpty().Min(),
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
        for (int number = 0; at < stop; number++)
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
            Page page = Described(header, number, at, (int)compressed, (int)uncompressed, mayBeNull);
            values += page.Values;
            Require(values <= rows, $"its pages hold {values} values for {rows} rows");
            file.Position = at + length;
            bytes += page.CountBytes(file, column.Codec, mayBeNull, most - bytes);
            Require(
                bytes <= most && page.Entries <= most / BytesOfValue,
                $"its pages hold more than {most} bytes, or {page.Entries} entries of a dictionary"
            );
            at += length + compressed;
        }

        Require(values == rows, $"its pages hold {values} values for {rows} rows");
        return stop;
    }

    /// <summary>What a header says of a page whose sizes are checked.</summary>
    private static Page Described(Dictionary<int, long> header, int number, long at, int compressed, int uncompressed, bool mayBeNull)
    {
        int kind = (int)header.GetValueOrDefault(Type, -1) switch
        {
            0 => DataPage,
            2 => DictionaryPage,
            3 => DataPageV2,
            var other => throw new InvalidDataException($"the page at byte {at} is of the type {other}"),
        };
        long values = Of(Values);
        Require(values >= 0, $"the page at byte {at} has {values} values");
        switch (kind)
        {
            case DictionaryPage:
                Require(
                    number == 0 && values <= uncompressed,
                    $"the dictionary at byte {at} is not the first page, or has {values} values in {uncompressed} bytes"
                );
                return new(compressed, uncompressed) { Entries = values };
            case DataPage:
                return new(compressed, uncompressed)
                {
                    Values = values,
                    Present = values,
                    Encoding = (Encoding)Of(EncodingOfPage),
                };
            default:
                long nulls = Of(Nulls),
                    levels = Of(DefinitionBytes),
                    repetitions = Of(RepetitionBytes);
                Require(
                    nulls >= 0
                        && nulls <= values
                        && levels >= 0
                        && levels <= (mayBeNull ? Math.Min(compressed, uncompressed) : 0)
                        && repetitions == 0,
                    $"the page at byte {at} has {nulls} nulls among {values} values, and {levels} and {repetitions} bytes of levels"
                );
                return new(compressed, uncompressed)
                {
                    Values = values,
                    Present = values - nulls,
                    Encoding = (Encoding)Of(EncodingOfPageV2),
                    Levels = (int)levels,
                    IsPlain = Of(IsCompressed) == 0,
                };
        }

        long Of(int field) => header.GetValueOrDefault(CompactThrift.Within(kind, field), -1);
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
