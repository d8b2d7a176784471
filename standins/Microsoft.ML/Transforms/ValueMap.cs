namespace Microsoft.ML.Transforms;

/// <summary>A lookup from keys to values, both of any column type.</summary>
internal abstract class ValueMap
{
    public abstract PrimitiveDataViewType KeyType { get; }

    public abstract DataViewType ValueType { get; }

    public static ValueMap FromPairs<TKey, TValue>(IEnumerable<KeyValuePair<TKey, TValue>> pairs, bool valuesAreKeys)
    {
        ArgumentNullException.ThrowIfNull(pairs);
        var view = new EnumerableView<Pair<TKey, TValue>>([.. pairs.Select(p => new Pair<TKey, TValue> { Key = p.Key, Value = p.Value })],
            new(null, SchemaDefinition.Direction.Read));
        if (!valuesAreKeys)
            return FromView(view, view.Schema["Key"], view.Schema["Value"]);
        var keyed = ((IEstimator<ITransformer>)new ValueToKeyMappingEstimator(
            [new("Value")], int.MaxValue, ValueToKeyMappingEstimator.KeyOrdinality.ByOccurrence, false, null)).Fit(view).Transform(view);
        return FromView(keyed, keyed.Schema["Key"], keyed.Schema["Value"]);
    }

    public static ValueMap FromView(IDataView view, DataViewSchema.Column key, DataViewSchema.Column value)
    {
        ArgumentNullException.ThrowIfNull(view);
        return (ValueMap)Generic.Call(FromView<int, int>, [key.Type.RawType, value.Type.RawType], view, key, value);
    }

    public static ValueMap Load(BinaryReader reader)
    {
        var schema = ValueCodec.ReadSchema(reader);
        return (ValueMap)Generic.Call(Load<int, int>, [schema[0].Type.RawType, schema[1].Type.RawType], reader, schema);
    }

    public abstract ColumnMapping Bind(string output, DataViewSchema.Column input);

    public abstract void Save(BinaryWriter writer);

    public abstract IEnumerable<SchemaShape.Column> KeyValueShapes();

    private static ValueMap<TKey, TValue> FromView<TKey, TValue>(IDataView view, DataViewSchema.Column key, DataViewSchema.Column value)
    {
        var builder = new DataViewSchema.Builder();
        builder.AddColumns([key, value]);
        return new(builder.ToSchema(), [.. view.GetColumn<TKey>(key)], [.. view.GetColumn<TValue>(value)]);
    }

    private static ValueMap<TKey, TValue> Load<TKey, TValue>(BinaryReader reader, DataViewSchema schema) =>
        new(schema, ValueCodec.ReadArray<TKey>(reader), ValueCodec.ReadArray<TValue>(reader));

    private sealed class Pair<TKey, TValue>
    {
        public TKey Key { get; set; }

        public TValue Value { get; set; }
    }
}
