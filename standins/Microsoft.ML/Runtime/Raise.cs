namespace Microsoft.ML.Runtime;

/// <summary>The exceptions of ML.NET: which type stands for which kind of mistake, and how it reads.</summary>
internal static class Raise
{
    public static ArgumentOutOfRangeException Param(string paramName, string message) => new(paramName, message);

    public static ArgumentOutOfRangeException MissingColumn(string paramName, string role, string column) =>
        new(paramName, $"Could not find {role} column '{column}'");

    public static ArgumentOutOfRangeException ColumnMismatch(
        string paramName, string role, string column, string expected, object actual) =>
        new(paramName, $"Schema mismatch for {role} column '{column}': expected {expected}, got {actual}");

    public static InvalidOperationException GetterType(Type asked, Type actual) =>
        new($"Invalid TValue in GetGetter: '{asked}', expected type: '{actual}'.");

    public static ArgumentOutOfRangeException InactiveColumn(DataViewSchema.Column column) =>
        new(nameof(column), $"Column '{column.Name}' is not active in the cursor");

    public static void IfEmpty(string value, string paramName)
    {
        if (string.IsNullOrEmpty(value))
            throw new ArgumentNullException(paramName);
    }
}
