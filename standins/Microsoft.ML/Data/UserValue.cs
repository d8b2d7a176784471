namespace Microsoft.ML.Data;

/// <summary>The way between values of user classes (strings, arrays, zero-based keys) and the raw values of columns.</summary>
internal static class UserValue
{
    public static Delegate MakeGetter<T>(Func<T> read, DataViewType type)
    {
        if (read is Func<string> text)
            return (ValueGetter<ReadOnlyMemory<char>>)((ref ReadOnlyMemory<char> value) => value = text().AsMemory());
        if (read is Func<string[]> texts)
        {
            return (ValueGetter<VBuffer<ReadOnlyMemory<char>>>)((ref VBuffer<ReadOnlyMemory<char>> value) =>
                Fill(Array.ConvertAll(texts() ?? [], t => t.AsMemory()), ref value));
        }

        if (typeof(T).IsArray)
            return (Delegate)Generic.Call(ArrayGetter<int>, typeof(T).GetElementType(), read);
        if (type is VectorDataViewType vector)
            return (Delegate)Generic.Call(BufferGetter<int>, vector.ItemType.RawType, read);
        if (type is KeyDataViewType key)
            return KeyGetter(read, key.Count);
        return (ValueGetter<T>)((ref T value) => value = read());
    }

    public static Func<T> MakeReader<T>(DataViewRow row, DataViewSchema.Column column)
    {
        if (typeof(T) == typeof(string))
        {
            var read = Read(row.GetGetter<ReadOnlyMemory<char>>(column));
            return (Func<T>)(object)(() => read().ToString());
        }

        if (typeof(T) == typeof(string[]))
        {
            var read = Read(row.GetGetter<VBuffer<ReadOnlyMemory<char>>>(column));
            return (Func<T>)(object)(() => read().DenseValues().Select(t => t.ToString()).ToArray());
        }

        if (typeof(T).IsArray)
            return (Func<T>)Generic.Call(ArrayReader<int>, typeof(T).GetElementType(), row, column);
        if (column.Type is VectorDataViewType vector)
            return (Func<T>)Generic.Call(BufferReader<int>, vector.ItemType.RawType, row, column);
        return Read(row.GetGetter<T>(column));
    }

    public static bool CanRead(Type user, DataViewType type)
    {
        if (user == typeof(string))
            return type is TextDataViewType;
        if (user.IsArray && type is VectorDataViewType vector)
            return user == typeof(string[]) ? vector.ItemType is TextDataViewType : user.GetElementType() == vector.ItemType.RawType;
        return user == type.RawType;
    }

    private static Func<T> Read<T>(ValueGetter<T> getter)
    {
        T value = default;
        return () =>
        {
            getter(ref value);
            return value;
        };
    }

    private static void Fill<T>(T[] values, ref VBuffer<T> buffer) => VBuffer<T>.Copy(values, 0, ref buffer, values.Length);

    private static Delegate ArrayGetter<T>(Func<T[]> read) =>
        (ValueGetter<VBuffer<T>>)((ref VBuffer<T> value) => Fill(read() ?? [], ref value));

    private static Delegate BufferGetter<T>(Func<VBuffer<T>> read) =>
        (ValueGetter<VBuffer<T>>)((ref VBuffer<T> value) => read().CopyTo(ref value));

    private static Delegate KeyGetter<T>(Func<T> read, ulong count)
    {
        var toNumber = Conversion.Between<T, ulong>();
        var fromNumber = Conversion.Between<ulong, T>();
        return (ValueGetter<T>)((ref T value) =>
        {
            var key = toNumber(read());
            value = key < count ? fromNumber(key + 1) : default;
        });
    }

    private static Func<T[]> ArrayReader<T>(DataViewRow row, DataViewSchema.Column column)
    {
        var read = Read(row.GetGetter<VBuffer<T>>(column));
        return () =>
        {
            var buffer = read();
            var values = new T[buffer.Length];
            buffer.CopyTo(values);
            return values;
        };
    }

    private static Func<VBuffer<T>> BufferReader<T>(DataViewRow row, DataViewSchema.Column column)
    {
        var getter = row.GetGetter<VBuffer<T>>(column);
        return () =>
        {
            VBuffer<T> buffer = default;
            getter(ref buffer);
            return buffer;
        };
    }
}
