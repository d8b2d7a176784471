using System.Globalization;
using static TorchSharp.torch;

namespace SkillLoc.Models.Classification;

/// <summary>What a classification head took over of a trained one. Rows of the last projection go by the names of their labels, never by
/// their places; a label that a Hugging Face folder calls <c>LABEL_1</c>, as one without names does, is also the label <c>1</c>.</summary>
/// <param name="Kept">The labels whose trained rows were taken over, in the new head's order.</param>
/// <param name="Fresh">The labels that the trained head does not know, whose rows are new.</param>
/// <param name="Dropped">The labels of the trained head that the new one does not have.</param>
public sealed record HeadMatch(IReadOnlyList<string> Kept, IReadOnlyList<string> Fresh, IReadOnlyList<string> Dropped)
{
    private const string UnnamedPrefix = "LABEL_";

    private int[] _rows = [];

    /// <summary>Whether both heads have the same labels, in any order.</summary>
    public bool IsWhole => Fresh.Count == 0 && Dropped.Count == 0;

    /// <summary>What <c>transformers</c> calls a label that has no name.</summary>
    internal static string Unnamed(int id) => string.Create(CultureInfo.InvariantCulture, $"{UnnamedPrefix}{id}");

    /// <summary>Matches labels by name.</summary>
    /// <param name="labels">The new head's.</param>
    /// <param name="trained">The trained head's, in the order of its rows.</param>
    internal static HeadMatch Between(IReadOnlyList<string> labels, IReadOnlyList<string> trained)
    {
        int[] rows = [.. labels.Select(label => IndexOf(label) is >= 0 and var named ? named : IndexOf(UnnamedPrefix + label))];
        return new(
            [.. labels.Where((_, i) => rows[i] >= 0)],
            [.. labels.Where((_, i) => rows[i] < 0)],
            [.. trained.Where((_, row) => !rows.Contains(row))])
        {
            _rows = rows,
        };

        int IndexOf(string label)
        {
            for (int row = 0; row < trained.Count; row++)
            {
                if (trained[row] == label)
                {
                    return row;
                }
            }

            return -1;
        }
    }

    /// <summary>The new head's rows: the trained ones where there are such, and of a fresh tensor the others.</summary>
    /// <param name="trained">The trained head's, a row a label.</param>
    /// <param name="fresh">Makes the fresh tensor, a row for each of the new head's labels; asked only where a row is needed, and null where
    /// none is.</param>
    internal Tensor Take(Tensor trained, Func<Tensor>? fresh = null)
    {
        if (Fresh.Count == 0)
        {
            return trained.index_select(0, tensor(Array.ConvertAll(_rows, row => (long)row), device: trained.device));
        }

        Tensor rows = fresh!();
        int[] known = [.. Enumerable.Range(0, _rows.Length).Where(i => _rows[i] >= 0)];
        return known.Length == 0 ? rows : rows.index_copy_(
            0,
            tensor(Array.ConvertAll(known, i => (long)i), device: trained.device),
            trained.index_select(0, tensor(Array.ConvertAll(known, i => (long)_rows[i]), device: trained.device)));
    }
}
