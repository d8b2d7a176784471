using SkillLoc.Models.Classification;

namespace SkillLoc.Transforms;

/// <summary>The result of a model for a row, computed when first read for all rows scored together.</summary>
/// <param name="values">The model's output values; for a classifier, one probability per label.</param>
/// <param name="settings">The settings of a classifier; null for other models.</param>
/// <param name="text">The generated text; null if the model does not generate.</param>
internal sealed class RowScores(Func<float[]> values, ClassifierSettings? settings, Func<string>? text = null)
{
    /// <summary>Creates a result from computed values.</summary>
    public RowScores(float[] values, ClassifierSettings? settings)
        : this(() => values, settings)
    {
    }

    /// <summary>The output values.</summary>
    public float[] Values => values();

    /// <summary>The index of the most probable label.</summary>
    public int Predicted => TextClassifier.MostProbable(Values);

    /// <summary>The most probable label.</summary>
    public string Label => settings!.Labels[Predicted];

    /// <summary>For a multi-label task, the indices of labels whose probabilities reach their thresholds.</summary>
    public int[] PredictedSet => [.. Enumerable.Range(0, Values.Length).Where(label => Values[label] >= settings!.Thresholds![label])];

    /// <summary>The generated text.</summary>
    public string Text => text!();
}
