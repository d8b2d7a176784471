namespace Microsoft.ML.Data;

public sealed class NumberDataViewType : PrimitiveDataViewType
{
    private static readonly NumberDataViewType[] All =
    [
        new(typeof(sbyte)), new(typeof(byte)), new(typeof(short)), new(typeof(ushort)), new(typeof(int)),
        new(typeof(uint)), new(typeof(long)), new(typeof(ulong)), new(typeof(float)), new(typeof(double)),
    ];

    private NumberDataViewType(Type rawType)
        : base(rawType)
    {
    }

    public static NumberDataViewType SByte => All[0];

    public static NumberDataViewType Byte => All[1];

    public static NumberDataViewType Int16 => All[2];

    public static NumberDataViewType UInt16 => All[3];

    public static NumberDataViewType Int32 => All[4];

    public static NumberDataViewType UInt32 => All[5];

    public static NumberDataViewType Int64 => All[6];

    public static NumberDataViewType UInt64 => All[7];

    public static NumberDataViewType Single => All[8];

    public static NumberDataViewType Double => All[9];

    public override bool Equals(DataViewType other) => other == this;

    public override string ToString() => RawType.Name;

    internal static new NumberDataViewType FromRawOrNull(Type type) => Array.Find(All, t => t.RawType == type);
}
