using Microsoft.ML;
using Microsoft.ML.Data;

namespace SkillLoc.Transforms;

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
