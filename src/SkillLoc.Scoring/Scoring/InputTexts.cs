using Microsoft.ML;
using Microsoft.ML.Data;

namespace SkillLoc.Transforms;

/// <summary>Reads columns as texts: text columns, and keys with text values.</summary>
internal static class InputTexts
{
    /// <summary>Whether a column can be read: text, or a key with texts for values.</summary>
    public static bool CanRead(DataViewSchema.Column column) =>
        column.Type is TextDataViewType
        || (
            column.Type is KeyDataViewType
            && column.Type.RawType == typeof(uint)
            && column.Annotations.Schema.GetColumnOrNull("KeyValues")?.Type is VectorDataViewType { ItemType: TextDataViewType }
        );

    /// <summary>Returns a reader of the current row's values.</summary>
    public static Func<string[]> Reader(DataViewRow row, IReadOnlyList<string> columns)
    {
        Func<string>[] readers = [.. columns.Select(name => Reader(row, row.Schema[name]))];
        return () => Array.ConvertAll(readers, read => read());
    }

    private static Func<string> Reader(DataViewRow row, DataViewSchema.Column column)
    {
        if (column.Type is not KeyDataViewType)
        {
            ValueGetter<ReadOnlyMemory<char>> getter = row.GetGetter<ReadOnlyMemory<char>>(column);
            return () =>
            {
                ReadOnlyMemory<char> value = default;
                getter(ref value);
                return value.ToString();
            };
        }

        VBuffer<ReadOnlyMemory<char>> values = default;
        column.GetKeyValues(ref values);
        string[] texts = [.. values.DenseValues().Select(value => value.ToString())];
        ValueGetter<uint> keys = row.GetGetter<uint>(column);
        return () =>
        {
            // Keys count from 1; 0 is a missing value.
            uint key = 0;
            keys(ref key);
            return key == 0 ? "" : texts[key - 1];
        };
    }
}
