using System.Buffers.Binary;
using System.IO.MemoryMappedFiles;
using System.Text;
using Parquet;
using Parquet.Data;
using Parquet.Meta;
using Parquet.Schema;
using SkillLoc.Models.Datasets;
using PhysicalType = Parquet.Meta.Type;

namespace SkillLoc.Data.Parquet;

/// <summary>A Parquet file whose columns are read group by group; all that goes wrong in it is an error that names it.</summary>
internal sealed class ParquetFile : IDisposable
{
    private static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private const int MaxFooterBytes = 1 << 26;

    // What is compressed may hold so many times the file.
    private const int MostExpansion = 200;

    // Beside it the library takes some for itself: a small file may take 64 MB in all.
    private const long BytesForAny = 48L << 20;

    private readonly ParquetReader _reader;
    private readonly MappedFile _stream;
    private readonly long _end;
    private readonly IReadOnlyList<Field> _fields;

    private ParquetFile(string path, MappedFile stream, long end, ParquetReader reader)
    {
        (Path, _stream, _end, _reader) = (path, stream, end, reader);
        _fields = reader.Schema.Fields;
        Metadata = reader.CustomMetadata;
    }

    public string Path { get; }

    /// <summary>The texts that its writer added.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    public int GroupCount => _reader.RowGroupCount;

    /// <summary>Names and types of the columns, for messages.</summary>
    public string Columns => string.Join(", ", _fields.Select(one => $"{one.Name} ({Kind(one)})"));

    /// <summary>Opens a file.</summary>
    /// <exception cref="FileNotFoundException">It does not exist.</exception>
    /// <exception cref="InvalidDataException">It is damaged, cut off, or no Parquet file.</exception>
    public static ParquetFile Open(string path)
    {
        MappedFile stream = Map(path);
        try
        {
            long end = CheckEnds(path, stream);
            return Try(
                path,
                async () =>
                {
                    ParquetReader reader = await ParquetReader.CreateAsync(stream, leaveStreamOpen: true).ConfigureAwait(false);
                    // Texts are taken as bytes, since the library would replace those that are not UTF-8.
                    foreach (SchemaElement element in reader.Metadata!.Schema.Where(element => element.Type == PhysicalType.BYTE_ARRAY))
                    {
                        (element.ConvertedType, element.LogicalType) = (null, null);
                    }

                    return new ParquetFile(path, stream, end, reader);
                }
            );
        }
        catch
        {
            stream.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        _reader.DisposeAsync().AsTask().GetAwaiter().GetResult();
        _stream.Dispose();
    }

    // The bytes are in memory as far as the library is concerned, so that none of its tasks waits for another thread.
    private static MappedFile Map(string path)
    {
        using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read);
        if (file.Length < 12)
        {
            throw new InvalidDataException($"{path} is no Parquet file: it has {file.Length} bytes.");
        }

        using var map = MemoryMappedFile.CreateFromFile(
            file,
            mapName: null,
            capacity: 0,
            MemoryMappedFileAccess.Read,
            HandleInheritability.None,
            leaveOpen: true
        );
        return new(map.CreateViewAccessor(0, file.Length, MemoryMappedFileAccess.Read), file.Length);
    }

    /// <summary>Finds a column.</summary>
    /// <exception cref="InvalidDataException">There is none, or it holds other columns or several values a row.</exception>
    public DataField Find(FileColumn column)
    {
        int place = column.Name is null
            ? column.Place.GetOffset(_fields.Count)
            : _fields.ToList().FindIndex(field => field.Name == column.Name);
        return place < 0 || place >= _fields.Count
                ? throw new InvalidDataException($"{Path}: there is no column {column}; there are {Columns}.")
            : _fields[place] is DataField { MaxRepetitionLevel: 0 } found ? found
            : throw new InvalidDataException(
                $"{Path}: the column '{_fields[place].Name}' is nested ({Kind(_fields[place])}); a column with one value a row was expected. "
                    + $"There are {Columns}."
            );
    }

    /// <summary>Reads a column of a group.</summary>
    /// <param name="group">The group's number.</param>
    /// <param name="column">The column.</param>
    /// <param name="before">Number of rows before the group.</param>
    /// <returns>A value a row: a text, a number, a flag, another value, or null.</returns>
    /// <exception cref="InvalidDataException">The column is damaged, or a text is not UTF-8.</exception>
    public object?[] Read(int group, DataField column, int before)
    {
        long most = BytesForAny + (MostExpansion * _stream.Length),
            taken = 0;
        return Try(
            $"{Path}, column '{column.Name}', rows from {before + 1}",
            async () =>
            {
                using ParquetRowGroupReader rows = _reader.OpenRowGroupReader(group);
                _stream.End = Pages.Check(
                    _stream,
                    rows.GetMetadata(column)?.MetaData ?? throw new InvalidOperationException("its place is not said"),
                    column.MaxDefinitionLevel > 0,
                    rows.RowCount,
                    _end,
                    most
                );
                using RawColumnData data = await rows.ReadRawColumnDataBaseAsync(column).ConfigureAwait(false);
                object?[] values = data switch
                {
                    RawColumnData<ReadOnlyMemory<byte>> texts => Values(texts, Text),
                    RawColumnData<bool> flags => Values(flags),
                    RawColumnData<sbyte> numbers => Values(numbers),
                    RawColumnData<byte> numbers => Values(numbers),
                    RawColumnData<short> numbers => Values(numbers),
                    RawColumnData<ushort> numbers => Values(numbers),
                    RawColumnData<int> numbers => Values(numbers),
                    RawColumnData<uint> numbers => Values(numbers),
                    RawColumnData<long> numbers => Values(numbers),
                    RawColumnData<ulong> numbers => Values(numbers),
                    RawColumnData<float> numbers => Values(numbers),
                    RawColumnData<double> numbers => Values(numbers),
                    _ => throw new RefusedException(
                        $"{Path}: the column '{column.Name}' is {Kind(column)}; a text, a number or a flag was expected."
                    ),
                };
                return values.Length == rows.RowCount
                    ? values
                    : throw new InvalidOperationException($"there are {values.Length} values for {rows.RowCount} rows");
            }
        );

        object?[] Values<T>(RawColumnData<T> data, Func<T, int, object>? convert = null)
            where T : struct
        {
            ReadOnlySpan<T> given = data.Values;
            ReadOnlySpan<int> levels = column.MaxDefinitionLevel == 0 ? [] : data.DefinitionLevels;
            object?[] values = new object?[column.MaxDefinitionLevel == 0 ? given.Length : levels.Length];
            for (int i = 0, next = 0; i < values.Length; i++)
            {
                if (levels.IsEmpty || levels[i] == column.MaxDefinitionLevel)
                {
                    T value = given[next++];
                    values[i] = convert is null ? value : convert(value, before + i + 1);
                }
            }

            return values;
        }

        object Text(ReadOnlyMemory<byte> bytes, int row)
        {
            // One text of the file may be that of many rows.
            taken += bytes.Length;
            if (taken > most)
            {
                throw new RefusedException($"{Path}, row {row}: the texts of '{column.Name}' take more than {most} bytes.");
            }

            try
            {
                return Utf8.GetString(bytes.Span);
            }
            catch (DecoderFallbackException e)
            {
                throw new RefusedException(
                    $"{Path}, row {row}: the column '{column.Name}' has the byte 0x{e.BytesUnknown![0]:X2}, which is not valid utf-8.",
                    e
                );
            }
        }
    }

    private static string Kind(Field field) =>
        field is not DataField { MaxRepetitionLevel: 0 } data
            ? field is StructField
                ? "several columns"
                : "several values a row"
            : data.ClrType == typeof(ReadOnlyMemory<byte>)
                ? "text"
                : data.ClrType.Name;

    // Files of this kind begin and end with their mark, and before that stands the length of what describes them. That ends with a zero,
    // without which the library would look for its end for ever. Returned is where it begins.
    private static long CheckEnds(string path, Stream file)
    {
        Span<byte> end = stackalloc byte[9];
        Span<byte> start = stackalloc byte[4];
        file.ReadExactly(start);
        if (!start.SequenceEqual("PAR1"u8))
        {
            throw new InvalidDataException($"{path} is no Parquet file: it does not begin as such files do.");
        }

        file.Position = file.Length - end.Length;
        file.ReadExactly(end);
        long length = BinaryPrimitives.ReadUInt32LittleEndian(end[1..]),
            footerStart = file.Length - 8 - length;
        if (!end.EndsWith("PAR1"u8) || end[0] != 0 || footerStart < 4 || length > MaxFooterBytes)
        {
            throw new InvalidDataException($"{path}: the Parquet file is damaged or cut off: it does not end as such files do.");
        }

        byte[] footer = new byte[length];
        file.Position = footerStart;
        file.ReadExactly(footer);
        file.Position = 0;
        if (!CompactThrift.IsStruct(footer, ParquetStructs.FileMetaData))
        {
            throw new InvalidDataException($"{path}: the Parquet file is damaged: what describes its columns is not complete.");
        }

        return footerStart;
    }

    // Without the caller's context, which may be a thread that waits here. Whatever the library throws over a damaged file is caught.
    private static T Try<T>(string place, Func<Task<T>> read)
    {
        SynchronizationContext? context = SynchronizationContext.Current;
        SynchronizationContext.SetSynchronizationContext(null);
        try
        {
            return read().GetAwaiter().GetResult();
        }
        catch (RefusedException e)
        {
            throw new InvalidDataException(e.Message, e.InnerException);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            throw new InvalidDataException(
                $"{place}: the Parquet file is damaged, or written in a way that is not supported: {e.Message}",
                e
            );
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(context);
        }
    }

    /// <summary>What we refuse, told from what the library throws, which names no file.</summary>
    private sealed class RefusedException(string message, Exception? inner = null) : Exception(message, inner);

    /// <summary>The bytes of a file. The library looks for the end of damaged pages behind the end, for ever.</summary>
    private sealed class MappedFile(MemoryMappedViewAccessor view, long length)
        : UnmanagedMemoryStream(view.SafeMemoryMappedViewHandle, view.PointerOffset, length)
    {
        /// <summary>Where what may be read byte by byte ends, such as the headers of pages.</summary>
        public long End { get; set; } = length;

        public override int ReadByte() =>
            Position < End ? base.ReadByte() : throw new EndOfStreamException($"there is nothing to be read at byte {Position}");

        protected override void Dispose(bool disposing)
        {
            base.Dispose(disposing);
            view.Dispose();
        }
    }
}
