namespace Microsoft.ML.Data;

/// <summary>Columns of any number, key or Boolean type, read as doubles.</summary>
internal static class Numeric
{
    /// <summary>Reads a scalar; a key k is read as k - 1, a missing one as NaN.</summary>
    public static Func<double> Reader(DataViewRow row, DataViewSchema.Column column) =>
        (Func<double>)Generic.Call(Reader<int>, column.Type.RawType, row, column);

    private static Func<double> Reader<T>(DataViewRow row, DataViewSchema.Column column)
    {
        var read = UserValue.MakeReader<T>(row, column);
        var convert = Conversion.Between<T, double>();
        if (column.Type is not KeyDataViewType)
            return () => convert(read());
        return () => convert(read()) is var key && key > 0 ? key - 1 : double.NaN;
    }
}
