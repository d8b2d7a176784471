namespace Microsoft.ML;

public abstract class PredictionEngineBase<TSrc, TDst> : IDisposable
    where TSrc : class
    where TDst : class, new()
{
    private readonly InputRow _input;
    private readonly Action<TDst> _fill;
    private readonly IDisposable _owned;
    private bool _disposed;

    private protected PredictionEngineBase(ITransformer transformer, PredictionEngineOptions options)
    {
        if (!transformer.IsRowToRowMapper)
            throw Raise.Param(nameof(transformer), "Must be a row to row mapper");
        _input = new InputRow(new(options.InputSchemaDefinition, SchemaDefinition.Direction.Read));
        var mapper = transformer.GetRowToRowMapper(_input.Schema);
        var binding = new RowBinding<TDst>(options.OutputSchemaDefinition, SchemaDefinition.Direction.Write);
        var columns = binding.FindColumns(mapper.OutputSchema, options.IgnoreMissingColumns);
        _fill = binding.MakeFiller(mapper.GetRow(_input, mapper.OutputSchema), columns);
        _owned = options.OwnsTransformer ? transformer as IDisposable : null;
        OutputSchema = mapper.OutputSchema;
    }

    public DataViewSchema OutputSchema { get; }

    public TDst Predict(TSrc example)
    {
        var prediction = new TDst();
        Predict(example, ref prediction);
        return prediction;
    }

    public abstract void Predict(TSrc example, ref TDst prediction);

    public void Dispose()
    {
        if (_disposed)
            return;
        _disposed = true;
        _input.Dispose();
        _owned?.Dispose();
    }

    private protected void Run(TSrc example, ref TDst prediction)
    {
        ArgumentNullException.ThrowIfNull(example);
        prediction ??= new TDst();
        _input.Set(example);
        _fill(prediction);
    }

    private sealed class InputRow : DataViewRow
    {
        private readonly GetterTable _getters;
        private TSrc _current;
        private long _position = -1;

        public InputRow(RowBinding<TSrc> binding)
        {
            Schema = binding.Schema;
            _getters = new GetterTable(Schema, [.. Enumerable.Range(0, Schema.Count).Select(i => binding.MakeGetter(i, () => _current))]);
        }

        public override long Position => _position;

        public override long Batch => 0;

        public override DataViewSchema Schema { get; }

        public override ValueGetter<DataViewRowId> GetIdGetter() => (ref DataViewRowId id) => id = new((ulong)_position, 0);

        public override bool IsColumnActive(DataViewSchema.Column column) => _getters.IsActive(column);

        public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column) => _getters.Get<TValue>(column);

        public void Set(TSrc example)
        {
            _current = example;
            _position++;
        }
    }
}
