using System.Globalization;
using static TorchSharp.torch;

namespace SkillLoc.Models.Classification;

/// <summary>The labels that a classification head shares with a trained one. Rows of the last projection are matched by label name, never
/// by position; <c>LABEL_1</c>, as a Hugging Face folder without names has it, also matches the label <c>1</c>.</summary>
/// <param name="Kept">The labels whose trained rows were copied, in the new head's order.</param>
/// <param name="Fresh">The labels that the trained head lacks, whose rows are initialised.</param>
/// <param name="Dropped">The labels of the trained head that the new head lacks.</param>
public sealed record HeadMatch(IReadOnlyList<string> Kept, IReadOnlyList<string> Fresh, IReadOnlyList<string> Dropped)
{
    private const string UnnamedPrefix = "LABEL_";

    private int[] _rows = [];

    /// <summary>Whether both heads have the same labels, in any order.</summary>
    public bool IsWhole => Fresh.Count == 0 && Dropped.Count == 0;

    /// <summary>The name that <c>transformers</c> gives a label without one.</summary>
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

    /// <summary>Assembles the new head's rows from trained rows where they exist, else from an initialised tensor.</summary>
    /// <param name="trained">The trained head's tensor, one row per label.</param>
    /// <param name="fresh">Creates the initialised tensor, one row per label of the new head; called only if a row is missing, and null if
    /// none can be.</param>
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
