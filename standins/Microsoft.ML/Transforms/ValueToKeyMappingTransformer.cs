namespace Microsoft.ML.Transforms;

public sealed class ValueToKeyMappingTransformer : OneToOneTransformerBase
{
    internal const string Signature = "TermTransform";
    private readonly KeyMap[] _maps;

    internal ValueToKeyMappingTransformer(InputOutputColumnPair[] columns, KeyMap[] maps)
        : base(columns) => _maps = maps;

    internal ValueToKeyMappingTransformer(ModelLoadContext ctx)
        : base(ctx.ReadPairs()) => _maps = Array.ConvertAll(Columns, _ => KeyMap.Load(ctx.Reader));

    private protected override ColumnMapping Bind(int pair, string output, DataViewSchema.Column input) => _maps[pair].Bind(output, input);

    private protected override void Save(ModelSaveContext ctx)
    {
        var writer = ctx.Begin(Signature);
        writer.WritePairs(Columns);
        foreach (var map in _maps)
            map.Save(writer);
    }
}
