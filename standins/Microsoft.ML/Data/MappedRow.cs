namespace Microsoft.ML.Data;

internal sealed class MappedRow : DataViewRow
{
    private readonly Mapper _mapper;
    private readonly DataViewRow _input;
    private readonly bool[] _active;
    private readonly Delegate[] _computed;

    public MappedRow(Mapper mapper, DataViewRow input, IEnumerable<DataViewSchema.Column> activeColumns)
    {
        _mapper = mapper;
        _input = input;
        _active = new bool[mapper.OutputSchema.Count];
        var computed = new bool[mapper.AddedCount];
        foreach (var column in activeColumns)
        {
            _active[column.Index] = true;
            if (mapper.Origin(column.Index) < 0)
                computed[~mapper.Origin(column.Index)] = true;
        }

        _computed = computed.Contains(true) ? mapper.MakeGetters(input, computed) : [];
    }

    public override long Position => _input.Position;

    public override long Batch => _input.Batch;

    public override DataViewSchema Schema => _mapper.OutputSchema;

    public override ValueGetter<DataViewRowId> GetIdGetter() => _input.GetIdGetter();

    public override bool IsColumnActive(DataViewSchema.Column column) =>
        column.Index < _active.Length
            ? _active[column.Index]
            : throw Raise.Param(nameof(column), $"Column '{column.Name}' is not in the schema");

    public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column)
    {
        if (!IsColumnActive(column))
            throw Raise.InactiveColumn(column);
        var origin = _mapper.Origin(column.Index);
        return origin >= 0
            ? _input.GetGetter<TValue>(_input.Schema[origin])
            : _computed[~origin] as ValueGetter<TValue> ?? throw Raise.GetterType(typeof(TValue), Schema[column.Index].Type.RawType);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            _input.Dispose();
        base.Dispose(disposing);
    }
}
