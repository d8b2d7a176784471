using SkillLoc.Models.Datasets;

namespace SkillLoc.Studies;

/// <summary>A task's rows, the same in all runs (methods, B.5).</summary>
/// <param name="Train">What models learn from.</param>
/// <param name="Dev">What states are chosen by.</param>
/// <param name="Test">What is judged by.</param>
public sealed record TaskRows(IReadOnlyList<LabeledText> Train, IReadOnlyList<LabeledText> Dev, IReadOnlyList<LabeledText> Test)
{
    /// <summary>Splits sources by the rule of <see cref="DataSplits"/> and draws rows of each split.</summary>
    /// <param name="sources">One to three sources' rows.</param>
    /// <param name="seed">The seed of the split and of the draws.</param>
    /// <param name="train">At most this many rows to learn from.</param>
    /// <param name="dev">At most this many rows to choose by.</param>
    /// <param name="test">At most this many rows to judge by.</param>
    /// <returns>The rows.</returns>
    /// <exception cref="InvalidDataException">A split would be empty.</exception>
    public static TaskRows Draw(IReadOnlyList<IReadOnlyList<LabeledText>> sources, uint seed, int train, int dev, int test)
    {
        LabeledSplits splits = DataSplits.Split(sources, seed);
        return new(Some(splits.Train, train), Some(splits.Dev, dev), Some(splits.Test, test));

        LabeledText[] Some(IReadOnlyList<LabeledText> rows, int count)
        {
            LabeledText[] shuffled = [.. rows];
            new NumpyRandom(seed).Shuffle<LabeledText>(shuffled);
            return shuffled[..Math.Min(count, shuffled.Length)];
        }
    }
}
