namespace Microsoft.ML.Data;

/// <summary>A row to row mapper: each output column is an input column passed through, or one computed from the row.</summary>
internal abstract class Mapper : IRowToRowMapper
{
    private readonly int[] _origins;

    protected Mapper(DataViewSchema input, IEnumerable<int> kept, IEnumerable<DataViewSchema.DetachedColumn> added)
    {
        InputSchema = input;
        var passed = kept.ToArray();
        var computed = added.ToArray();
        _origins = [.. passed, .. Enumerable.Range(0, computed.Length).Select(i => ~i)];
        AddedCount = computed.Length;
        var builder = new DataViewSchema.Builder();
        builder.AddColumns(passed.Select(i => input[i]));
        builder.AddColumns(computed);
        OutputSchema = builder.ToSchema();
    }

    public DataViewSchema InputSchema { get; }

    public DataViewSchema OutputSchema { get; }

    public int AddedCount { get; }

    public IEnumerable<DataViewSchema.Column> GetDependencies(IEnumerable<DataViewSchema.Column> dependingColumns)
    {
        var needed = new SortedSet<int>();
        foreach (var column in dependingColumns)
        {
            var origin = _origins[column.Index];
            if (origin >= 0)
                needed.Add(origin);
            else
                needed.UnionWith(InputsOf(~origin));
        }

        return [.. needed.Select(i => InputSchema[i])];
    }

    public DataViewRow GetRow(DataViewRow input, IEnumerable<DataViewSchema.Column> activeColumns) =>
        new MappedRow(this, input, activeColumns);

    /// <summary>The input column that an output column is, or the complement of its number among the computed ones.</summary>
    public int Origin(int column) => _origins[column];

    /// <summary>The getters of the computed columns that are active; null for the others.</summary>
    public abstract Delegate[] MakeGetters(DataViewRow input, bool[] active);

    protected abstract IEnumerable<int> InputsOf(int added);
}
