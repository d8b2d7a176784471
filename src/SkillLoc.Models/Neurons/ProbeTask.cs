namespace SkillLoc.Models.Neurons;

/// <summary>A binary question that neurons are probed for: which rows count, and what is right for each.</summary>
public sealed record ProbeTask
{
    /// <summary>Makes a task.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="labels">For each row its label; null leaves the row out.</param>
    /// <exception cref="ArgumentException">One of the two labels has no rows.</exception>
    public ProbeTask(string name, IReadOnlyList<bool?> labels)
    {
        ArgumentNullException.ThrowIfNull(name);
        ArgumentNullException.ThrowIfNull(labels);
        if (!labels.Contains(true) || !labels.Contains(false))
        {
            throw new ArgumentException(
                $"The probe '{name}' has {labels.Count(label => label == true)} rows of its label and {labels.Count(label => label == false)} "
                + "of the others; it needs both.",
                nameof(labels));
        }

        Name = name;
        Labels = labels;
    }

    /// <summary>Every row counts, and labels are not asked for.</summary>
    private ProbeTask(int rows)
    {
        Name = "all rows";
        Labels = [.. Enumerable.Repeat<bool?>(false, rows)];
    }

    /// <summary>The task's name: the label that it tells from the others.</summary>
    public string Name { get; }

    /// <summary>For each row its label; null where the row is left out.</summary>
    public IReadOnlyList<bool?> Labels { get; }

    internal static ProbeTask AllRows(int rows) => new(rows);

    /// <summary>The task of two labels: all rows, the second label being what a neuron above its threshold predicts.</summary>
    /// <param name="labels">For each row 0 or 1.</param>
    /// <param name="name">Its name.</param>
    /// <returns>The task.</returns>
    /// <exception cref="ArgumentException">There are other labels, or one of the two has no rows.</exception>
    public static ProbeTask Binary(IReadOnlyList<int> labels, string name = "label")
    {
        ArgumentNullException.ThrowIfNull(labels);
        int other = labels.FirstOrDefault(label => label is not (0 or 1));
        return other == 0
            ? new(name, [.. labels.Select(label => (bool?)(label == 1))])
            : throw new ArgumentException(
                $"Neurons are probed for two labels, 0 and 1, and there is a label {other}: make subtasks with {nameof(OneVersusRest)}.", nameof(labels));
    }

    /// <summary>
    /// For each label the task of telling it from all others, balanced: of the more frequent side only the first rows count
    /// (methods, B.6).
    /// </summary>
    /// <param name="labels">For each row its label's index.</param>
    /// <param name="names">The labels.</param>
    /// <returns>One task a label.</returns>
    /// <exception cref="ArgumentException">A label has no rows, or has all.</exception>
    public static IReadOnlyList<ProbeTask> OneVersusRest(IReadOnlyList<int> labels, IReadOnlyList<string> names)
    {
        ArgumentNullException.ThrowIfNull(labels);
        ArgumentNullException.ThrowIfNull(names);
        return [.. names.Select((name, index) =>
        {
            int ones = labels.Count(label => label == index), most = Math.Min(ones, labels.Count - ones);
            int positives = 0, negatives = 0;
            return new ProbeTask(
                name, [.. labels.Select(label => label == index ? Keep(ref positives, true) : Keep(ref negatives, false))]);

            bool? Keep(ref int kept, bool label) => kept++ < most ? label : null;
        })];
    }
}
