namespace Microsoft.ML.Data;

/// <summary>A view without its first rows, and with no more than so many.</summary>
internal sealed class SliceView(IDataView source, long skip, long take) : IDataView
{
    public DataViewSchema Schema => source.Schema;

    public bool CanShuffle => false;

    public long? GetRowCount() => source.GetRowCount() is { } count ? Math.Min(take, Math.Max(0, count - skip)) : null;

    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random rand = null) =>
        new Cursor(source.GetRowCursor(columnsNeeded), skip, take);

    public DataViewRowCursor[] GetRowCursorSet(IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random rand = null) =>
        [GetRowCursor(columnsNeeded)];

    private sealed class Cursor(DataViewRowCursor source, long skip, long take) : WrappingCursor(source, source)
    {
        private long _skip = skip;
        private long _taken;

        public override long Position => _taken - 1;

        public override bool MoveNext()
        {
            for (; _skip > 0; _skip--)
            {
                if (!base.MoveNext())
                    return false;
            }

            if (_taken >= take || !base.MoveNext())
                return false;
            _taken++;
            return true;
        }
    }
}
