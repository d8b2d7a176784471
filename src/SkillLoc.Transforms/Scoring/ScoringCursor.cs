using Microsoft.ML;
using Microsoft.ML.Data;

namespace SkillLoc.Transforms;

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
