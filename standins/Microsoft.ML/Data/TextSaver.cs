using System.Globalization;

namespace Microsoft.ML.Data;

/// <summary>Writes a view as text that <see cref="TextLoader"/> reads back.</summary>
internal sealed class TextSaver
{
    // What one explicit item of a sparse row costs, in dense items.
    private const double SparseWeight = 2.5;

    private readonly IDataView _data;
    private readonly DataViewSchema.Column[] _columns;
    private readonly char _separator;
    private readonly bool _forceDense;

    public TextSaver(IDataView data, char separator, bool keepHidden, bool forceDense)
    {
        _data = data;
        _columns = [.. data.Schema.Where(c => keepHidden || !c.IsHidden)];
        _separator = separator;
        _forceDense = forceDense;
    }

    public void Save(Stream stream, bool headerRow, bool schema)
    {
        using var writer = new StreamWriter(stream, leaveOpen: true);
        var hasHeader = headerRow && _columns.Any(c => c.Type is not VectorDataViewType || c.HasSlotNames());
        if (schema)
            WriteSchema(writer, hasHeader);
        if (hasHeader)
            WriteRow(writer, Array.ConvertAll(_columns, c => (Header(c), "\"\"")));
        using var cursor = _data.GetRowCursor(_columns);
        var readers = Array.ConvertAll(_columns, c => (Func<string[]>)Generic.Call(Reader<int>, c.Type.ItemType.RawType, cursor, c));
        var defaults = Array.ConvertAll(_columns, c => (string)Generic.Call(DefaultText<int>, c.Type.ItemType.RawType, c));
        while (cursor.MoveNext())
            WriteRow(writer, [.. readers.Zip(defaults, (read, text) => (read(), text))]);
    }

    private void WriteSchema(StreamWriter writer, bool hasHeader)
    {
        writer.WriteLine("#@ TextLoader{");
        if (hasHeader)
            writer.WriteLine("#@   header+");
        writer.WriteLine($"#@   sep={SeparatorName()}");
        var index = 0;
        foreach (var column in _columns)
        {
            var vector = column.Type as VectorDataViewType;
            var size = vector?.Size ?? 1;
            var range = vector is null ? $"{index}" : vector.IsKnownSize ? $"{index}-{index + size - 1}" : $"{index}-**";
            writer.WriteLine($"#@   col={column.Name}:{KindName(column.Type.ItemType)}:{range}");
            index += size;
        }

        writer.WriteLine("#@ }");
    }

    /// <summary>Writes columns of items; the last columns are written as index:item pairs where that is shorter.</summary>
    private void WriteRow(StreamWriter writer, (string[] Items, string Default)[] row)
    {
        var items = row.SelectMany(c => c.Items.Select(i => (Text: i, c.Default))).ToArray();
        var dense = DenseLength(row);
        IEnumerable<string> fields = items.Take(dense).Select(i => i.Text);
        if (dense < items.Length)
        {
            var pairs = items.Skip(dense).Select((item, slot) => (item, slot)).Where(p => p.item.Text != p.item.Default)
                .Select(p => $"{p.slot}:{p.item.Text}");
            fields = fields.Append($"{items.Length - dense}").Concat(pairs.DefaultIfEmpty($"0:{items[dense].Default}"));
        }

        writer.WriteLine(string.Join(_separator, fields));
    }

    private int DenseLength((string[] Items, string Default)[] row)
    {
        var total = row.Sum(c => c.Items.Length);
        if (_forceDense)
            return total;
        var (best, bestScore, length) = (0, double.PositiveInfinity, 0);
        for (var column = 0; column <= row.Length; column++)
        {
            var score = length + (SparseWeight * row.Skip(column).Sum(c => c.Items.Count(i => i != c.Default)));
            if (score < bestScore)
                (best, bestScore) = (length, score);
            length += column < row.Length ? row[column].Items.Length : 0;
        }

        return total - best < 5 || total - best < best / 5 ? total : best;
    }

    private string[] Header(DataViewSchema.Column column)
    {
        if (column.Type is not VectorDataViewType vector)
            return [Quote(column.Name)];
        if (!column.HasSlotNames())
            return [.. Enumerable.Repeat("\"\"", vector.Size)];
        VBuffer<ReadOnlyMemory<char>> names = default;
        column.GetSlotNames(ref names);
        return [.. names.DenseValues().Select(n => Quote(n.ToString()))];
    }

    private Func<string[]> Reader<T>(DataViewRow row, DataViewSchema.Column column)
    {
        if (column.Type is VectorDataViewType)
        {
            var readItems = UserValue.MakeReader<T[]>(row, column);
            return () => Array.ConvertAll(readItems(), v => Text(v, column.Type.ItemType));
        }

        var read = UserValue.MakeReader<T>(row, column);
        return () => [Text(read(), column.Type)];
    }

    private string DefaultText<T>(DataViewSchema.Column column) => Text(default(T), column.Type.ItemType);

    private string Text<T>(T value, DataViewType type) => value switch
    {
        ReadOnlyMemory<char> text => Quote(text.ToString()),
        bool flag => flag ? "1" : "0",
        float.NaN or double.NaN => "?",
        _ when type is KeyDataViewType => Convert.ToUInt64(value, CultureInfo.InvariantCulture) is var key && key > 0 ? $"{key - 1}" : "",
        _ => Conversion.ToText(value),
    };

    private string Quote(string text) => text.Length == 0 || text[0] == ' ' || text.AsSpan().IndexOfAny('"', ':', _separator) >= 0
        ? $"\"{text.Replace("\"", "\"\"", StringComparison.Ordinal)}\""
        : text;

    private string SeparatorName() => _separator switch
    {
        '\t' => "tab",
        ' ' => "space",
        ',' => "comma",
        ';' => "semicolon",
        '|' => "bar",
        _ => throw Raise.Param("separatorChar", "Invalid separator - must be: space, tab, comma, semicolon, or bar"),
    };

    private static string KindName(DataViewType type) => type switch
    {
        KeyDataViewType key => $"{KindName(DataViewType.FromRaw(key.RawType))}[{key.Count}]",
        TextDataViewType => "TX",
        BooleanDataViewType => "BL",
        _ => type.RawType.Name switch
        {
            nameof(Single) => "R4",
            nameof(Double) => "R8",
            nameof(SByte) => "I1",
            nameof(Byte) => "U1",
            nameof(Int16) => "I2",
            nameof(UInt16) => "U2",
            nameof(Int32) => "I4",
            nameof(UInt32) => "U4",
            nameof(Int64) => "I8",
            nameof(UInt64) => "U8",
            _ => throw new NotSupportedException($"Columns of type {type} cannot be saved as text"),
        },
    };
}
