namespace Microsoft.ML.Data;

public abstract class RowToRowTransformerBase : ITransformer
{
    private protected RowToRowTransformerBase()
    {
    }

    bool ITransformer.IsRowToRowMapper => true;

    public DataViewSchema GetOutputSchema(DataViewSchema inputSchema) => MakeMapper(inputSchema).OutputSchema;

    public IDataView Transform(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        return new MappedView(MakeMapper(input.Schema), input);
    }

    IRowToRowMapper ITransformer.GetRowToRowMapper(DataViewSchema inputSchema) => MakeMapper(inputSchema);

    void ICanSaveModel.Save(ModelSaveContext ctx) => Save(ctx);

    private protected abstract IEnumerable<ColumnMapping> Bind(DataViewSchema schema);

    private protected abstract void Save(ModelSaveContext ctx);

    private protected static DataViewSchema.Column Require(DataViewSchema schema, string column) =>
        schema.GetColumnOrNull(column) ?? throw Raise.MissingColumn("inputSchema", "input", column);

    private ColumnMapper MakeMapper(DataViewSchema schema)
    {
        ArgumentNullException.ThrowIfNull(schema);
        return new ColumnMapper(schema, [.. Bind(schema)]);
    }

    private sealed class ColumnMapper(DataViewSchema input, ColumnMapping[] mappings)
        : Mapper(input, Enumerable.Range(0, input.Count), mappings.Select(m => m.Output))
    {
        public override Delegate[] MakeGetters(DataViewRow input, bool[] active) =>
            [.. mappings.Select((m, i) => active[i] ? m.MakeGetter(input) : null)];

        protected override IEnumerable<int> InputsOf(int added) => mappings[added].Inputs;
    }
}
