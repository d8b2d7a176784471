using System.Reflection;

namespace Microsoft.ML.Data;

public sealed class TextLoader : IDataLoader<IMultiStreamSource>
{
    private readonly Options _options;
    private readonly DataViewSchema _schema;

    internal TextLoader(Options options, IMultiStreamSource sample)
    {
        if (options.AllowSparse)
            throw new NotSupportedException("This stand-in reads dense text only.");
        if (options.Separators is not { Length: > 0 })
            throw Raise.Param(nameof(options.Separators), "Must specify a separator");
        _options = options;
        Separators = options.Separators;
        Columns = options.Columns ?? [new Column("Features", DataKind.Single, [new Range(0, null)])];
        Fields = new FieldReader(options);
        var first = sample is { Count: > 0 } ? FirstLine(sample) : null;
        var builder = new DataViewSchema.Builder();
        foreach (var column in Columns)
            builder.AddColumn(column.Name, column.Resolve(first?.Count), options.HasHeader ? SlotNames(column, first) : null);
        _schema = builder.ToSchema();
    }

    internal Column[] Columns { get; }

    internal char[] Separators { get; }

    internal FieldReader Fields { get; }

    public IDataView Load(IMultiStreamSource source)
    {
        ArgumentNullException.ThrowIfNull(source);
        return new TextView(this, _options, _schema, source);
    }

    public DataViewSchema GetOutputSchema() => _schema;

    void ICanSaveModel.Save(ModelSaveContext ctx) => throw new NotSupportedException("This stand-in cannot save a text loader.");

    internal static Column[] ColumnsOf(Type type)
    {
        var members = type.GetFields(BindingFlags.Public | BindingFlags.Instance).Concat<MemberInfo>(
            type.GetProperties(BindingFlags.Public | BindingFlags.Instance)
                .Where(p => p.GetSetMethod() is not null && p.GetGetMethod() is not null));
        var columns = new List<Column>();
        foreach (var member in members)
        {
            if (member.GetCustomAttribute<LoadColumnAttribute>() is not { } load)
                continue;
            var (isVector, item) = SchemaDefinition.ItemOf(member);
            var kind = Enum.Parse<DataKind>(item == typeof(ReadOnlyMemory<char>) ? nameof(DataKind.String) : item.Name);
            var key = member.GetCustomAttribute<KeyTypeAttribute>() is { } attribute
                ? new KeyCount(attribute.Count ?? KeyDataViewType.MaxCount(item))
                : null;
            var sources = Array.ConvertAll(load.Sources, s => new Range { Min = s.Min, Max = s.Max, ForceVector = isVector });
            columns.Add(new Column(member.GetCustomAttribute<ColumnNameAttribute>()?.Name ?? member.Name, kind, sources, key));
        }

        return columns.Count > 0 ? [.. columns] : throw new InvalidOperationException(
            $"Should define at least one public, readable field or property in {type.Name} with the LoadColumn attribute.");
    }

    /// <summary>The lines of a file that hold rows; comments and empty lines are passed over.</summary>
    internal IEnumerable<(long Number, string Text)> Lines(TextReader reader, bool withHeader)
    {
        var number = 0L;
        var started = false;
        while (reader.ReadLine() is { } line)
        {
            number++;
            if (line.Length == 0 || line.StartsWith("//", StringComparison.Ordinal) || (!started && line[0] == '#'))
                continue;
            var isHeader = !started && _options.HasHeader;
            started = true;
            if (isHeader && !withHeader)
                continue;
            for (; _options.ReadMultilines && !isHeader && Fields.IsOpen(line) && reader.ReadLine() is { } more; number++)
                line += "\n" + more;
            yield return (number, _options.TrimWhitespace ? line.TrimEnd() : line);
        }
    }

    private List<string> FirstLine(IMultiStreamSource sample)
    {
        using var reader = sample.OpenTextReader(0);
        return Lines(reader, withHeader: true).Select(l => Fields.Split(l.Text)).FirstOrDefault();
    }

    private static DataViewSchema.Annotations SlotNames(Column column, List<string> header)
    {
        if (header is null || column.Resolve(header.Count) is not VectorDataViewType { IsKnownSize: true } type)
            return null;
        var names = column.FieldsOf(header.Count).Select(i => (i < header.Count ? header[i].Trim() : "").AsMemory()).ToArray();
        if (names.All(n => n.IsEmpty))
            return null;
        var builder = new DataViewSchema.Annotations.Builder();
        builder.Add(SchemaAnnotationsExtensions.SlotNames, new VectorDataViewType(TextDataViewType.Instance, type.Size),
            (ref VBuffer<ReadOnlyMemory<char>> value) => VBuffer<ReadOnlyMemory<char>>.Copy(names, 0, ref value, names.Length));
        return builder.ToAnnotations();
    }

    public sealed class Column
    {
        public string Name;
        public Range[] Source;
        public KeyCount KeyCount;

        public Column()
        {
        }

        public Column(string name, DataKind dataKind, int index)
            : this(name, dataKind, [new Range(index)])
        {
        }

        public Column(string name, DataKind dataKind, int minIndex, int maxIndex)
            : this(name, dataKind, [new Range(minIndex, maxIndex)])
        {
        }

        public Column(string name, DataKind dataKind, Range[] source, KeyCount keyCount = null)
        {
            Name = name;
            DataKind = dataKind;
            Source = source;
            KeyCount = keyCount;
        }

        public DataKind DataKind { get; set; } = DataKind.Single;

        /// <summary>The column's type; an open end reaches to the last of a known number of fields.</summary>
        internal DataViewType Resolve(int? fields)
        {
            var item = DataViewType.FromKind(DataKind);
            if (KeyCount is not null)
                item = new KeyDataViewType(item.RawType, KeyCount.Count ?? KeyDataViewType.MaxCount(item.RawType));
            if (Source is [{ ForceVector: false } single] && single.Max is { } max && max == single.Min)
                return item;
            var isOpen = Source.Any(r => r.VariableEnd || (r.Max is null && fields is null));
            return new VectorDataViewType(item, isOpen ? 0 : FieldsOf(fields ?? 0).Count());
        }

        internal IEnumerable<int> FieldsOf(int fields) =>
            Source.SelectMany(r => Enumerable.Range(r.Min, Math.Max(0, (r.Max ?? fields - 1) - r.Min + 1)));
    }

    public sealed class Range
    {
        public int Min;
        public int? Max;
        public bool AutoEnd;
        public bool VariableEnd;
        public bool AllOther;
        public bool ForceVector;

        public Range()
        {
        }

        public Range(int index)
        {
            Min = index;
            Max = index;
        }

        public Range(int min, int? max)
        {
            if (max < min)
                throw Raise.Param(nameof(max), "max must be greater than or equal to min");
            Min = min;
            Max = max;
            AutoEnd = max is null;
            ForceVector = true;
        }
    }

    public class Options
    {
        public bool AllowQuoting;
        public bool AllowSparse;
        public int? InputSize;
        public char[] Separators = ['\t'];
        public char DecimalMarker = '.';
        public Column[] Columns;
        public bool TrimWhitespace;
        public bool HasHeader;
        public bool UseThreads = true;
        public bool ReadMultilines;
        public string HeaderFile;
        public long? MaxRows;
        public char EscapeChar = '"';
        public bool MissingRealsAsNaNs;

        public Options()
        {
        }
    }
}
