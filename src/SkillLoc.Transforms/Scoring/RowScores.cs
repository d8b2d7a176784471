using SkillLoc.Models.Classification;

namespace SkillLoc.Transforms;

/// <summary>A row's scores.</summary>
/// <param name="Probabilities">One per label.</param>
/// <param name="Settings">The task whose labels they are of.</param>
internal sealed record RowScores(float[] Probabilities, ClassifierSettings Settings)
{
    /// <summary>The index of the most probable label.</summary>
    public int Predicted => TextClassifier.MostProbable(Probabilities);

    /// <summary>The most probable label.</summary>
    public string Label => Settings.Labels[Predicted];
}
