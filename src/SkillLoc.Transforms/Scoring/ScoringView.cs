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
        IEnumerable<DataViewSchema.Column> upstream = input.Schema
            .Where(column => active[column.Index] || (scores && scorer.Inputs.Contains(column.Name) && !column.IsHidden));
        return new ScoringCursor(scorer, input.GetRowCursor(upstream, rand), Schema, active);
    }

    /// <summary>Returns one cursor, since the model uses all cores.</summary>
    public DataViewRowCursor[] GetRowCursorSet(IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random? rand = null) =>
        [GetRowCursor(columnsNeeded, rand)];

    private bool[] Active(IEnumerable<DataViewSchema.Column> columnsNeeded)
    {
        var active = new bool[Schema.Count];
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
        var active = new bool[OutputSchema.Count];
        foreach (DataViewSchema.Column column in activeColumns)
        {
            active[column.Index] = true;
        }

        return new ScoringRow(scorer, input, OutputSchema, active);
    }
}
