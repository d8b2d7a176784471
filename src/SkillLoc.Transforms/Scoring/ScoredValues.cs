using Microsoft.ML;
using Microsoft.ML.Data;

namespace SkillLoc.Transforms;

/// <summary>Getters of the added columns from a row's scores.</summary>
internal static class ScoredValues
{
    public static ValueGetter<VBuffer<float>> Score(Func<RowScores> scores) => (ref VBuffer<float> value) =>
    {
        float[] current = scores().Probabilities;
        VBufferEditor<float> editor = VBufferEditor.Create(ref value, current.Length);
        current.CopyTo(editor.Values);
        value = editor.Commit();
    };

    /// <summary>Keys count from 1.</summary>
    public static ValueGetter<uint> PredictedLabel(Func<RowScores> scores) => (ref uint value) => value = (uint)scores().Predicted + 1;

    /// <summary>The label itself, where rows have labels of different tasks.</summary>
    public static ValueGetter<ReadOnlyMemory<char>> PredictedText(Func<RowScores> scores) =>
        (ref ReadOnlyMemory<char> value) => value = scores().Label.AsMemory();
}
