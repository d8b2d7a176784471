using Microsoft.ML;
using Microsoft.ML.Data;

namespace SkillLoc.Transforms;

/// <summary>Reads what is right to answer: a text, or a vector of texts.</summary>
internal static class AnswerTexts
{
    /// <summary>A reader of the row's current answers; blank texts are none.</summary>
    /// <param name="row">The row, or a cursor over rows.</param>
    /// <param name="column">Its column, a text or a vector of texts.</param>
    /// <returns>Gives the answers of the row as it is when it is called; there may be none.</returns>
    /// <exception cref="ArgumentException">The row does not give the column.</exception>
    public static Func<string[]> Reader(DataViewRow row, DataViewSchema.Column column)
    {
        ArgumentNullException.ThrowIfNull(row);
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
