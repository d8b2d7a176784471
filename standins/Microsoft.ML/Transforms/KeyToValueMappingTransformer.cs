namespace Microsoft.ML.Transforms;

public sealed class KeyToValueMappingTransformer : OneToOneTransformerBase
{
    internal const string Signature = "KeyToValueTransform";

    internal KeyToValueMappingTransformer(InputOutputColumnPair[] columns)
        : base(columns)
    {
    }

    internal KeyToValueMappingTransformer(ModelLoadContext ctx)
        : base(ctx.ReadPairs())
    {
    }

    private protected override ColumnMapping Bind(int pair, string output, DataViewSchema.Column input)
    {
        if (input.Type.ItemType is not KeyDataViewType key)
            throw Raise.ColumnMismatch("inputSchema", "input", input.Name, "key type", input.Type);
        if (input.Annotations.Schema.GetColumnOrNull(SchemaAnnotationsExtensions.KeyValues)?.Type is not VectorDataViewType values)
            throw Raise.Param("inputSchema", $"Input column '{input.Name}' doesn't contain key values metadata");
        var annotations = new DataViewSchema.Annotations.Builder();
        annotations.Add(input.Annotations, name => name == SchemaAnnotationsExtensions.SlotNames);
        return (ColumnMapping)Generic.Call(Bind<uint, int>, [key.RawType, values.ItemType.RawType], output, input, values.ItemType,
            annotations.ToAnnotations());
    }

    private protected override void Save(ModelSaveContext ctx) => ctx.Begin(Signature).WritePairs(Columns);

    private static ColumnMapping Bind<TKey, TValue>(
        string output, DataViewSchema.Column input, PrimitiveDataViewType type, DataViewSchema.Annotations annotations)
    {
        VBuffer<TValue> buffer = default;
        input.GetKeyValues(ref buffer);
        TValue[] values = [.. buffer.DenseValues()];
        var toNumber = Conversion.Between<TKey, ulong>();
        var missing = Conversion.Missing<TValue>();
        return ColumnMapping.Each<TKey, TValue>(output, input, type, annotations, key =>
        {
            var index = toNumber(key) - 1;
            return index < (ulong)values.Length ? values[index] : missing;
        });
    }
}
