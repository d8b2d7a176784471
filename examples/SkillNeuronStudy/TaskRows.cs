using SkillLoc.Models.Datasets;

namespace SkillLoc.SkillNeuronStudy;

/// <summary>A task's rows, the same in all runs (decision 15).</summary>
/// <param name="Train">What prompts are tuned and thresholds taken on.</param>
/// <param name="Dev">What states and neurons are chosen by.</param>
/// <param name="Test">What is judged by.</param>
public sealed record TaskRows(IReadOnlyList<LabeledText> Train, IReadOnlyList<LabeledText> Dev, IReadOnlyList<LabeledText> Test)
{
    /// <summary>Reads, splits and draws rows.</summary>
    /// <exception cref="IOException">A file cannot be read.</exception>
    /// <exception cref="InvalidDataException">A row is not as its format says, or a split would be empty.</exception>
    public static TaskRows Read(StudyTask task, StudyPlan plan)
    {
        (IReadOnlyList<LabeledText> train, IReadOnlyList<LabeledText> dev, IReadOnlyList<LabeledText> test) =
            DataSplits.Split([.. task.Sources.Select(source => task.Read(source, plan.Data))], plan.SplitSeed);
        return new(Draw(train, plan.TrainRows), Draw(dev, plan.DevRows), Draw(test, plan.TestRows));

        LabeledText[] Draw(IReadOnlyList<LabeledText> rows, int count)
        {
            LabeledText[] shuffled = [.. rows];
            new NumpyRandom(plan.SplitSeed).Shuffle<LabeledText>(shuffled);
            return shuffled[..Math.Min(count, shuffled.Length)];
        }
    }
}
