namespace Microsoft.ML.Data;

public abstract class DataViewType : IEquatable<DataViewType>
{
    private protected DataViewType(Type rawType)
    {
        ArgumentNullException.ThrowIfNull(rawType);
        RawType = rawType;
    }

    public Type RawType { get; }

    /// <summary>The type of a vector's items, or this type itself.</summary>
    internal DataViewType ItemType => this is VectorDataViewType vector ? vector.ItemType : this;

    public abstract bool Equals(DataViewType other);

    /// <summary>The primitive type that stands for a .NET type, or null.</summary>
    internal static PrimitiveDataViewType FromRawOrNull(Type type) =>
        type == typeof(string) || type == typeof(ReadOnlyMemory<char>) ? TextDataViewType.Instance
        : type == typeof(bool) ? BooleanDataViewType.Instance
        : type == typeof(DataViewRowId) ? RowIdDataViewType.Instance
        : NumberDataViewType.FromRawOrNull(type);

    internal static PrimitiveDataViewType FromRaw(Type type) =>
        FromRawOrNull(type) ?? throw Raise.Param(nameof(type), $"No data view type for '{type}'");

    internal static PrimitiveDataViewType FromKind(DataKind kind) => kind switch
    {
        DataKind.SByte => NumberDataViewType.SByte,
        DataKind.Byte => NumberDataViewType.Byte,
        DataKind.Int16 => NumberDataViewType.Int16,
        DataKind.UInt16 => NumberDataViewType.UInt16,
        DataKind.Int32 => NumberDataViewType.Int32,
        DataKind.UInt32 => NumberDataViewType.UInt32,
        DataKind.Int64 => NumberDataViewType.Int64,
        DataKind.UInt64 => NumberDataViewType.UInt64,
        DataKind.Single => NumberDataViewType.Single,
        DataKind.Double => NumberDataViewType.Double,
        DataKind.String => TextDataViewType.Instance,
        DataKind.Boolean => BooleanDataViewType.Instance,
        _ => throw Raise.Param(nameof(kind), $"Data kind '{kind}' is not supported"),
    };
}
