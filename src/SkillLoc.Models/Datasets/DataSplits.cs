namespace SkillLoc.Models.Datasets;

/// <summary>
/// Splits a data set into training, development and test rows (methods, B.5). All programs with the same seed use the same split, so that
/// no training row is a development or test row of another program.
/// </summary>
public static class DataSplits
{
    /// <summary>The default seed of all programs.</summary>
    public const uint UsualSeed = 0;

    /// <summary>
    /// Splits a data set. Three sources are used as training, development and test rows. Of two, the second is the test set, and the first
    /// is split at random, 80 % for training. One source is split at random, 80 % for training and 10 % for development. Sizes are rounded
    /// down; the last part gets the rest.
    /// </summary>
    /// <param name="sources">One to three sources, such as the rows of a file; they are not changed.</param>
    /// <param name="seed">The seed of NumPy's generator.</param>
    /// <returns>The three splits.</returns>
    /// <exception cref="ArgumentException">There are no sources, or more than three.</exception>
    /// <exception cref="InvalidDataException">A split would be empty.</exception>
    public static (IReadOnlyList<LabeledText> Train, IReadOnlyList<LabeledText> Dev, IReadOnlyList<LabeledText> Test) Split(
        IReadOnlyList<IReadOnlyList<LabeledText>> sources, uint seed = UsualSeed)
    {
        ArgumentNullException.ThrowIfNull(sources);
        var splits = sources.Count switch
        {
            1 => Parts(sources[0], (int)(sources[0].Count * 8L / 10), (int)(sources[0].Count / 10L)),
            2 when Parts(sources[0], (int)(sources[0].Count * 8L / 10), null) is var parts => (parts.Item1, parts.Item2, sources[1]),
            3 => (sources[0], sources[1], sources[2]),
            _ => throw new ArgumentException($"A data set has one to three sources, not {sources.Count}.", nameof(sources)),
        };
        return splits.Item1.Count > 0 && splits.Item2.Count > 0 && splits.Item3.Count > 0
            ? splits
            : throw new InvalidDataException($"Sources of {string.Join(", ", sources.Select(source => source.Count))} rows are split into {splits.Item1.Count} to train, "
                + $"{splits.Item2.Count} for development and {splits.Item3.Count} for the test; each needs one.");

        (IReadOnlyList<LabeledText>, IReadOnlyList<LabeledText>, IReadOnlyList<LabeledText>) Parts(IReadOnlyList<LabeledText> rows, int train, int? dev)
        {
            var shuffled = rows.ToArray();
            new NumpyRandom(seed).Shuffle<LabeledText>(shuffled);
            var end = train + (dev ?? rows.Count - train);
            return (shuffled[..train], shuffled[train..end], shuffled[end..]);
        }
    }
}

/// <summary>A part of a data set.</summary>
public enum DataSplit
{
    /// <summary>Training rows.</summary>
    Train,

    /// <summary>Development rows, by which the best state is selected.</summary>
    Dev,

    /// <summary>Test rows.</summary>
    Test,
}
