using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tasks;

namespace SkillLoc.Transforms;

/// <summary>Getters of the added columns from the result of a row.</summary>
internal static class ScoredValues
{
    /// <summary>All that a task predicts, in the order in which <see cref="ScoringSchema"/> adds the columns.</summary>
    public static Delegate[] Getters(TextTask task, Func<RowScores> scores)
    {
        var getters = new List<Delegate>();
        if (task.Outputs.Labels.Count > 0)
        {
            getters.Add(task.Outputs.IsMultiLabel ? PredictedLabels(scores) : PredictedLabel(scores));
            getters.Add(Vector(scores));
        }

        if (task is RegressionTask { Range: var range })
        {
            getters.Add(Score(range, scores));
        }

        if (task.Outputs.IsText)
        {
            getters.Add(WrittenText(scores));
        }

        return [.. getters];
    }

    /// <summary>The output values.</summary>
    public static ValueGetter<VBuffer<float>> Vector(Func<RowScores> scores) => (ref VBuffer<float> value) =>
    {
        float[] current = scores().Values;
        VBufferEditor<float> editor = VBufferEditor.Create(ref value, current.Length);
        current.CopyTo(editor.Values);
        value = editor.Commit();
    };

    /// <summary>The most probable label as a key; keys count from 1.</summary>
    public static ValueGetter<uint> PredictedLabel(Func<RowScores> scores) => (ref uint value) => value = (uint)scores().Predicted + 1;

    /// <summary>The predicted labels of a multi-label task as keys, which count from 1.</summary>
    public static ValueGetter<VBuffer<uint>> PredictedLabels(Func<RowScores> scores) => (ref VBuffer<uint> value) =>
    {
        int[] predicted = scores().PredictedSet;
        VBufferEditor<uint> editor = VBufferEditor.Create(ref value, predicted.Length);
        for (int i = 0; i < predicted.Length; i++)
        {
            editor.Values[i] = (uint)predicted[i] + 1;
        }

        value = editor.Commit();
    };

    /// <summary>The generated text.</summary>
    public static ValueGetter<ReadOnlyMemory<char>> WrittenText(Func<RowScores> scores) =>
        (ref ReadOnlyMemory<char> value) => value = scores().Text.AsMemory();

    /// <summary>The predicted label as text, for rows of different tasks.</summary>
    public static ValueGetter<ReadOnlyMemory<char>> LabelText(Func<RowScores> scores) =>
        (ref ReadOnlyMemory<char> value) => value = scores().Label.AsMemory();

    /// <summary>The predicted score of a regression.</summary>
    public static ValueGetter<float> Score(ScoreRange range, Func<RowScores> scores) =>
        (ref float value) => value = range.Predict(scores().Values);
}
