namespace Microsoft.ML.Transforms;

internal sealed class KeyMap<T> : KeyMap
{
    private readonly T[] _values;
    private readonly PrimitiveDataViewType _item;
    private readonly bool _asText;
    private readonly Dictionary<T, uint> _keys = new(Comparer);

    public KeyMap(T[] values, PrimitiveDataViewType item, bool asText)
    {
        _values = values;
        _item = item;
        _asText = asText;
        foreach (var value in values)
            _keys.Add(value, (uint)_keys.Count + 1);
    }

    public static IEqualityComparer<T> Comparer { get; } =
        typeof(T) == typeof(ReadOnlyMemory<char>) ? (IEqualityComparer<T>)(object)new TextComparer() : EqualityComparer<T>.Default;

    public static bool IsMissing(T value) => value switch
    {
        ReadOnlyMemory<char> text => text.IsEmpty,
        float number => float.IsNaN(number),
        double number => double.IsNaN(number),
        _ => false,
    };

    public override ColumnMapping Bind(string output, DataViewSchema.Column input)
    {
        if (!input.Type.ItemType.Equals(_item) && !(input.Type.ItemType is KeyDataViewType && input.Type.ItemType.RawType == typeof(T)))
            throw Raise.ColumnMismatch("inputSchema", "input", input.Name, _item.ToString(), input.Type);
        var annotations = new DataViewSchema.Annotations.Builder();
        if (input.HasSlotNames())
            annotations.Add(input.Annotations, name => name == SchemaAnnotationsExtensions.SlotNames);
        if (_values.Length > 0 && _asText)
            AddKeyValues(annotations, TextDataViewType.Instance, Array.ConvertAll(_values, v => Conversion.ToText(v).AsMemory()));
        else if (_values.Length > 0)
            AddKeyValues(annotations, _item, _values);
        var type = new KeyDataViewType(typeof(uint), Math.Max(1, _values.Length));
        return ColumnMapping.Each<T, uint>(output, input, type, annotations.ToAnnotations(), value => _keys.GetValueOrDefault(value));
    }

    public override void Save(BinaryWriter writer)
    {
        writer.Write(_asText);
        ValueCodec.WriteType(writer, _item);
        ValueCodec.WriteArray(writer, _values);
    }

    private static void AddKeyValues<TValue>(DataViewSchema.Annotations.Builder annotations, PrimitiveDataViewType item, TValue[] values) =>
        annotations.Add(SchemaAnnotationsExtensions.KeyValues, new VectorDataViewType(item, values.Length),
            (ref VBuffer<TValue> buffer) => VBuffer<TValue>.Copy(values, 0, ref buffer, values.Length));
}
