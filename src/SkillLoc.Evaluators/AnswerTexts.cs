using Microsoft.ML;
using Microsoft.ML.Data;

namespace SkillLoc.Evaluators;

/// <summary>Reads what is right to answer: a text, or a vector of texts.</summary>
internal static class AnswerTexts
{
    /// <summary>Finds a column of answers.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is missing or of another type.</exception>
    public static DataViewSchema.Column Find(DataViewSchema schema, string name)
    {
        DataViewSchema.Column column = EvaluatedColumn.Find(schema, name);
        return column.Type is TextDataViewType or VectorDataViewType { ItemType: TextDataViewType }
            ? column
            : throw EvaluatedColumn.WrongType(column, "a text or a vector of texts");
    }

    /// <summary>A reader of the row's current answers; blank texts are none.</summary>
    public static Func<string[]> Reader(DataViewRow row, DataViewSchema.Column column)
    {
        if (column.Type is TextDataViewType)
        {
            ValueGetter<ReadOnlyMemory<char>> readOne = row.GetGetter<ReadOnlyMemory<char>>(column);
            ReadOnlyMemory<char> one = default;
            return () =>
            {
                readOne(ref one);
                return Given([one]);
            };
        }

        ValueGetter<VBuffer<ReadOnlyMemory<char>>> readAll = row.GetGetter<VBuffer<ReadOnlyMemory<char>>>(column);
        VBuffer<ReadOnlyMemory<char>> all = default;
        return () =>
        {
            readAll(ref all);
            return Given(all.DenseValues());
        };
    }

    private static string[] Given(IEnumerable<ReadOnlyMemory<char>> texts) =>
        [.. texts.Select(text => text.ToString()).Where(text => !string.IsNullOrWhiteSpace(text))];
}
