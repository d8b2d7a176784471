namespace Microsoft.ML.Transforms;

public sealed class ColumnCopyingTransformer : OneToOneTransformerBase
{
    internal const string Signature = "CopyTransform";

    internal ColumnCopyingTransformer(InputOutputColumnPair[] columns)
        : base(columns)
    {
    }

    internal ColumnCopyingTransformer(ModelLoadContext ctx)
        : base(ctx.ReadPairs())
    {
    }

    private protected override ColumnMapping Bind(int pair, string output, DataViewSchema.Column input) =>
        new(new(output, input.Type, input.Annotations), [input.Index], row => Generic.Getter(row, row.Schema[input.Index]));

    private protected override void Save(ModelSaveContext ctx) => ctx.Begin(Signature).WritePairs(Columns);
}
