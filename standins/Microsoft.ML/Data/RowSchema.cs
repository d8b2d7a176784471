namespace Microsoft.ML.Data;

internal static class RowSchema
{
    /// <summary>The definition of a user class, with the annotations of a schema.</summary>
    public static SchemaDefinition Definition<TRow>(DataViewSchema schema)
    {
        ArgumentNullException.ThrowIfNull(schema);
        var definition = SchemaDefinition.Create(typeof(TRow), SchemaDefinition.Direction.Read);
        foreach (var column in schema)
        {
            var member = definition[column.Name]
                ?? throw new InvalidOperationException($"Type should contain a member named {column.Name}");
            member.ColumnType = column.Type;
            member.CopyAnnotations(column.Annotations);
        }

        return definition;
    }
}
