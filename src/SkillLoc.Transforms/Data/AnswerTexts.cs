using Microsoft.ML;
using Microsoft.ML.Data;

namespace SkillLoc.Transforms;

/// <summary>Reads correct answers: a text, or a vector of texts.</summary>
internal static class AnswerTexts
{
    /// <summary>Returns a reader of the current row's answers; blank texts are ignored.</summary>
    /// <param name="row">The row, or a cursor over rows.</param>
    /// <param name="column">The column, a text or a vector of texts.</param>
    /// <returns>A function that returns the answers of the current row, possibly none.</returns>
    /// <exception cref="ArgumentException">The column is not active in the row.</exception>
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
