using Microsoft.ML;
using Microsoft.ML.Data;

namespace Standins.MicrosoftML.Tests;

/// <summary>A loader that has a schema and nothing else: the public way to a <see cref="SchemaShape"/>.</summary>
internal sealed class SchemaLoader(DataViewSchema schema) : IDataLoader<object>
{
    public static SchemaShape ShapeOf(DataViewSchema schema) => new SchemaLoader(schema).Append(new Unchanged()).GetOutputSchema();

    public DataViewSchema GetOutputSchema() => schema;

    public IDataView Load(object input) => throw new NotSupportedException();

    public void Save(ModelSaveContext ctx) => throw new NotSupportedException();

    private sealed class Unchanged : IEstimator<ITransformer>
    {
        public ITransformer Fit(IDataView input) => new TransformerChain<ITransformer>();

        public SchemaShape GetOutputSchema(SchemaShape inputSchema) => inputSchema;
    }
}

/// <summary>A foreign trainer: one score a key value, of which the highest belongs to the closest mean of a number column.</summary>
internal sealed class NearestMeanTrainer(string label, string feature) : IEstimator<NearestMean>
{
    public NearestMean Fit(IDataView input)
    {
        VBuffer<ReadOnlyMemory<char>> names = default;
        input.Schema[label].GetKeyValues(ref names);
        var rows = input.GetColumn<uint>(label).Zip(input.GetColumn<float>(feature)).Where(r => r.First > 0).ToArray();
        var means = Enumerable.Range(1, names.Length)
            .Select(k => rows.Where(r => r.First == k).Select(r => r.Second).DefaultIfEmpty(0).Average());
        return new NearestMean(feature, [.. means], [.. names.DenseValues()]);
    }

    public SchemaShape GetOutputSchema(SchemaShape inputSchema)
    {
        var input = inputSchema.Single(c => c.Name == feature);
        Assert.Equal(NumberDataViewType.Single, input.ItemType);
        var builder = new DataViewSchema.Builder();
        NearestMean.AddColumns(builder, ["?".AsMemory()]);
        return new SchemaShape(inputSchema.Concat(SchemaLoader.ShapeOf(builder.ToSchema())));
    }
}

internal sealed class NearestMean(string feature, float[] means, ReadOnlyMemory<char>[] names) : ITransformer, IDisposable
{
    public bool IsDisposed { get; private set; }

    public bool IsRowToRowMapper => true;

    public static void AddColumns(DataViewSchema.Builder builder, ReadOnlyMemory<char>[] names)
    {
        builder.AddColumn("Score", new VectorDataViewType(NumberDataViewType.Single, names.Length), Names("SlotNames", names));
        builder.AddColumn("PredictedLabel", new KeyDataViewType(typeof(uint), names.Length), Names("KeyValues", names));
    }

    public void Dispose() => IsDisposed = true;

    public DataViewSchema GetOutputSchema(DataViewSchema inputSchema)
    {
        var builder = new DataViewSchema.Builder();
        builder.AddColumns(inputSchema);
        AddColumns(builder, names);
        return builder.ToSchema();
    }

    public IDataView Transform(IDataView input) => new View(this, input);

    public IRowToRowMapper GetRowToRowMapper(DataViewSchema inputSchema) => new Mapper(this, inputSchema);

    void ICanSaveModel.Save(ModelSaveContext ctx)
    {
    }

    private static DataViewSchema.Annotations Names(string kind, ReadOnlyMemory<char>[] names)
    {
        var builder = new DataViewSchema.Annotations.Builder();
        builder.Add(kind, new VectorDataViewType(TextDataViewType.Instance, names.Length),
            (ref VBuffer<ReadOnlyMemory<char>> value) => VBuffer<ReadOnlyMemory<char>>.Copy(names, 0, ref value, names.Length));
        return builder.ToAnnotations();
    }

    private float[] Scores(float value)
    {
        var closeness = means.Select(m => MathF.Exp(-MathF.Abs(m - value))).ToArray();
        return [.. closeness.Select(c => c / closeness.Sum())];
    }

    private sealed class Mapper(NearestMean parent, DataViewSchema inputSchema) : IRowToRowMapper
    {
        public DataViewSchema InputSchema => inputSchema;

        public DataViewSchema OutputSchema { get; } = parent.GetOutputSchema(inputSchema);

        public DataViewSchema.Column Feature => inputSchema[parent.FeatureName];

        public IEnumerable<DataViewSchema.Column> GetDependencies(IEnumerable<DataViewSchema.Column> dependingColumns) =>
            dependingColumns.Select(c => c.Index < inputSchema.Count ? inputSchema[c.Index] : Feature).DistinctBy(c => c.Index).ToArray();

        public DataViewRow GetRow(DataViewRow input, IEnumerable<DataViewSchema.Column> activeColumns) =>
            new Row(parent, this, input, activeColumns);
    }

    private string FeatureName => feature;

    private sealed class Row(NearestMean parent, Mapper mapper, DataViewRow input, IEnumerable<DataViewSchema.Column> active) : DataViewRow
    {
        private readonly HashSet<int> _active = [.. active.Select(c => c.Index)];

        public override long Position => input.Position;

        public override long Batch => input.Batch;

        public override DataViewSchema Schema => mapper.OutputSchema;

        public override ValueGetter<DataViewRowId> GetIdGetter() => input.GetIdGetter();

        public override bool IsColumnActive(DataViewSchema.Column column) => _active.Contains(column.Index);

        public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column)
        {
            if (column.Index < input.Schema.Count)
                return input.GetGetter<TValue>(input.Schema[column.Index]);
            var read = input.GetGetter<float>(input.Schema[mapper.Feature.Index]);
            Delegate getter = column.Index == input.Schema.Count
                ? (ValueGetter<VBuffer<float>>)((ref VBuffer<float> value) => value = new VBuffer<float>(Scores().Length, Scores()))
                : (ValueGetter<uint>)((ref uint value) => value = (uint)Array.IndexOf(Scores(), Scores().Max()) + 1);
            return (ValueGetter<TValue>)getter;

            float[] Scores()
            {
                var value = 0f;
                read(ref value);
                return parent.Scores(value);
            }
        }
    }

    private sealed class View(NearestMean parent, IDataView source) : IDataView
    {
        private readonly Mapper _mapper = new(parent, source.Schema);

        public DataViewSchema Schema => _mapper.OutputSchema;

        public bool CanShuffle => source.CanShuffle;

        public long? GetRowCount() => source.GetRowCount();

        public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random? rand = null)
        {
            var active = columnsNeeded.ToArray();
            var cursor = source.GetRowCursor(_mapper.GetDependencies(active), rand);
            return new Cursor(cursor, _mapper.GetRow(cursor, active));
        }

        public DataViewRowCursor[] GetRowCursorSet(IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random? rand = null) =>
            [GetRowCursor(columnsNeeded, rand)];
    }

    private sealed class Cursor(DataViewRowCursor source, DataViewRow row) : DataViewRowCursor
    {
        public override long Position => row.Position;

        public override long Batch => row.Batch;

        public override DataViewSchema Schema => row.Schema;

        public override ValueGetter<DataViewRowId> GetIdGetter() => row.GetIdGetter();

        public override bool IsColumnActive(DataViewSchema.Column column) => row.IsColumnActive(column);

        public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column) => row.GetGetter<TValue>(column);

        public override bool MoveNext() => source.MoveNext();

        protected override void Dispose(bool disposing)
        {
            source.Dispose();
            base.Dispose(disposing);
        }
    }
}
