namespace Microsoft.ML.Transforms;

internal sealed class ValueMap<TKey, TValue> : ValueMap
{
    private readonly DataViewSchema _schema;
    private readonly TKey[] _keys;
    private readonly TValue[] _values;
    private readonly Dictionary<TKey, TValue> _map = new(KeyMap<TKey>.Comparer);

    public ValueMap(DataViewSchema schema, TKey[] keys, TValue[] values)
    {
        _schema = schema;
        _keys = keys;
        _values = values;
        foreach (var (key, value) in keys.Zip(values))
        {
            if (!_map.TryAdd(key, value))
                throw new InvalidOperationException($"Duplicate keys in the lookup map: '{key}'");
        }
    }

    public override PrimitiveDataViewType KeyType => (PrimitiveDataViewType)_schema[0].Type;

    public override DataViewType ValueType => _schema[1].Type;

    public override IEnumerable<SchemaShape.Column> KeyValueShapes() => SchemaShape.Create(_schema)[1].Annotations;

    public override ColumnMapping Bind(string output, DataViewSchema.Column input)
    {
        if (input.Type.ItemType.RawType != typeof(TKey) || (input.Type is VectorDataViewType && ValueType is VectorDataViewType))
            throw Raise.ColumnMismatch("inputSchema", "input", input.Name, KeyType.ToString(), input.Type);
        var missing = Conversion.Missing<TValue>();
        if (ValueType is PrimitiveDataViewType item)
            return ColumnMapping.Each<TKey, TValue>(output, input, item, _schema[1].Annotations,
                key => _map.GetValueOrDefault(key, missing));
        return new(new(output, ValueType, _schema[1].Annotations), [input.Index], row =>
        {
            var read = UserValue.MakeReader<TKey>(row, input);
            return UserValue.MakeGetter(() => _map.GetValueOrDefault(read(), missing), ValueType);
        });
    }

    public override void Save(BinaryWriter writer)
    {
        ValueCodec.WriteSchema(writer, _schema);
        ValueCodec.WriteArray(writer, _keys);
        ValueCodec.WriteArray(writer, _values);
    }
}
