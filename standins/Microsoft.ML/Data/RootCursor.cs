namespace Microsoft.ML.Data;

/// <summary>A cursor over rows that come from outside of any view.</summary>
internal abstract class RootCursor : DataViewRowCursor
{
    private readonly GetterTable _getters;
    private long _position = -1;
    private bool _disposed;

    protected RootCursor(DataViewSchema schema, IEnumerable<DataViewSchema.Column> active)
    {
        Schema = schema;
        var getters = new Delegate[schema.Count];
        foreach (var column in active)
            getters[column.Index] ??= MakeGetter(column.Index);
        _getters = new GetterTable(schema, getters);
    }

    public override DataViewSchema Schema { get; }

    public override long Position => _position;

    public override long Batch => 0;

    public override bool IsColumnActive(DataViewSchema.Column column) => _getters.IsActive(column);

    public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column) => _getters.Get<TValue>(column);

    public override ValueGetter<DataViewRowId> GetIdGetter() => (ref DataViewRowId id) => id = new((ulong)CheckedPosition, 0);

    public sealed override bool MoveNext()
    {
        if (_disposed)
            return false;
        if (MoveNextCore())
        {
            _position++;
            return true;
        }

        Dispose();
        return false;
    }

    protected long CheckedPosition =>
        _position >= 0 ? _position : throw new InvalidOperationException("Values cannot be fetched at this time. This method is called "
            + "either before the first call to MoveNext, or at any point after MoveNext returned false.");

    protected abstract Delegate MakeGetter(int column);

    protected abstract bool MoveNextCore();

    protected override void Dispose(bool disposing)
    {
        _disposed = true;
        _position = -1;
        base.Dispose(disposing);
    }
}
