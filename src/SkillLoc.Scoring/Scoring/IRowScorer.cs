using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tasks;

namespace SkillLoc.Transforms;

/// <summary>Scores rows for lazy views, their cursors and single rows.</summary>
internal interface IRowScorer
{
    /// <summary>The owner.</summary>
    Ownership Ownership { get; }

    /// <summary>The input columns, in the order of <see cref="RowTexts.Values"/>.</summary>
    IReadOnlyList<string> Inputs { get; }

    /// <summary>Signals cancellation of the context; null without a context.</summary>
    ComponentHost? Host { get; }

    DataViewSchema GetOutputSchema(DataViewSchema inputSchema);

    /// <summary>Scores rows together, immediately or when their scores are first read.</summary>
    /// <param name="rows">The rows.</param>
    /// <param name="cancellation">Stops between batches.</param>
    IReadOnlyList<RowScores> Score(IReadOnlyList<RowTexts> rows, CancellationToken cancellation = default);

    /// <summary>Returns the getters of the added columns, in order.</summary>
    Delegate[] Getters(Func<RowScores> current);
}

/// <summary>The result of a model for a row, computed when first read for all rows scored together.</summary>
/// <param name="values">The model's output values; for a classifier, one probability per label.</param>
/// <param name="settings">The settings of a classifier; null for other models.</param>
/// <param name="text">The generated text; null if the model does not generate.</param>
internal class RowScores(Func<float[]> values, ScoringSettings? settings, Func<string>? text = null)
{
    /// <summary>Creates a result from computed values.</summary>
    public RowScores(float[] values, ScoringSettings? settings)
        : this(() => values, settings) { }

    /// <summary>The output values.</summary>
    public float[] Values => values();

    /// <summary>The index of the most probable label.</summary>
    public int Predicted => LabelScores.MostProbable(Values);

    /// <summary>The most probable label.</summary>
    public string Label => settings!.Labels[Predicted];

    /// <summary>For a multi-label task, the indices of labels whose probabilities reach their thresholds.</summary>
    public int[] PredictedSet => [.. Enumerable.Range(0, Values.Length).Where(label => Values[label] >= settings!.Thresholds![label])];

    /// <summary>The generated text.</summary>
    public string Text => text!();
}

/// <summary>The input of a row: the text, an optional second text, and other values that the scorer reads.</summary>
/// <param name="Values">The values of the scorer's input columns.</param>
/// <param name="Position">The row's number, for error messages; null if unknown.</param>
internal sealed record RowTexts(string[] Values, long? Position)
{
    /// <summary>The row's name in error messages.</summary>
    public string Name => Position is { } position ? $"Row {position}" : "A row";

    /// <summary>Encodes the row; errors name it.</summary>
    /// <param name="encode">Encodes one text or a pair.</param>
    /// <param name="columns">The columns, of which errors name the first.</param>
    /// <param name="isPair">Whether the row has two texts.</param>
    public EncodedText Encode(Func<string, string?, EncodedText> encode, ScoringColumns columns, bool isPair)
    {
        try
        {
            return encode(Values[0], isPair ? Values[1] : null);
        }
        catch (Exception error) when (error is ArgumentException or InvalidDataException)
        {
            throw new InvalidOperationException($"{Name} of column '{columns.Text}' cannot be encoded: {error.Message}", error);
        }
    }
}

/// <summary>Getters of the added columns from the result of a row.</summary>
internal static class ScoredValues
{
    /// <summary>All that a task predicts, in the order in which <see cref="ScoringSchema"/> adds the columns.</summary>
    public static Delegate[] Getters(TaskOutputs outputs, Func<RowScores> scores)
    {
        var getters = new List<Delegate>();
        if (outputs.Labels.Count > 0)
        {
            getters.Add(outputs.IsMultiLabel ? PredictedLabels(scores) : PredictedLabel(scores));
            getters.Add(Vector(scores));
        }

        if (outputs.Range is { } range)
        {
            getters.Add(Score(range, scores));
        }

        if (outputs.IsText)
        {
            getters.Add(WrittenText(scores));
        }

        return [.. getters];
    }

    /// <summary>The output values.</summary>
    public static ValueGetter<VBuffer<float>> Vector(Func<RowScores> scores) =>
        (ref VBuffer<float> value) =>
        {
            float[] current = scores().Values;
            var editor = VBufferEditor.Create(ref value, current.Length);
            current.CopyTo(editor.Values);
            value = editor.Commit();
        };

    /// <summary>The most probable label as a key; keys count from 1.</summary>
    public static ValueGetter<uint> PredictedLabel(Func<RowScores> scores) => (ref uint value) => value = (uint)scores().Predicted + 1;

    /// <summary>The predicted labels of a multi-label task as keys, which count from 1.</summary>
    public static ValueGetter<VBuffer<uint>> PredictedLabels(Func<RowScores> scores) =>
        (ref VBuffer<uint> value) =>
        {
            int[] predicted = scores().PredictedSet;
            var editor = VBufferEditor.Create(ref value, predicted.Length);
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
