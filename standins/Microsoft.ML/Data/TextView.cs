namespace Microsoft.ML.Data;

/// <summary>The rows of text files, read anew by every cursor.</summary>
internal sealed class TextView(TextLoader loader, TextLoader.Options options, DataViewSchema schema, IMultiStreamSource source) : IDataView
{
    public DataViewSchema Schema => schema;

    public bool CanShuffle => true;

    public long? GetRowCount() => null;

    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random rand = null) =>
        new Cursor(this, columnsNeeded);

    public DataViewRowCursor[] GetRowCursorSet(IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random rand = null) =>
        [GetRowCursor(columnsNeeded)];

    private IEnumerable<(long Number, string Text)> Lines()
    {
        for (var i = 0; i < source.Count; i++)
        {
            using var reader = source.OpenTextReader(i);
            foreach (var line in loader.Lines(reader, withHeader: false))
                yield return line;
        }
    }

    private Delegate MakeGetter(int index, Func<List<string>> fields, Func<long> line)
    {
        var type = schema[index].Type;
        return (Delegate)Generic.Call(MakeGetter<int>, type.ItemType.RawType, loader.Columns[index], type, fields, line);
    }

    private Delegate MakeGetter<T>(TextLoader.Column column, DataViewType type, Func<List<string>> fields, Func<long> line)
    {
        var parse = type.ItemType is KeyDataViewType key ? KeyParser<T>(key.Count) : Conversion.Parser<T>();
        var hasMissing = type.ItemType is KeyDataViewType || typeof(T) == typeof(float) || typeof(T) == typeof(double);
        if (type is not VectorDataViewType)
            return (ValueGetter<T>)((ref T value) => value = Parse(column.Source[0].Min));
        return (ValueGetter<VBuffer<T>>)((ref VBuffer<T> value) =>
        {
            T[] items = [.. column.FieldsOf(fields().Count).Select(Parse)];
            VBuffer<T>.Copy(items, 0, ref value, items.Length);
        });

        T Parse(int field)
        {
            var row = fields();
            if (field >= row.Count || row[field].Length == 0)
                return options.MissingRealsAsNaNs && type.ItemType is not KeyDataViewType ? Conversion.Missing<T>() : default;
            if (parse(row[field], out var value))
                return value;
            if (hasMissing)
                return type.ItemType is KeyDataViewType ? default : Conversion.Missing<T>();
            var mistake = $"Could not parse value {row[field]} in line {line()}, column {column.Name}";
            throw new FormatException($"Parsing failed with an exception: {mistake}", new InvalidOperationException(mistake));
        }
    }

    private static Conversion.TryParse<T> KeyParser<T>(ulong count)
    {
        var parse = Conversion.Parser<ulong>();
        var convert = Conversion.Between<ulong, T>();
        return (ReadOnlySpan<char> text, out T value) =>
        {
            var isKey = parse(text, out var key) && key < count;
            value = isKey ? convert(key + 1) : default;
            return isKey;
        };
    }

    private sealed class Cursor(TextView view, IEnumerable<DataViewSchema.Column> active) : RootCursor(view.Schema, active)
    {
        private readonly IEnumerator<(long Number, string Text)> _lines = view.Limited().GetEnumerator();
        private readonly FieldCache _fields = new(view);

        protected override Delegate MakeGetter(int column) => view.MakeGetter(column, Fields, () => _fields.Line.Number);

        protected override bool MoveNextCore()
        {
            if (!_lines.MoveNext())
                return false;
            _fields.Line = _lines.Current;
            return true;
        }

        protected override void Dispose(bool disposing)
        {
            _lines.Dispose();
            base.Dispose(disposing);
        }

        private List<string> Fields()
        {
            _ = CheckedPosition;
            return _fields.Value;
        }
    }

    private IEnumerable<(long Number, string Text)> Limited() =>
        options.MaxRows is { } limit ? Lines().Take((int)Math.Min(limit, int.MaxValue)) : Lines();

    /// <summary>The fields of the current line, cut when first asked for.</summary>
    private sealed class FieldCache(TextView view)
    {
        private List<string> _value;
        private (long Number, string Text) _line;

        public (long Number, string Text) Line
        {
            get => _line;
            set
            {
                _line = value;
                _value = null;
            }
        }

        public List<string> Value => _value ??= view.Split(_line.Text);
    }

    private List<string> Split(string line) => loader.Fields.Split(line);
}
