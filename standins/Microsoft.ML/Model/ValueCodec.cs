namespace Microsoft.ML.Model;

/// <summary>Column types, values and schemas in binary form.</summary>
internal static class ValueCodec
{
    public static void WritePairs(this BinaryWriter writer, InputOutputColumnPair[] pairs)
    {
        writer.Write(pairs.Length);
        foreach (var pair in pairs)
        {
            writer.Write(pair.OutputColumnName);
            writer.Write(pair.InputColumnName);
        }
    }

    public static InputOutputColumnPair[] ReadPairs(this ModelLoadContext ctx) =>
        [.. Enumerable.Range(0, ctx.Reader.ReadInt32())
            .Select(_ => new InputOutputColumnPair(ctx.Reader.ReadString(), ctx.Reader.ReadString()))];

    public static void WriteType(BinaryWriter writer, DataViewType type)
    {
        switch (type)
        {
            case VectorDataViewType vector:
                writer.Write('V');
                WriteType(writer, vector.ItemType);
                writer.Write(vector.Dimensions.Length);
                foreach (var dimension in vector.Dimensions)
                    writer.Write(dimension);
                break;
            case KeyDataViewType key:
                writer.Write('K');
                writer.Write(key.RawType.FullName);
                writer.Write(key.Count);
                break;
            default:
                writer.Write('P');
                writer.Write(type is TextDataViewType ? typeof(string).FullName : type.RawType.FullName);
                break;
        }
    }

    public static DataViewType ReadType(BinaryReader reader)
    {
        switch (reader.ReadChar())
        {
            case 'V':
                var item = (PrimitiveDataViewType)ReadType(reader);
                return new VectorDataViewType(item,
                    Enumerable.Range(0, reader.ReadInt32()).Select(_ => reader.ReadInt32()).ToImmutableArray());
            case 'K':
                return new KeyDataViewType(Type.GetType(reader.ReadString(), throwOnError: true), reader.ReadUInt64());
            case 'P':
                var name = reader.ReadString();
                return DataViewType.FromRaw(typeof(DataViewType).Assembly.GetType(name) ?? Type.GetType(name, throwOnError: true));
            default:
                throw new FormatException("Corrupt model: unknown column type");
        }
    }

    public static void WriteSchema(BinaryWriter writer, DataViewSchema schema)
    {
        var columns = schema.Where(c => !c.IsHidden).ToArray();
        writer.Write(columns.Length);
        foreach (var column in columns)
        {
            writer.Write(column.Name);
            WriteType(writer, column.Type);
            WriteSchema(writer, column.Annotations.Schema);
            foreach (var annotation in column.Annotations.Schema.Where(c => !c.IsHidden))
                Generic.Call(WriteAnnotation<int>, annotation.Type.RawType, writer, column.Annotations, annotation);
        }
    }

    public static DataViewSchema ReadSchema(BinaryReader reader)
    {
        var builder = new DataViewSchema.Builder();
        for (var count = reader.ReadInt32(); count > 0; count--)
        {
            var name = reader.ReadString();
            var type = ReadType(reader);
            var annotations = new DataViewSchema.Annotations.Builder();
            foreach (var annotation in ReadSchema(reader))
                Generic.Call(ReadAnnotation<int>, annotation.Type.RawType, reader, annotations, annotation);
            builder.AddColumn(name, type, annotations.ToAnnotations());
        }

        return builder.ToSchema();
    }

    public static void WriteArray<T>(BinaryWriter writer, IReadOnlyCollection<T> values)
    {
        writer.Write(values.Count);
        foreach (var value in values)
            Write(writer, value);
    }

    public static T[] ReadArray<T>(BinaryReader reader)
    {
        var values = new T[reader.ReadInt32()];
        for (var i = 0; i < values.Length; i++)
            values[i] = Read<T>(reader);
        return values;
    }

    private static void WriteAnnotation<T>(BinaryWriter writer, DataViewSchema.Annotations annotations, DataViewSchema.Column column)
    {
        T value = default;
        annotations.GetGetter<T>(column)(ref value);
        Write(writer, value);
    }

    private static void ReadAnnotation<T>(BinaryReader reader, DataViewSchema.Annotations.Builder annotations, DataViewSchema.Column column)
    {
        var value = Read<T>(reader);
        annotations.Add(column.Name, column.Type, UserValue.MakeGetter(() => value, column.Type as VectorDataViewType));
    }

    private static void Write<T>(BinaryWriter writer, T value)
    {
        switch (value)
        {
            case ReadOnlyMemory<char> text: writer.Write(text.ToString()); break;
            case bool flag: writer.Write(flag); break;
            case sbyte number: writer.Write(number); break;
            case byte number: writer.Write(number); break;
            case short number: writer.Write(number); break;
            case ushort number: writer.Write(number); break;
            case int number: writer.Write(number); break;
            case uint number: writer.Write(number); break;
            case long number: writer.Write(number); break;
            case ulong number: writer.Write(number); break;
            case float number: writer.Write(number); break;
            case double number: writer.Write(number); break;
            default: Generic.Call(WriteBuffer<int>, BufferItem<T>(), writer, value); break;
        }
    }

    private static T Read<T>(BinaryReader reader) => (T)(default(T) switch
    {
        ReadOnlyMemory<char> => reader.ReadString().AsMemory(),
        bool => reader.ReadBoolean(),
        sbyte => reader.ReadSByte(),
        byte => reader.ReadByte(),
        short => reader.ReadInt16(),
        ushort => reader.ReadUInt16(),
        int => reader.ReadInt32(),
        uint => reader.ReadUInt32(),
        long => reader.ReadInt64(),
        ulong => reader.ReadUInt64(),
        float => reader.ReadSingle(),
        double => reader.ReadDouble(),
        _ => Generic.Call(ReadBuffer<int>, BufferItem<T>(), reader),
    });

    private static Type BufferItem<T>() => typeof(T).IsGenericType && typeof(T).GetGenericTypeDefinition() == typeof(VBuffer<>)
        ? typeof(T).GetGenericArguments()[0]
        : throw new NotSupportedException($"Values of type {typeof(T)} cannot be saved");

    private static void WriteBuffer<T>(BinaryWriter writer, VBuffer<T> buffer) => WriteArray(writer, buffer.DenseValues().ToArray());

    private static VBuffer<T> ReadBuffer<T>(BinaryReader reader)
    {
        var values = ReadArray<T>(reader);
        return new(values.Length, values);
    }
}
