using Microsoft.ML;
using Microsoft.ML.Data;

namespace SkillLoc.Transforms;

/// <summary>Finds the input columns of evaluators.</summary>
internal static class EvaluatedColumn
{
    public static DataViewSchema.Column Find(DataViewSchema schema, string name) =>
        schema.GetColumnOrNull(name) ?? throw new ArgumentOutOfRangeException(
            nameof(name), $"Could not find column '{name}'; the data has {Quote(schema.Select(column => column.Name))}.");

    public static ArgumentOutOfRangeException WrongType(DataViewSchema.Column column, string right) =>
        new(nameof(column), $"Column '{column.Name}' is {column.Type}; it must be {right}.");

    /// <summary>Quotes names for messages.</summary>
    public static string Quote(IEnumerable<string> names) => string.Join(", ", names.Select(name => $"'{name}'"));

    /// <summary>Finds a column of answers, a text or a vector of texts.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is missing or of another type.</exception>
    public static DataViewSchema.Column FindAnswers(DataViewSchema schema, string name)
    {
        DataViewSchema.Column column = Find(schema, name);
        return column.Type is TextDataViewType or VectorDataViewType { ItemType: TextDataViewType }
            ? column
            : throw WrongType(column, "a text or a vector of texts");
    }
}
