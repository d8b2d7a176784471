namespace Microsoft.ML.Transforms;

/// <summary>The values of a column in key order: the value of key k stands at k - 1.</summary>
internal abstract class KeyMap
{
    public static KeyMap Train(
        IDataView data, DataViewSchema.Column column, int maximum, ValueToKeyMappingEstimator.KeyOrdinality ordinality, bool asText)
    {
        var item = column.Type.ItemType as PrimitiveDataViewType;
        if (item is null or RowIdDataViewType)
            throw Raise.ColumnMismatch("inputSchema", "input", column.Name, "standard type or a vector of standard type", column.Type);
        return (KeyMap)Generic.Call(Train<int>, item.RawType, data, column, item, maximum, ordinality, asText);
    }

    public static KeyMap Load(BinaryReader reader)
    {
        var asText = reader.ReadBoolean();
        var item = (PrimitiveDataViewType)ValueCodec.ReadType(reader);
        return (KeyMap)Generic.Call(Load<int>, item.RawType, reader, item, asText);
    }

    public abstract ColumnMapping Bind(string output, DataViewSchema.Column input);

    public abstract void Save(BinaryWriter writer);

    private static KeyMap<T> Train<T>(
        IDataView data, DataViewSchema.Column column, PrimitiveDataViewType item, int maximum,
            ValueToKeyMappingEstimator.KeyOrdinality ordinality, bool asText)
    {
        var values = column.Type is VectorDataViewType ? data.GetColumn<T[]>(column).SelectMany(v => v) : data.GetColumn<T>(column);
        var distinct = values.Where(v => !KeyMap<T>.IsMissing(v)).Distinct(KeyMap<T>.Comparer).Take(maximum);
        if (ordinality == ValueToKeyMappingEstimator.KeyOrdinality.ByValue)
            distinct = typeof(T) == typeof(ReadOnlyMemory<char>)
                ? distinct.OrderBy(v => v.ToString(), StringComparer.Ordinal)
                : distinct.Order();
        return new([.. distinct], item, asText);
    }

    private static KeyMap<T> Load<T>(BinaryReader reader, PrimitiveDataViewType item, bool asText) =>
        new(ValueCodec.ReadArray<T>(reader), item, asText);
}
