namespace Microsoft.ML.Data;

/// <summary>The rows for which a test over some columns holds.</summary>
internal sealed class FilterView(
    IDataView source, DataViewSchema.Column[] tested, Func<DataViewRow, Func<bool>> makeTest, bool canShuffle = true) : IDataView
{
    public DataViewSchema Schema => source.Schema;

    public bool CanShuffle => canShuffle && source.CanShuffle;

    public long? GetRowCount() => null;

    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random rand = null)
    {
        var active = columnsNeeded.ToArray();
        var cursor = source.GetRowCursor(active.Concat(tested).DistinctBy(c => c.Index), canShuffle ? rand : null);
        return new Cursor(cursor, active, makeTest(cursor));
    }

    public DataViewRowCursor[] GetRowCursorSet(IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random rand = null) =>
        [GetRowCursor(columnsNeeded, rand)];

    private sealed class Cursor(DataViewRowCursor source, DataViewSchema.Column[] active, Func<bool> test) : WrappingCursor(source, source)
    {
        private readonly HashSet<int> _active = [.. active.Select(c => c.Index)];
        private long _position = -1;

        public override long Position => _position;

        public override bool IsColumnActive(DataViewSchema.Column column) => _active.Contains(column.Index);

        public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column) =>
            IsColumnActive(column) ? base.GetGetter<TValue>(column) : throw Raise.InactiveColumn(column);

        public override bool MoveNext()
        {
            while (base.MoveNext())
            {
                if (test())
                {
                    _position++;
                    return true;
                }
            }

            _position = -1;
            return false;
        }
    }
}
