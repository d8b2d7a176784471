using System.Globalization;

namespace SkillLoc.Models.Datasets;

/// <summary>Converts data sets with several labels into binary ones with the labels <c>0</c> and <c>1</c>, for probing neurons
/// (methods, B.5, B.6).</summary>
public static class BinaryTasks
{
    /// <summary>
    /// Answers a question for rows with three or four labels and balances the answers: the first t rows of each are kept in order, where t
    /// is the count of the rarer one. (The paper's code keeps t - 1, by a slip.)
    /// </summary>
    /// <param name="rows">The rows of one split.</param>
    /// <param name="labels">Their labels in order: negative, neutral, positive, or conflict, negative, neutral, positive.</param>
    /// <param name="question">The question.</param>
    /// <returns>The rows kept, with the labels <c>0</c> and <c>1</c>.</returns>
    /// <exception cref="ArgumentException">There are not three or four labels, or one occurs twice.</exception>
    /// <exception cref="InvalidDataException">A row has another label, or one of the answers has no rows.</exception>
    public static IReadOnlyList<LabeledText> Ask(IReadOnlyList<LabeledText> rows, IReadOnlyList<string> labels, BinaryQuestion question)
    {
        ArgumentNullException.ThrowIfNull(rows);
        ArgumentNullException.ThrowIfNull(labels);
        if (labels.Count is not (3 or 4) || labels.Distinct(StringComparer.Ordinal).Count() != labels.Count)
        {
            throw new ArgumentException(
                $"Three or four different labels are expected, in order, and given are {string.Join(", ", labels)}.",
                nameof(labels)
            );
        }

        int neutral = labels.Count - 2;
        var answered = new List<(LabeledText Row, bool Answer)>();
        foreach (LabeledText row in rows)
        {
            int label = IndexOf(labels, row);
            if (question == BinaryQuestion.Neutral)
            {
                answered.Add((row, label == neutral));
            }
            else if (label == neutral - 1 || label == neutral + 1)
            {
                answered.Add((row, label > neutral));
            }
        }

        int positive = answered.Count(pair => pair.Answer);
        int kept = Math.Min(positive, answered.Count - positive);
        if (kept == 0)
        {
            throw new InvalidDataException(
                $"Of the rows {positive} answer {question} with 1 and {answered.Count - positive} with 0; both are needed."
            );
        }

        int ones = 0,
            zeros = 0;
        return
        [
            .. answered
                .Where(pair => (pair.Answer ? ++ones : ++zeros) <= kept)
                .Select(pair => pair.Row with { Label = pair.Answer ? "1" : "0" }),
        ];
    }

    /// <summary>Selects the rows of some labels, renamed to <c>0</c>, <c>1</c>, ... in the given order, as in <c>ag_news_s</c> and
    /// <c>dbpedia_s</c>.</summary>
    /// <param name="rows">The rows.</param>
    /// <param name="labels">The labels to keep, at least two.</param>
    /// <returns>The rows kept, in order; they are not balanced.</returns>
    /// <exception cref="ArgumentException">There are fewer than two labels, or one occurs twice.</exception>
    /// <exception cref="InvalidDataException">A label has no rows.</exception>
    public static IReadOnlyList<LabeledText> Subset(IReadOnlyList<LabeledText> rows, IReadOnlyList<string> labels)
    {
        ArgumentNullException.ThrowIfNull(rows);
        ArgumentNullException.ThrowIfNull(labels);
        if (labels.Count < 2 || labels.Distinct(StringComparer.Ordinal).Count() != labels.Count)
        {
            throw new ArgumentException(
                $"Two or more different labels are expected, and given are {string.Join(", ", labels)}.",
                nameof(labels)
            );
        }

        var names = labels
            .Select((label, index) => (label, index))
            .ToDictionary(pair => pair.label, pair => pair.index.ToString(CultureInfo.InvariantCulture), StringComparer.Ordinal);
        LabeledText[] kept = [.. rows.Where(row => names.ContainsKey(row.Label)).Select(row => row with { Label = names[row.Label] })];
        var found = kept.Select(row => row.Label).ToHashSet(StringComparer.Ordinal);
        return labels.FirstOrDefault(label => !found.Contains(names[label])) is { } missing
            ? throw new InvalidDataException($"There are no rows of the label '{missing}'.")
            : kept;
    }

    private static int IndexOf(IReadOnlyList<string> labels, LabeledText row)
    {
        for (int i = 0; i < labels.Count; i++)
        {
            if (string.Equals(labels[i], row.Label, StringComparison.Ordinal))
            {
                return i;
            }
        }
        throw new InvalidDataException(
            $"{(row.Line > 0 ? $"Line {row.Line}: the" : "The")} label '{row.Label}' is unknown; known are {string.Join(", ", labels)}. "
                + "Leave rows without a label out first."
        );
    }
}

/// <summary>A binary question about a task with three or four labels (methods, B.6).</summary>
public enum BinaryQuestion
{
    /// <summary><c>pn</c>: negative (0) or positive (1); rows with other labels are excluded.</summary>
    PositiveNegative,

    /// <summary><c>neu</c>: neutral (1) or not (0).</summary>
    Neutral,
}
