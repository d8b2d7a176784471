namespace Microsoft.ML.Transforms;

public sealed class TypeConvertingTransformer : OneToOneTransformerBase
{
    internal const string Signature = "ConvertTransform";
    private readonly DataKind _kind;

    internal TypeConvertingTransformer(InputOutputColumnPair[] columns, DataKind kind)
        : base(columns) => _kind = kind;

    internal TypeConvertingTransformer(ModelLoadContext ctx)
        : base(ctx.ReadPairs()) => _kind = (DataKind)ctx.Reader.ReadByte();

    private protected override ColumnMapping Bind(int pair, string output, DataViewSchema.Column input)
    {
        var annotations = new DataViewSchema.Annotations.Builder();
        annotations.Add(input.Annotations, name => name == SchemaAnnotationsExtensions.SlotNames);
        var type = DataViewType.FromKind(_kind);
        return (ColumnMapping)Generic.Call(Bind<int, int>, [input.Type.ItemType.RawType, type.RawType], output, input, type,
            annotations.ToAnnotations());
    }

    private protected override void Save(ModelSaveContext ctx)
    {
        var writer = ctx.Begin(Signature);
        writer.WritePairs(Columns);
        writer.Write((byte)_kind);
    }

    private static ColumnMapping Bind<TIn, TOut>(
        string output, DataViewSchema.Column input, PrimitiveDataViewType type, DataViewSchema.Annotations annotations) =>
        ColumnMapping.Each(output, input, type, annotations, Conversion.Between<TIn, TOut>());
}
