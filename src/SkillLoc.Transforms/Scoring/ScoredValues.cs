using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Classification;

namespace SkillLoc.Transforms;

/// <summary>Getters of added columns from a row's numbers.</summary>
internal static class ScoredValues
{
    public static ValueGetter<VBuffer<float>> Vector(Func<float[]> values) => (ref VBuffer<float> value) =>
    {
        float[] current = values();
        VBufferEditor<float> editor = VBufferEditor.Create(ref value, current.Length);
        current.CopyTo(editor.Values);
        value = editor.Commit();
    };

    /// <summary>Keys count from 1.</summary>
    public static ValueGetter<uint> PredictedLabel(Func<float[]> scores) => (ref uint value) => value = (uint)TextClassifier.MostProbable(scores()) + 1;
}
