namespace Microsoft.ML.Data;

public sealed class KeyDataViewType : PrimitiveDataViewType
{
    public KeyDataViewType(Type type, ulong count)
        : base(type)
    {
        if (count == 0 || MaxCount(type) < count)
            throw Raise.Param(nameof(count), $"The cardinality of a {type.Name} key type must be from 1 to {MaxCount(type)}");
        Count = count;
    }

    public KeyDataViewType(Type type, int count)
        : this(type, (ulong)Math.Max(0, count))
    {
    }

    public ulong Count { get; }

    public static bool IsValidDataType(Type type) =>
        type == typeof(ulong) || type == typeof(uint) || type == typeof(ushort) || type == typeof(byte);

    public override bool Equals(DataViewType other) => other is KeyDataViewType key && key.RawType == RawType && key.Count == Count;

    public override bool Equals(object other) => other is DataViewType type && Equals(type);

    public override int GetHashCode() => HashCode.Combine(RawType, Count);

    public override string ToString() => $"Key<{RawType.Name}, 0-{Count - 1}>";

    internal static ulong MaxCount(Type type) =>
        type == typeof(ulong) ? ulong.MaxValue
        : type == typeof(uint) ? uint.MaxValue
        : type == typeof(ushort) ? ushort.MaxValue
        : type == typeof(byte) ? byte.MaxValue
        : throw Raise.Param(nameof(type), $"Type '{type}' is not valid for a key");
}
