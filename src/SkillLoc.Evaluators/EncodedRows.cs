using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Prompts;
using SkillLoc.Transforms;

namespace SkillLoc.Evaluators;

/// <summary>The labelled rows of a view, encoded once for a model that scores them many times.</summary>
/// <param name="Numbers">For each row its zero-based number in the view, which counts rows without a label too.</param>
/// <param name="Texts">The rows' token ids.</param>
/// <param name="Labels">The rows' labels, as the model counts them.</param>
internal sealed record EncodedRows(int[] Numbers, EncodedText[] Texts, int[] Labels)
{
    /// <exception cref="ArgumentException">A label is none of the model's.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing or of another type.</exception>
    /// <exception cref="InvalidOperationException">There are no labelled rows, or one cannot be encoded.</exception>
    public static EncodedRows Read(MLContext context, IDataView data, TextScoringTransformer model, string labelColumn)
    {
        ScoringSchema.CheckInputs(data.Schema, model.Columns);
        if (model.Labels.Count == 0)
        {
            throw new ArgumentException($"The model {(model.Writes ? "writes free text" : "predicts a score")} and has no labels that rows could be judged by.");
        }

        bool bare = data.Schema.GetColumnOrNull(labelColumn) is { Type: KeyDataViewType } key
            && key.Annotations.Schema.GetColumnOrNull("KeyValues") is null;
        string[] names = bare ? [.. Enumerable.Range(1, model.Labels.Count).Select(i => $"{i}")] : [.. model.Labels];
        string[] texts = [.. Column(data, model.Columns.Text)];
        string?[] pairs = model.Columns.TextPair is { } pair ? [.. Column(data, pair)] : new string?[texts.Length];
        var numbers = new List<int>();
        var rows = new List<EncodedText>();
        var labels = new List<int>();
        foreach ((string label, int row) in new LabelTexts(context, data, labelColumn).Read().Select((label, row) => (label, row)))
        {
            if (label == (bare ? "0" : ""))
            {
                continue;
            }

            int index = Array.IndexOf(names, label);
            labels.Add(index >= 0 ? index : throw new ArgumentException(
                $"Row {row} of column '{labelColumn}' is '{label}'; the model's labels are {EvaluatedColumn.Quote(names)}."));
            numbers.Add(row);
            try
            {
                rows.Add(model.Classifier.Encode(texts[row], pairs[row]));
            }
            catch (Exception error) when (error is ArgumentException or InvalidDataException)
            {
                throw new InvalidOperationException($"Row {row} of column '{model.Columns.Text}' cannot be encoded: {error.Message}", error);
            }
        }

        return rows.Count > 0
            ? new([.. numbers], [.. rows], [.. labels])
            : throw new InvalidOperationException($"There are no rows with a label in column '{labelColumn}'.");
    }

    private static IEnumerable<string> Column(IDataView data, string name)
    {
        DataViewSchema.Column column = data.Schema[name];
        using DataViewRowCursor cursor = data.GetRowCursor([column]);
        ValueGetter<ReadOnlyMemory<char>> read = cursor.GetGetter<ReadOnlyMemory<char>>(column);
        for (ReadOnlyMemory<char> text = default; cursor.MoveNext();)
        {
            read(ref text);
            yield return text.ToString();
        }
    }
}
