namespace Microsoft.ML.Transforms;

public sealed class CustomMappingTransformer<TSrc, TDst> : ITransformer
    where TSrc : class, new()
    where TDst : class, new()
{
    private readonly Action<TSrc, TDst> _map;
    private readonly string _contractName;

    internal CustomMappingTransformer(
        Action<TSrc, TDst> map, string contractName, SchemaDefinition input = null, SchemaDefinition output = null)
    {
        _map = map;
        _contractName = contractName;
        Input = new(input, SchemaDefinition.Direction.Write);
        Output = new(output, SchemaDefinition.Direction.Write);
    }

    bool ITransformer.IsRowToRowMapper => true;

    internal RowBinding<TSrc> Input { get; }

    internal RowBinding<TDst> Output { get; }

    public DataViewSchema GetOutputSchema(DataViewSchema inputSchema) => MakeMapper(inputSchema).OutputSchema;

    public IDataView Transform(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        return new MappedView(MakeMapper(input.Schema), input);
    }

    IRowToRowMapper ITransformer.GetRowToRowMapper(DataViewSchema inputSchema) => MakeMapper(inputSchema);

    void ICanSaveModel.Save(ModelSaveContext ctx)
    {
        if (string.IsNullOrEmpty(_contractName))
            throw new InvalidOperationException("Empty contract name for a transform: the transform cannot be saved");
        var writer = ctx.Begin(CustomMapping.Signature);
        writer.Write(_contractName);
        writer.Write(_map.Method.DeclaringType.Assembly.FullName);
    }

    private CustomMapper MakeMapper(DataViewSchema schema)
    {
        ArgumentNullException.ThrowIfNull(schema);
        return new CustomMapper(this, schema, Input.FindColumns(schema, ignoreMissing: false));
    }

    private sealed class CustomMapper(CustomMappingTransformer<TSrc, TDst> parent, DataViewSchema input, DataViewSchema.Column[] columns)
        : Mapper(input, Enumerable.Range(0, input.Count), parent.Output.Schema.Select(c => new DataViewSchema.DetachedColumn(c)))
    {
        public override Delegate[] MakeGetters(DataViewRow input, bool[] active)
        {
            var fill = parent.Input.MakeFiller(input, columns);
            var (source, result, position) = (new TSrc(), new TDst(), -1L);
            return [.. active.Select((isActive, i) => isActive ? parent.Output.MakeGetter(i, Current) : null)];

            // The action runs once a row, however many of its columns are read.
            TDst Current()
            {
                if (input.Position != position)
                {
                    fill(source);
                    parent._map(source, result);
                    position = input.Position;
                }

                return result;
            }
        }

        protected override IEnumerable<int> InputsOf(int added) => columns.Select(c => c.Index);
    }
}
