using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Prompts;

namespace SkillLoc.Transforms;

/// <summary>Getters of the added columns from a row's probabilities.</summary>
internal static class ScoredValues
{
    /// <summary>The getters in the order in which <see cref="ScoringSchema"/> adds their columns.</summary>
    public static Delegate[] Getters(ScoreRange? range, Func<float[]> probabilities) => range is null
        ? [PredictedLabel(probabilities), Probabilities(probabilities)]
        : [Score(range, probabilities)];

    private static ValueGetter<VBuffer<float>> Probabilities(Func<float[]> probabilities) => (ref VBuffer<float> value) =>
    {
        float[] current = probabilities();
        VBufferEditor<float> editor = VBufferEditor.Create(ref value, current.Length);
        current.CopyTo(editor.Values);
        value = editor.Commit();
    };

    /// <summary>Keys count from 1.</summary>
    private static ValueGetter<uint> PredictedLabel(Func<float[]> probabilities) =>
        (ref uint value) => value = (uint)TextClassifier.MostProbable(probabilities()) + 1;

    private static ValueGetter<float> Score(ScoreRange range, Func<float[]> probabilities) =>
        (ref float value) => value = range.Predict(probabilities());
}
