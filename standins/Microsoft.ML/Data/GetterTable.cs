namespace Microsoft.ML.Data;

/// <summary>The getters of a row's columns; an inactive column has none.</summary>
internal sealed class GetterTable(DataViewSchema schema, Delegate[] getters)
{
    public bool IsActive(DataViewSchema.Column column) =>
        column.Index < schema.Count
            ? getters[column.Index] is not null
            : throw Raise.Param(nameof(column), $"Column '{column.Name}' is not in the schema");

    public ValueGetter<T> Get<T>(DataViewSchema.Column column)
    {
        if (!IsActive(column))
            throw Raise.InactiveColumn(column);
        return getters[column.Index] as ValueGetter<T> ?? throw Raise.GetterType(typeof(T), schema[column.Index].Type.RawType);
    }
}
