using Microsoft.ML;
using Microsoft.ML.Data;

namespace SkillLoc.Transforms;

/// <summary>A row whose added columns are computed when they are first read.</summary>
internal sealed class ScoringRow : DataViewRow
{
    private readonly DataViewRow _input;
    private readonly bool[] _active;
    private readonly Delegate[] _added = [];
    private float[] _values = [];
    private (string Text, string Pair)? _read;

    public ScoringRow(IRowModel model, DataViewRow input, DataViewSchema schema, bool[] active)
    {
        _input = input;
        _active = active;
        Schema = schema;
        if (!active.AsSpan(input.Schema.Count).Contains(true))
        {
            return;
        }

        var textGetter = input.GetGetter<ReadOnlyMemory<char>>(input.Schema[model.Inputs.Text]);
        var pairGetter = model.Inputs.TextPair is { } pair ? input.GetGetter<ReadOnlyMemory<char>>(input.Schema[pair]) : null;
        _added = model.Getters(Values);

        float[] Values()
        {
            // Several columns may ask, and the caller may have moved the input on in between.
            ReadOnlyMemory<char> text = default, second = default;
            textGetter(ref text);
            pairGetter?.Invoke(ref second);
            (string Text, string Pair) current = (text.ToString(), second.ToString());
            if (_read != current)
            {
                _values = model.Run([model.Encode(current.Text, current.Pair, _input.Position)])[0];
                _read = current;
            }

            return _values;
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
