namespace Microsoft.ML.Data;

/// <summary>User objects as rows; they are enumerated anew by every cursor.</summary>
internal sealed class EnumerableView<TRow>(IEnumerable<TRow> rows, RowBinding<TRow> binding) : IDataView
    where TRow : class
{
    public DataViewSchema Schema => binding.Schema;

    public bool CanShuffle => false;

    public long? GetRowCount() => (rows as ICollection<TRow>)?.Count;

    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random rand = null) =>
        new Cursor(rows, binding, columnsNeeded);

    public DataViewRowCursor[] GetRowCursorSet(IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random rand = null) =>
        [GetRowCursor(columnsNeeded)];

    private sealed class Cursor(IEnumerable<TRow> rows, RowBinding<TRow> binding, IEnumerable<DataViewSchema.Column> active)
        : RootCursor(binding.Schema, active)
    {
        private readonly IEnumerator<TRow> _rows = rows.GetEnumerator();

        protected override Delegate MakeGetter(int column) => binding.MakeGetter(column, Current);

        protected override bool MoveNextCore()
        {
            if (!_rows.MoveNext())
                return false;
            return _rows.Current is not null
                ? true
                : throw new InvalidOperationException("Encountered null when iterating over data, this is not supported.");
        }

        protected override void Dispose(bool disposing)
        {
            _rows.Dispose();
            base.Dispose(disposing);
        }

        private TRow Current()
        {
            _ = CheckedPosition;
            return _rows.Current;
        }
    }
}
