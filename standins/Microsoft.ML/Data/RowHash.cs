namespace Microsoft.ML.Data;

/// <summary>A number in [0, 1) that depends on nothing but a column's value and a seed.</summary>
internal static class RowHash
{
    public static Func<double> Reader(DataViewRow row, DataViewSchema.Column column, int seed) =>
        (Func<double>)Generic.Call(Reader<int>, column.Type.RawType, row, column, seed);

    private static Func<double> Reader<T>(DataViewRow row, DataViewSchema.Column column, int seed)
    {
        var read = UserValue.MakeReader<T>(row, column);
        return () => Hash(Conversion.ToText(read()), (uint)seed);
    }

    private static double Hash(string text, uint seed)
    {
        // FNV-1a, then the finalizer of MurmurHash3.
        var hash = 2166136261u ^ seed;
        foreach (var character in text)
            hash = (hash ^ character) * 16777619u;
        hash = (hash ^ (hash >> 16)) * 0x85ebca6b;
        hash = (hash ^ (hash >> 13)) * 0xc2b2ae35;
        return (hash ^ (hash >> 16)) / 4294967296.0;
    }
}
