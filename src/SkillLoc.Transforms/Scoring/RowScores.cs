using SkillLoc.Models.Classification;

namespace SkillLoc.Transforms;

/// <summary>What a model gave for a row.</summary>
/// <param name="Values">Its numbers; of a classifier one probability per label.</param>
/// <param name="Settings">The task that a classifier is for; null for other models.</param>
/// <param name="Text">What it wrote; empty where it did not.</param>
internal sealed record RowScores(float[] Values, ClassifierSettings? Settings, string Text = "")
{
    /// <summary>The index of the most probable label.</summary>
    public int Predicted => TextClassifier.MostProbable(Values);

    /// <summary>The most probable label.</summary>
    public string Label => Settings!.Labels[Predicted];
}
