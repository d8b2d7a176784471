namespace Microsoft.ML;

public sealed class DataOperationsCatalog
{
    private readonly MLContext _context;

    internal DataOperationsCatalog(MLContext context) => _context = context;

    public IDataView LoadFromEnumerable<TRow>(IEnumerable<TRow> data, SchemaDefinition schemaDefinition = null)
        where TRow : class
    {
        ArgumentNullException.ThrowIfNull(data);
        return new EnumerableView<TRow>(data, new(schemaDefinition, SchemaDefinition.Direction.Read));
    }

    public IDataView LoadFromEnumerable<TRow>(IEnumerable<TRow> data, DataViewSchema schema)
        where TRow : class
    {
        ArgumentNullException.ThrowIfNull(schema);
        return LoadFromEnumerable(data, RowSchema.Definition<TRow>(schema));
    }

    public IEnumerable<TRow> CreateEnumerable<TRow>(
        IDataView data, bool reuseRowObject, bool ignoreMissingColumns = false, SchemaDefinition schemaDefinition = null)
        where TRow : class, new()
    {
        ArgumentNullException.ThrowIfNull(data);
        var binding = new RowBinding<TRow>(schemaDefinition, SchemaDefinition.Direction.Write);
        var columns = binding.FindColumns(data.Schema, ignoreMissingColumns);
        return Enumerate();

        IEnumerable<TRow> Enumerate()
        {
            using var cursor = data.GetRowCursor(columns);
            var fill = binding.MakeFiller(cursor, columns);
            var row = new TRow();
            while (cursor.MoveNext())
            {
                if (!reuseRowObject)
                    row = new TRow();
                fill(row);
                yield return row;
            }
        }
    }

    public IDataView Cache(IDataView input, params string[] columnsToPrefetch)
    {
        ArgumentNullException.ThrowIfNull(input);
        var view = new CacheView(input);
        if (columnsToPrefetch is { Length: > 0 })
            view.Fill(Array.ConvertAll(columnsToPrefetch, name => input.Schema[name]));
        return view;
    }

    public IDataView TakeRows(IDataView input, long count)
    {
        ArgumentNullException.ThrowIfNull(input);
        return count >= 0 ? new SliceView(input, 0, count) : throw Raise.Param(nameof(count), "Must be non-negative");
    }

    public IDataView SkipRows(IDataView input, long count)
    {
        ArgumentNullException.ThrowIfNull(input);
        return count >= 0 ? new SliceView(input, count, long.MaxValue) : throw Raise.Param(nameof(count), "Must be non-negative");
    }

    public IDataView ShuffleRows(IDataView input, int? seed = null, int shufflePoolSize = 1000, bool shuffleSource = true)
    {
        ArgumentNullException.ThrowIfNull(input);
        if (shufflePoolSize <= 0)
            throw Raise.Param(nameof(shufflePoolSize), "Must be positive");
        return new ShuffleView(input, seed ?? _context.NextSeed());
    }

    public IDataView FilterRowsByMissingValues(IDataView input, params string[] columns)
    {
        ArgumentNullException.ThrowIfNull(input);
        var filtered = Array.ConvertAll(columns, name => Require(input, name));
        return new FilterView(input, filtered, row =>
        {
            var isMissing = Array.ConvertAll(filtered, c => (Func<bool>)Generic.Call(MissingTest<int>, c.Type.ItemType.RawType, row, c));
            return () => !isMissing.Any(test => test());
        });
    }

    public IDataView FilterRowsByColumn(
        IDataView input, string columnName, double lowerBound = double.NegativeInfinity, double upperBound = double.PositiveInfinity)
    {
        ArgumentNullException.ThrowIfNull(input);
        Raise.IfEmpty(columnName, nameof(columnName));
        if (!(lowerBound <= upperBound))
            throw Raise.Param(nameof(upperBound), "Must specify minimum and maximum such that minimum is less or equal to maximum");
        var column = Require(input, columnName);
        if (column.Type != NumberDataViewType.Single && column.Type != NumberDataViewType.Double)
            throw Raise.ColumnMismatch(nameof(columnName), "filter", columnName, "a floating point number", column.Type);
        return new FilterView(input, [column], row =>
        {
            var read = Numeric.Reader(row, column);
            return () => read() is var value && lowerBound <= value && value < upperBound;
        });
    }

    public TrainTestData TrainTestSplit(IDataView data, double testFraction = 0.1, string samplingKeyColumnName = null, int? seed = null)
    {
        ArgumentNullException.ThrowIfNull(data);
        if (!(testFraction > 0 && testFraction < 1))
            throw Raise.Param(nameof(testFraction), "Must be between 0 and 1 exclusive");
        return Split(data, samplingKeyColumnName, seed ?? _context.Seed ?? _context.NextSeed(), 0, testFraction);
    }

    public IReadOnlyList<TrainTestData> CrossValidationSplit(
        IDataView data, int numberOfFolds = 5, string samplingKeyColumnName = null, int? seed = null)
    {
        ArgumentNullException.ThrowIfNull(data);
        if (numberOfFolds < 2)
            throw Raise.Param(nameof(numberOfFolds), "Must be more than 1");
        var shared = seed ?? _context.Seed ?? _context.NextSeed();
        return [.. Enumerable.Range(0, numberOfFolds).Select(fold =>
            Split(data, samplingKeyColumnName, shared, (double)fold / numberOfFolds, (double)(fold + 1) / numberOfFolds))];
    }

    private static TrainTestData Split(IDataView data, string samplingKey, int seed, double from, double to)
    {
        var keys = samplingKey is null ? [] : new[] { Require(data, samplingKey) };
        return new(Part(false), Part(true));

        FilterView Part(bool test) => new(data, keys, row =>
        {
            var read = keys.Length == 0 ? new Random(seed).NextDouble : RowHash.Reader(row, keys[0], seed);
            return () => read() is var value && (from <= value && value < to) == test;
        }, canShuffle: keys.Length > 0);
    }

    private static DataViewSchema.Column Require(IDataView data, string column) =>
        data.Schema.GetColumnOrNull(column) ?? throw Raise.MissingColumn("columnName", "input", column);

    private static Func<bool> MissingTest<T>(DataViewRow row, DataViewSchema.Column column)
    {
        Func<T, bool> isMissing = column.Type.ItemType is KeyDataViewType
            ? v => EqualityComparer<T>.Default.Equals(v, default)
            : KeyMap<T>.IsMissing;
        if (column.Type is VectorDataViewType)
        {
            var readVector = UserValue.MakeReader<T[]>(row, column);
            return () => readVector().Any(isMissing);
        }

        var read = UserValue.MakeReader<T>(row, column);
        return () => isMissing(read());
    }

    public readonly struct TrainTestData
    {
        public readonly IDataView TrainSet;
        public readonly IDataView TestSet;

        internal TrainTestData(IDataView trainSet, IDataView testSet)
        {
            TrainSet = trainSet;
            TestSet = testSet;
        }
    }
}
