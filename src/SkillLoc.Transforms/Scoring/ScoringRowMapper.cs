using Microsoft.ML;
using Microsoft.ML.Data;

namespace SkillLoc.Transforms;

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
