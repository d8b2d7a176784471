using SkillLoc.Models.Classification;
using SkillLoc.Models.Generation;

namespace SkillLoc.Trainers;

/// <summary>What a model makes of the training rows after an epoch (methods, C.6).</summary>
/// <param name="Right">For each row whether it is predicted right.</param>
/// <param name="Confidence">For each row the probability of its true label among the labels.</param>
internal sealed record EpochScores(bool[] Right, float[] Confidence)
{
    public static EpochScores Of(TextClassifier classifier, LabeledTexts rows)
    {
        bool writes = rows.Answers.Length > 0;
        float[][] probabilities = writes ? classifier.ScoreAnswerTokens(rows.Texts) : classifier.Score(rows.Texts);
        bool[] right = writes
            ? Array.ConvertAll(TextMetrics.RowScores(TextMetric.Accuracy, classifier.Generate(rows.Texts), rows.Answers)!, score => score == 1)
            : [.. probabilities.Select((row, i) => TextClassifier.MostProbable(row) == rows.Labels[i])];
        return new(right, [.. probabilities.Select((row, i) => row[rows.Labels[i]])]);
    }
}
