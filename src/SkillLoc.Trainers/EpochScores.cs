using SkillLoc.Models.Classification;

namespace SkillLoc.Trainers;

/// <summary>What a model makes of the training rows after an epoch (mode connectivity reference, C.6).</summary>
/// <param name="Right">For each row whether it is predicted right.</param>
/// <param name="Confidence">For each row the probability of its true label among the labels.</param>
internal sealed record EpochScores(bool[] Right, float[] Confidence)
{
    public static EpochScores Of(TextClassifier classifier, LabeledTexts rows)
    {
        float[][] probabilities = classifier.Score(rows.Texts);
        return new(
            [.. probabilities.Select((row, i) => TextClassifier.MostProbable(row) == rows.Labels[i])],
            [.. probabilities.Select((row, i) => row[rows.Labels[i]])]);
    }
}
