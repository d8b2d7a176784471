using Microsoft.ML;
using Microsoft.ML.Data;

namespace SkillLoc.Transforms;

/// <summary>Getters of the added columns from a row's probabilities.</summary>
public static class ScoredValues
{
    public static ValueGetter<VBuffer<float>> Score(Func<float[]> scores) => (ref VBuffer<float> value) =>
    {
        float[] current = scores();
        VBufferEditor<float> editor = VBufferEditor.Create(ref value, current.Length);
        current.CopyTo(editor.Values);
        value = editor.Commit();
    };

    /// <summary>Keys count from 1.</summary>
    public static ValueGetter<uint> PredictedLabel(Func<float[]> scores) => (ref uint value) => value = (uint)Best(scores()) + 1;

    /// <summary>The index of the highest score; the lower one of equals.</summary>
    public static int Best(ReadOnlySpan<float> scores)
    {
        int best = 0;
        for (int i = 1; i < scores.Length; i++)
        {
            best = scores[i] > scores[best] ? i : best;
        }

        return best;
    }
}
