namespace Microsoft.ML.Data;

public sealed class ColumnConcatenatingTransformer : RowToRowTransformerBase
{
    internal const string Signature = "ConcatTransform";
    private readonly string _output;
    private readonly string[] _inputs;

    internal ColumnConcatenatingTransformer(string output, string[] inputs)
    {
        _output = output;
        _inputs = inputs;
    }

    internal ColumnConcatenatingTransformer(ModelLoadContext ctx)
        : this(ctx.Reader.ReadString(), [.. Enumerable.Range(0, ctx.Reader.ReadInt32()).Select(_ => ctx.Reader.ReadString())])
    {
    }

    private protected override IEnumerable<ColumnMapping> Bind(DataViewSchema schema)
    {
        var inputs = Array.ConvertAll(_inputs, name => Require(schema, name));
        var item = inputs.Length == 0 ? NumberDataViewType.Single : (PrimitiveDataViewType)inputs[0].Type.ItemType;
        foreach (var input in inputs)
        {
            if (input.Type.ItemType is KeyDataViewType || !input.Type.ItemType.Equals(item))
                throw Raise.ColumnMismatch("inputSchema", "input", input.Name, item.ToString(), input.Type);
        }

        if (inputs is [{ Type: VectorDataViewType } only])
        {
            yield return new(new(_output, only.Type, only.Annotations), [only.Index], row => Generic.Getter(row, row.Schema[only.Index]));
            yield break;
        }

        var sizes = Array.ConvertAll(inputs, c => c.Type is VectorDataViewType vector ? vector.Size : 1);
        var size = sizes.Contains(0) ? 0 : sizes.Sum();
        var output = new DataViewSchema.DetachedColumn(_output, new VectorDataViewType(item, size), Annotations(inputs, item, sizes, size));
        yield return new(output, [.. inputs.Select(c => c.Index)],
            row => (Delegate)Generic.Call(MakeGetter<int>, item.RawType, row, inputs));
    }

    private protected override void Save(ModelSaveContext ctx)
    {
        var writer = ctx.Begin(Signature);
        writer.Write(_output);
        writer.Write(_inputs.Length);
        foreach (var input in _inputs)
            writer.Write(input);
    }

    private static Delegate MakeGetter<T>(DataViewRow row, DataViewSchema.Column[] inputs)
    {
        var readers = Array.ConvertAll(inputs, c => c.Type is VectorDataViewType vector
            ? Sized(UserValue.MakeReader<T[]>(row, c), c.Name, vector.Size)
            : One(UserValue.MakeReader<T>(row, c)));
        return (ValueGetter<VBuffer<T>>)((ref VBuffer<T> value) =>
        {
            T[] items = [.. readers.SelectMany(read => read())];
            VBuffer<T>.Copy(items, 0, ref value, items.Length);
        });
    }

    private static Func<T[]> Sized<T>(Func<T[]> read, string column, int size) =>
        () => read() is var items && (size == 0 || items.Length == size)
        ? items
        : throw new InvalidOperationException($"Column '{column}': expected {size} slots, but got {items.Length}");

    private static Func<T[]> One<T>(Func<T> read) => () => [read()];

    private static DataViewSchema.Annotations Annotations(DataViewSchema.Column[] inputs, PrimitiveDataViewType item, int[] sizes, int size)
    {
        var builder = new DataViewSchema.Annotations.Builder();
        if (size > 0 && inputs.Any(c => c.Type is not VectorDataViewType || c.HasSlotNames()))
        {
            var names = inputs.Zip(sizes).SelectMany(c => SlotNames(c.First, c.Second)).ToArray();
            builder.Add(SchemaAnnotationsExtensions.SlotNames, new VectorDataViewType(TextDataViewType.Instance, size),
                (ref VBuffer<ReadOnlyMemory<char>> value) => VBuffer<ReadOnlyMemory<char>>.Copy(names, 0, ref value, names.Length));
        }

        if (inputs.Length > 0 && item is NumberDataViewType && inputs.All(c => c.IsNormalized()))
            builder.AddPrimitiveValue(SchemaAnnotationsExtensions.Normalized, BooleanDataViewType.Instance, true);
        return builder.ToAnnotations();
    }

    private static IEnumerable<ReadOnlyMemory<char>> SlotNames(DataViewSchema.Column input, int size)
    {
        if (input.Type is not VectorDataViewType)
            return [input.Name.AsMemory()];
        if (!input.HasSlotNames())
            return Enumerable.Repeat(ReadOnlyMemory<char>.Empty, size);
        VBuffer<ReadOnlyMemory<char>> names = default;
        input.GetSlotNames(ref names);
        return names.DenseValues().Select(n => n.IsEmpty ? n : $"{input.Name}.{n}".AsMemory());
    }
}
