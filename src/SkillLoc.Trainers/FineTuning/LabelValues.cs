using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Transforms;

namespace SkillLoc.Trainers;

/// <summary>Reads the key values of label columns, and checks columns of scores and answers.</summary>
internal static class LabelValues
{
    /// <summary>The key values as text, in key order; null if the column has none.</summary>
    /// <exception cref="ArgumentException">The column is missing or not a key.</exception>
    public static IReadOnlyList<string>? Of(DataViewSchema schema, string name, out int count)
    {
        DataViewSchema.Column column = Find(schema, name);
        if (column.Type is not KeyDataViewType key || column.Type.RawType != typeof(uint))
        {
            throw new ArgumentException(
                column.Type is VectorDataViewType
                    ? $"The label column '{name}' is {column.Type}; it must be a key, one a row. Where rows have several labels, set "
                        + "Options.MultiLabel."
                    : $"The label column '{name}' is {column.Type}; it must be a key: put "
                        + $"mlContext.Transforms.Conversion.MapValueToKey(\"{name}\") "
                        + "before the trainer.",
                nameof(schema)
            );
        }

        count = checked((int)key.Count);
        DataViewSchema.Column? values = column.Annotations.Schema.GetColumnOrNull("KeyValues");
        return values?.Type is not VectorDataViewType vector
            ? null
            : vector.ItemType switch
            {
                TextDataViewType => Read<ReadOnlyMemory<char>>(column),
                NumberDataViewType number => Type.GetTypeCode(number.RawType) switch
                {
                    TypeCode.SByte => Read<sbyte>(column),
                    TypeCode.Byte => Read<byte>(column),
                    TypeCode.Int16 => Read<short>(column),
                    TypeCode.UInt16 => Read<ushort>(column),
                    TypeCode.Int32 => Read<int>(column),
                    TypeCode.UInt32 => Read<uint>(column),
                    TypeCode.Int64 => Read<long>(column),
                    TypeCode.UInt64 => Read<ulong>(column),
                    TypeCode.Single => Read<float>(column),
                    _ => Read<double>(column),
                },
                BooleanDataViewType => Read<bool>(column),
                _ => throw new ArgumentException(
                    $"The label column '{name}' has key values of type {vector.ItemType}; they must be text, numbers or booleans.",
                    nameof(schema)
                ),
            };
    }

    /// <summary>Returns the labels of a multi-label column.</summary>
    /// <exception cref="ArgumentException">The column is missing or has another type.</exception>
    public static IReadOnlyList<string> OfSets(DataViewSchema schema, string name)
    {
        DataViewSchema.Column column = Find(schema, name);
        return LabelSets.Names(column) ?? throw new ArgumentException(SetsAreVectors(name, column.Type), nameof(schema));
    }

    /// <summary>Error message: unsupported label type for a multi-label task.</summary>
    public static string SetsAreVectors(string name, object type) =>
        $"The label column '{name}' is {type}; with Options.MultiLabel it must be {LabelSets.Wanted}.";

    /// <summary>Whether the label column contains answers instead of keys.</summary>
    /// <exception cref="ArgumentException">The column is missing, or contains neither.</exception>
    public static bool AreAnswers(DataViewSchema schema, string name) =>
        Find(schema, name).Type switch
        {
            TextDataViewType or VectorDataViewType { ItemType: TextDataViewType } => true,
            KeyDataViewType => false,
            var other => throw new ArgumentException(AnswersAreText(name, other), nameof(schema)),
        };

    /// <summary>Error message: unsupported label type for a text-to-text model.</summary>
    public static string AnswersAreText(string name, object type) =>
        $"The label column '{name}' is {type}; for a model that writes its answers it must be a key, each label with an answer, or "
        + "text, one "
        + "answer a row or a vector of several.";

    /// <summary>Checks the label column of a regression.</summary>
    /// <exception cref="ArgumentException">The column is missing, or not a Single.</exception>
    public static void CheckScores(DataViewSchema schema, string name)
    {
        DataViewSchema.Column column = Find(schema, name);
        if (column.Type != NumberDataViewType.Single)
        {
            throw new ArgumentException(ScoresAreSingle(name, column.Type), nameof(schema));
        }
    }

    /// <summary>Error message: unsupported label type for a regression.</summary>
    public static string ScoresAreSingle(string name, object type) =>
        $"The label column '{name}' is {type}; for a regression it must be Single: put "
        + $"mlContext.Transforms.Conversion.ConvertType(\"{name}\") "
        + "before the trainer.";

    private static DataViewSchema.Column Find(DataViewSchema schema, string name) =>
        schema.GetColumnOrNull(name) ?? throw new ArgumentOutOfRangeException(nameof(schema), $"Could not find the label column '{name}'.");

    private static string[] Read<T>(DataViewSchema.Column column)
    {
        VBuffer<T> values = default;
        column.GetKeyValues(ref values);
        return
        [
            .. values
                .DenseValues()
                .Select(value =>
                    value is ReadOnlyMemory<char> text ? text.ToString() : Convert.ToString(value, CultureInfo.InvariantCulture) ?? ""
                ),
        ];
    }
}
