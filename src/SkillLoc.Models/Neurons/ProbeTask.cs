namespace SkillLoc.Models.Neurons;

/// <summary>A binary task that neurons are probed for: the rows that belong to it, and their labels.</summary>
public sealed record ProbeTask
{
    /// <summary>Creates a task.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="labels">The label of each row; null excludes the row.</param>
    /// <exception cref="ArgumentException">A label has no rows.</exception>
    public ProbeTask(string name, IReadOnlyList<bool?> labels)
    {
        ArgumentNullException.ThrowIfNull(name);
        ArgumentNullException.ThrowIfNull(labels);
        if (!labels.Contains(true) || !labels.Contains(false))
        {
            throw new ArgumentException(
                $"The probe '{name}' has {labels.Count(label => label == true)} rows of its label and "
                    + $"{labels.Count(label => label == false)} "
                    + "of the others; it needs both.",
                nameof(labels)
            );
        }

        Name = name;
        Labels = labels;
    }

    /// <summary>All rows, without labels.</summary>
    private ProbeTask(int rows)
    {
        Name = "all rows";
        Labels = [.. Enumerable.Repeat<bool?>(false, rows)];
    }

    /// <summary>The task's name: the label that is distinguished from the others.</summary>
    public string Name { get; }

    /// <summary>The label of each row; null for excluded rows.</summary>
    public IReadOnlyList<bool?> Labels { get; }

    internal static ProbeTask AllRows(int rows) => new(rows);

    /// <summary>Creates the task of two labels with all rows; an activation above the threshold predicts the second label.</summary>
    /// <param name="labels">0 or 1 for each row.</param>
    /// <param name="name">Its name.</param>
    /// <returns>The task.</returns>
    /// <exception cref="ArgumentException">There are other labels, or a label has no rows.</exception>
    public static ProbeTask Binary(IReadOnlyList<int> labels, string name = "label")
    {
        ArgumentNullException.ThrowIfNull(labels);
        int other = labels.FirstOrDefault(label => label is not (0 or 1));
        return other == 0
            ? new(name, [.. labels.Select(label => (bool?)(label == 1))])
            : throw new ArgumentException(
                $"Neurons are probed for two labels, 0 and 1, and there is a label {other}: make subtasks with {nameof(OneVersusRest)}.",
                nameof(labels)
            );
    }

    /// <summary>
    /// Creates one balanced task per label against all others: of the more frequent side, only the first rows are included (methods, B.6).
    /// </summary>
    /// <param name="labels">The label index of each row.</param>
    /// <param name="names">The labels.</param>
    /// <returns>One task per label.</returns>
    /// <exception cref="ArgumentException">A label has no rows, or all rows.</exception>
    public static IReadOnlyList<ProbeTask> OneVersusRest(IReadOnlyList<int> labels, IReadOnlyList<string> names)
    {
        ArgumentNullException.ThrowIfNull(labels);
        ArgumentNullException.ThrowIfNull(names);
        return
        [
            .. names.Select(
                (name, index) =>
                {
                    int ones = labels.Count(label => label == index),
                        most = Math.Min(ones, labels.Count - ones);
                    int positives = 0,
                        negatives = 0;
                    return new ProbeTask(
                        name,
                        [.. labels.Select(label => label == index ? Keep(ref positives, true) : Keep(ref negatives, false))]
                    );

                    bool? Keep(ref int kept, bool label) => kept++ < most ? label : null;
                }
            ),
        ];
    }
}
