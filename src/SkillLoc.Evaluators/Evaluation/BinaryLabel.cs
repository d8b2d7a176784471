using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Transforms;

namespace SkillLoc.Evaluators;

/// <summary>Reads binary labels like ML.NET's binary evaluator.</summary>
internal static class BinaryLabel
{
    /// <summary>
    /// Returns a reader of the row's label: 1 for true, 0 for false, -1 for missing. Numbers above 0 are true; of two keys, the one with a
    /// value that means true is true, else the second.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The column has another type.</exception>
    public static Func<int> Reader(DataViewRow row, DataViewSchema.Column column)
    {
        switch (column.Type)
        {
            case BooleanDataViewType:
                ValueGetter<bool> readBoolean = row.GetGetter<bool>(column);
                bool boolean = false;
                return () =>
                {
                    readBoolean(ref boolean);
                    return boolean ? 1 : 0;
                };
            case NumberDataViewType number when number == NumberDataViewType.Single:
                ValueGetter<float> readNumber = row.GetGetter<float>(column);
                float value = 0;
                return () =>
                {
                    readNumber(ref value);
                    return float.IsNaN(value) ? -1 : value > 0 ? 1 : 0;
                };
            case KeyDataViewType { Count: 2 } key when key.RawType == typeof(uint):
                ValueGetter<uint> readKey = row.GetGetter<uint>(column);
                bool isFirst = Values(column) is [true, false];
                uint label = 0;
                return () =>
                {
                    readKey(ref label);
                    return label == 0 ? -1 : label == (isFirst ? 1 : 2) ? 1 : 0;
                };
            default:
                throw EvaluatedColumn.WrongType(column, "a boolean, a Single, or a key with two values, as a binary trainer's label is");
        }
    }

    /// <summary>The meaning of two keys that stand for true and false.</summary>
    private static bool[] Values(DataViewSchema.Column column)
    {
        switch ((column.Annotations.Schema.GetColumnOrNull("KeyValues")?.Type as VectorDataViewType)?.ItemType)
        {
            case BooleanDataViewType:
                VBuffer<bool> values = default;
                column.GetKeyValues(ref values);
                return [.. values.DenseValues()];
            case TextDataViewType:
                VBuffer<ReadOnlyMemory<char>> texts = default;
                column.GetKeyValues(ref texts);
                return [.. texts.DenseValues().Where(text => bool.TryParse(text.Span, out _)).Select(text => bool.Parse(text.Span))];
            default:
                return [];
        }
    }
}
