using Microsoft.ML;
using Microsoft.ML.Data;

namespace SkillLoc.Transforms;

/// <summary>A view whose rows are scored while they are read.</summary>
internal sealed class ScoringView(IRowScorer scorer, IDataView input) : IDataView
{
    public DataViewSchema Schema { get; } = scorer.GetOutputSchema(input.Schema);

    public bool CanShuffle => input.CanShuffle;

    public long? GetRowCount() => input.GetRowCount();

    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random? rand = null)
    {
        bool[] active = Active(columnsNeeded);
        bool scores = active.AsSpan(input.Schema.Count).Contains(true);
        IEnumerable<DataViewSchema.Column> upstream = input.Schema.Where(column =>
            active[column.Index] || (scores && scorer.Inputs.Contains(column.Name) && !column.IsHidden)
        );
        return new ScoringCursor(scorer, input.GetRowCursor(upstream, rand), Schema, active);
    }

    /// <summary>Returns one cursor, since the model uses all cores.</summary>
    public DataViewRowCursor[] GetRowCursorSet(IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random? rand = null) =>
        [GetRowCursor(columnsNeeded, rand)];

    private bool[] Active(IEnumerable<DataViewSchema.Column> columnsNeeded)
    {
        bool[] active = new bool[Schema.Count];
        foreach (DataViewSchema.Column column in columnsNeeded)
        {
            active[column.Index] = true;
        }

        return active;
    }
}

/// <summary>Scores one row at a time, for <see cref="PredictionEngine{TSrc, TDst}"/>.</summary>
internal sealed class ScoringRowMapper(IRowScorer scorer, DataViewSchema input) : IRowToRowMapper
{
    public DataViewSchema InputSchema => input;

    public DataViewSchema OutputSchema { get; } = scorer.GetOutputSchema(input);

    public IEnumerable<DataViewSchema.Column> GetDependencies(IEnumerable<DataViewSchema.Column> dependingColumns)
    {
        var needed = new SortedSet<int>();
        foreach (DataViewSchema.Column column in dependingColumns)
        {
            needed.UnionWith(column.Index < input.Count ? [column.Index] : scorer.Inputs.Select(name => input[name].Index));
        }

        return needed.Select(index => input[index]);
    }

    /// <summary>Creates the row of a prediction engine, which gets a share of the transformer, since it will dispose it.</summary>
    DataViewRow IRowToRowMapper.GetRow(DataViewRow input, IEnumerable<DataViewSchema.Column> activeColumns)
    {
        scorer.Ownership.Share();
        bool[] active = new bool[OutputSchema.Count];
        foreach (DataViewSchema.Column column in activeColumns)
        {
            active[column.Index] = true;
        }

        return new ScoringRow(scorer, input, OutputSchema, active);
    }
}

/// <summary>A row whose scores are computed when they are first read.</summary>
internal sealed class ScoringRow : DataViewRow
{
    private readonly DataViewRow _input;
    private readonly bool[] _active;
    private readonly Delegate[] _added = [];
    private RowScores? _scores;
    private string[] _scored = [];

    public ScoringRow(IRowScorer scorer, DataViewRow input, DataViewSchema schema, bool[] active)
    {
        _input = input;
        _active = active;
        Schema = schema;
        if (!active.AsSpan(input.Schema.Count).Contains(true))
        {
            return;
        }

        Func<string[]> texts = InputTexts.Reader(input, scorer.Inputs);
        _added = scorer.Getters(Scores);

        RowScores Scores()
        {
            scorer.Ownership.Check();

            // Several columns ask, and the caller may have moved the input on in between.
            string[] current = texts();
            if (_scores is null || !_scored.SequenceEqual(current))
            {
                _scores = scorer.Score([new(current, _input.Position)])[0];
                _scored = current;
            }

            return _scores;
        }
    }

    public override DataViewSchema Schema { get; }

    public override long Position => _input.Position;

    public override long Batch => _input.Batch;

    public override bool IsColumnActive(DataViewSchema.Column column) => _active[column.Index];

    public override ValueGetter<DataViewRowId> GetIdGetter() => _input.GetIdGetter();

    public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column)
    {
        if (!_active[column.Index])
        {
            throw new ArgumentOutOfRangeException(nameof(column), $"Column '{column.Name}' was not asked for when the row was made.");
        }

        int inputs = _input.Schema.Count;
        return column.Index < inputs
            ? _input.GetGetter<TValue>(_input.Schema[column.Index])
            : _added[column.Index - inputs] as ValueGetter<TValue>
                ?? throw new InvalidOperationException($"Column '{column.Name}' is {column.Type}, not {typeof(TValue)}.");
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _input.Dispose();
        }

        base.Dispose(disposing);
    }
}

/// <summary>Reads rows ahead, scores them in groups, and returns them in order with their other columns.</summary>
internal sealed class ScoringCursor : DataViewRowCursor
{
    /// <summary>The first group is small, so that reading a few rows is quick; later ones double up to the maximum.</summary>
    private const int FirstWindow = 32;
    private const int LargestWindow = 1024;

    private readonly IRowScorer _scorer;
    private readonly DataViewRowCursor _input;
    private readonly CancellationWatch? _cancellation;
    private readonly bool[] _active;
    private readonly Delegate?[] _getters;
    private readonly ColumnBuffer?[] _buffers;
    private readonly Func<string[]>? _texts;
    private readonly ValueGetter<DataViewRowId> _id;
    private readonly List<DataViewRowId> _ids = [];
    private readonly List<long> _batches = [];
    private IReadOnlyList<RowScores> _scores = [];
    private int _window = FirstWindow;
    private int _place = -1;
    private int _filled;
    private long _position = -1;
    private bool _ended;

    public ScoringCursor(IRowScorer scorer, DataViewRowCursor input, DataViewSchema schema, bool[] active)
    {
        _scorer = scorer;
        _input = input;
        _active = active;
        Schema = schema;
        int inputs = input.Schema.Count;
        _getters = new Delegate?[schema.Count];
        _buffers = new ColumnBuffer?[inputs];
        _id = input.GetIdGetter();
        for (int i = 0; i < inputs; i++)
        {
            if (active[i])
            {
                _buffers[i] = ColumnBuffer.Create(input, input.Schema[i]);
                _getters[i] = _buffers[i]!.Getter(() => Place);
            }
        }

        if (active.AsSpan(inputs).Contains(true))
        {
            _cancellation = scorer.Host?.Watch();
            _texts = InputTexts.Reader(input, scorer.Inputs);
            scorer.Getters(() => _scores[Place]).CopyTo(_getters, inputs);
        }
    }

    public override DataViewSchema Schema { get; }

    public override long Position => _position;

    public override long Batch => _place < 0 ? 0 : _batches[_place];

    private int Place => _place >= 0 ? _place : throw new InvalidOperationException("The cursor is not on a row: call MoveNext first.");

    public override bool MoveNext()
    {
        if (_ended)
        {
            return false;
        }

        if (++_place >= _filled && !Fill())
        {
            _ended = true;
            _place = -1;
            _position = -1;
            return false;
        }

        _position++;
        return true;
    }

    public override bool IsColumnActive(DataViewSchema.Column column) => _active[column.Index];

    public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column)
    {
        if (!_active[column.Index])
        {
            throw new ArgumentOutOfRangeException(nameof(column), $"Column '{column.Name}' was not asked for when the cursor was made.");
        }

        return _getters[column.Index] as ValueGetter<TValue>
            ?? throw new InvalidOperationException($"Column '{column.Name}' is {column.Type}, not {typeof(TValue)}.");
    }

    public override ValueGetter<DataViewRowId> GetIdGetter() => (ref DataViewRowId value) => value = _ids[Place];

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _cancellation?.Dispose();
            _input.Dispose();
        }

        base.Dispose(disposing);
    }

    private bool Fill()
    {
        _cancellation?.ThrowIfRequested();
        _place = 0;
        _filled = 0;
        _ids.Clear();
        _batches.Clear();
        foreach (ColumnBuffer? buffer in _buffers)
        {
            buffer?.Reserve(_window);
        }

        var rows = new List<RowTexts>(_texts is null ? 0 : _window);
        DataViewRowId id = default;
        while (_filled < _window && _input.MoveNext())
        {
            foreach (ColumnBuffer? buffer in _buffers)
            {
                buffer?.Read(_filled);
            }

            _id(ref id);
            _ids.Add(id);
            _batches.Add(_input.Batch);
            if (_texts is not null)
            {
                rows.Add(new(_texts(), _input.Position));
            }

            _filled++;
        }

        if (_texts is not null && _filled > 0)
        {
            _scores = _scorer.Score(rows, _cancellation?.Token ?? default);
        }

        _window = Math.Min(_window * 2, LargestWindow);
        return _filled > 0;
    }
}

/// <summary>Buffers the values of a column for rows that were read ahead.</summary>
internal abstract class ColumnBuffer
{
    /// <summary>Creates a buffer for a column of any type.</summary>
    public static ColumnBuffer Create(DataViewRow source, DataViewSchema.Column column)
    {
        Type raw = column.Type.RawType;
        Type buffer =
            raw.IsGenericType && raw.GetGenericTypeDefinition() == typeof(VBuffer<>)
                ? typeof(Vectors<>).MakeGenericType(raw.GetGenericArguments())
                : typeof(Scalars<>).MakeGenericType(raw);
        return (ColumnBuffer)Activator.CreateInstance(buffer, source, column)!;
    }

    /// <summary>Allocates a number of rows.</summary>
    public abstract void Reserve(int rows);

    /// <summary>Reads the current row of the source into a slot.</summary>
    public abstract void Read(int place);

    /// <summary>Returns a <see cref="ValueGetter{TValue}"/> for the slot that <paramref name="place"/> returns.</summary>
    public abstract Delegate Getter(Func<int> place);

    private abstract class Typed<T>(ValueGetter<T> source) : ColumnBuffer
    {
        private T[] _values = [];

        public override void Reserve(int rows) => Array.Resize(ref _values, Math.Max(rows, _values.Length));

        public override void Read(int place) => source(ref _values[place]);

        public override Delegate Getter(Func<int> place) => (ValueGetter<T>)((ref T value) => Copy(in _values[place()], ref value));

        protected abstract void Copy(in T from, ref T to);
    }

    private sealed class Scalars<T>(DataViewRow source, DataViewSchema.Column column) : Typed<T>(source.GetGetter<T>(column))
    {
        protected override void Copy(in T from, ref T to) => to = from;
    }

    /// <summary>The reader owns the memory of a vector, so it is copied.</summary>
    private sealed class Vectors<T>(DataViewRow source, DataViewSchema.Column column)
        : Typed<VBuffer<T>>(source.GetGetter<VBuffer<T>>(column))
    {
        protected override void Copy(in VBuffer<T> from, ref VBuffer<T> to) => from.CopyTo(ref to);
    }
}
