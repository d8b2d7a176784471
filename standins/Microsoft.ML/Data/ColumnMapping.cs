namespace Microsoft.ML.Data;

/// <summary>One computed column: what it is, which input columns it reads, and how its getter is made for a row.</summary>
internal sealed record ColumnMapping(DataViewSchema.DetachedColumn Output, int[] Inputs, Func<DataViewRow, Delegate> MakeGetter)
{
    /// <summary>A column whose items are a function of another column's items.</summary>
    public static ColumnMapping Each<TIn, TOut>(
        string output,
        DataViewSchema.Column input,
        PrimitiveDataViewType itemType,
        DataViewSchema.Annotations annotations,
        Func<TIn, TOut> map)
    {
        if (input.Type is not VectorDataViewType vector)
        {
            return new(new(output, itemType, annotations), [input.Index], row =>
            {
                var getter = row.GetGetter<TIn>(input);
                TIn value = default;
                return (ValueGetter<TOut>)((ref TOut result) =>
                {
                    getter(ref value);
                    result = map(value);
                });
            });
        }

        return new(new(output, new VectorDataViewType(itemType, vector.Dimensions), annotations), [input.Index], row =>
        {
            var getter = row.GetGetter<VBuffer<TIn>>(input);
            VBuffer<TIn> values = default;
            return (ValueGetter<VBuffer<TOut>>)((ref VBuffer<TOut> results) =>
            {
                getter(ref values);
                var editor = VBufferEditor.Create(ref results, values.Length);
                var slot = 0;
                foreach (var value in values.DenseValues())
                    editor.Values[slot++] = map(value);
                results = editor.Commit();
            });
        });
    }
}
