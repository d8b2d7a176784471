using SkillLoc.Models.Classification;

namespace SkillLoc.Transforms;

/// <summary>What a model gives for a row, computed when it is first read, for all rows that are scored together.</summary>
/// <param name="values">Its numbers; of a classifier one probability per label.</param>
/// <param name="settings">The task that a classifier is for; null for other models.</param>
/// <param name="text">What it writes; null where it does not.</param>
internal sealed class RowScores(Func<float[]> values, ClassifierSettings? settings, Func<string>? text = null)
{
    /// <summary>Numbers that were computed before.</summary>
    public RowScores(float[] values, ClassifierSettings? settings)
        : this(() => values, settings)
    {
    }

    /// <summary>The model's numbers.</summary>
    public float[] Values => values();

    /// <summary>The index of the most probable label.</summary>
    public int Predicted => TextClassifier.MostProbable(Values);

    /// <summary>The most probable label.</summary>
    public string Label => settings!.Labels[Predicted];

    /// <summary>Of a multi-label task the indices of the labels whose probabilities reach their thresholds.</summary>
    public int[] PredictedSet => [.. Enumerable.Range(0, Values.Length).Where(label => Values[label] >= settings!.Thresholds![label])];

    /// <summary>What the model wrote.</summary>
    public string Text => text!();
}
