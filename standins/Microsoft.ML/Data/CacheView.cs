namespace Microsoft.ML.Data;

/// <summary>Keeps a column's values from the first time that it is read.</summary>
internal sealed class CacheView(IDataView source) : IDataView
{
    private readonly Array[] _columns = new Array[source.Schema.Count];
    private readonly Lock _lock = new();
    private long? _rowCount = source.GetRowCount();

    public DataViewSchema Schema => source.Schema;

    public bool CanShuffle => true;

    public long? GetRowCount() => _rowCount;

    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random rand = null)
    {
        var active = columnsNeeded.ToArray();
        Fill(active);
        return new Cursor(this, active, rand);
    }

    public DataViewRowCursor[] GetRowCursorSet(IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random rand = null) =>
        [GetRowCursor(columnsNeeded, rand)];

    /// <summary>Reads the columns that are not kept yet, in one pass.</summary>
    internal void Fill(DataViewSchema.Column[] columns)
    {
        lock (_lock)
        {
            var missing = columns.Where(c => _columns[c.Index] is null).DistinctBy(c => c.Index).ToArray();
            if (missing.Length == 0 && _rowCount is not null)
                return;
            using var cursor = source.GetRowCursor(missing);
            var pipes = Array.ConvertAll(missing, c => (IColumnBuilder)Generic.Call(MakeBuilder<int>, c.Type.RawType, cursor, c));
            var count = 0L;
            for (; cursor.MoveNext(); count++)
            {
                foreach (var pipe in pipes)
                    pipe.Add();
            }

            foreach (var (column, pipe) in missing.Zip(pipes))
                _columns[column.Index] = pipe.ToArray();
            _rowCount = count;
        }
    }

    private static IColumnBuilder MakeBuilder<T>(DataViewRow row, DataViewSchema.Column column) =>
        new ColumnBuilder<T>(UserValue.MakeReader<T>(row, column));

    private interface IColumnBuilder
    {
        void Add();

        Array ToArray();
    }

    private sealed class ColumnBuilder<T>(Func<T> read) : IColumnBuilder
    {
        private readonly List<T> _values = [];

        public void Add() => _values.Add(read());

        public Array ToArray() => _values.ToArray();
    }

    private sealed class Cursor(CacheView view, DataViewSchema.Column[] active, Random rand) : RootCursor(view.Schema, active)
    {
        private readonly int[] _order = Shuffled((int)view._rowCount.Value, rand);
        private int _next;

        public override ValueGetter<DataViewRowId> GetIdGetter() => (ref DataViewRowId id) => id = new((ulong)Row(), 0);

        protected override Delegate MakeGetter(int column) =>
            (Delegate)Generic.Call((Func<int[], VectorDataViewType, Delegate>)MakeGetter, Schema[column].Type.RawType,
                view._columns[column], Schema[column].Type as VectorDataViewType);

        protected override bool MoveNextCore()
        {
            if (_next == _order.Length)
                return false;
            _next++;
            return true;
        }

        private static int[] Shuffled(int count, Random rand)
        {
            var order = Enumerable.Range(0, count).ToArray();
            rand?.Shuffle(order);
            return order;
        }

        private Delegate MakeGetter<T>(T[] values, VectorDataViewType vector) => UserValue.MakeGetter(() => values[Row()], vector);

        private int Row()
        {
            _ = CheckedPosition;
            return _order[_next - 1];
        }
    }
}
