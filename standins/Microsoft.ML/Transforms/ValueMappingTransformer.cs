namespace Microsoft.ML.Transforms;

public class ValueMappingTransformer : OneToOneTransformerBase
{
    internal const string Signature = "ValueMappingTransformer";
    private readonly ValueMap _map;

    internal ValueMappingTransformer(ValueMap map, InputOutputColumnPair[] columns)
        : base(columns) => _map = map;

    internal ValueMappingTransformer(ModelLoadContext ctx)
        : base(ctx.ReadPairs()) => _map = ValueMap.Load(ctx.Reader);

    private protected override ColumnMapping Bind(int pair, string output, DataViewSchema.Column input) => _map.Bind(output, input);

    private protected override void Save(ModelSaveContext ctx)
    {
        var writer = ctx.Begin(Signature);
        writer.WritePairs(Columns);
        _map.Save(writer);
    }
}
