namespace Microsoft.ML.Transforms;

public sealed class ColumnSelectingTransformer : ITransformer
{
    internal const string Signature = "SelectColumns";
    private readonly bool _keepHidden;

    internal ColumnSelectingTransformer(string[] keep, string[] drop, bool keepHidden)
    {
        Names = drop ?? keep ?? throw new ArgumentNullException("columnNames");
        Drops = drop is not null;
        _keepHidden = keepHidden;
    }

    internal ColumnSelectingTransformer(ModelLoadContext ctx)
    {
        Drops = ctx.Reader.ReadBoolean();
        _keepHidden = ctx.Reader.ReadBoolean();
        Names = [.. Enumerable.Range(0, ctx.Reader.ReadInt32()).Select(_ => ctx.Reader.ReadString())];
    }

    bool ITransformer.IsRowToRowMapper => true;

    internal string[] Names { get; }

    internal bool Drops { get; }

    public DataViewSchema GetOutputSchema(DataViewSchema inputSchema) => MakeMapper(inputSchema).OutputSchema;

    public IDataView Transform(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        return new MappedView(MakeMapper(input.Schema), input);
    }

    IRowToRowMapper ITransformer.GetRowToRowMapper(DataViewSchema inputSchema) => MakeMapper(inputSchema);

    void ICanSaveModel.Save(ModelSaveContext ctx)
    {
        var writer = ctx.Begin(Signature);
        writer.Write(Drops);
        writer.Write(_keepHidden);
        writer.Write(Names.Length);
        foreach (var name in Names)
            writer.Write(name);
    }

    private SelectMapper MakeMapper(DataViewSchema schema)
    {
        ArgumentNullException.ThrowIfNull(schema);
        foreach (var name in Names)
            _ = schema.GetColumnOrNull(name) ?? throw Raise.MissingColumn("input", "input", name);
        var visible = schema.Where(c => _keepHidden || !c.IsHidden);
        return new SelectMapper(schema, Drops
            ? visible.Where(c => !Names.Contains(c.Name)).Select(c => c.Index)
            : Names.SelectMany(n => visible.Where(c => c.Name == n)).Select(c => c.Index));
    }

    private sealed class SelectMapper(DataViewSchema input, IEnumerable<int> kept) : Mapper(input, kept, [])
    {
        public override Delegate[] MakeGetters(DataViewRow input, bool[] active) => [];

        protected override IEnumerable<int> InputsOf(int added) => [];
    }
}
