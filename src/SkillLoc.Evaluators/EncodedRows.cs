using Microsoft.ML;
using SkillLoc.Models.Prompts;
using SkillLoc.Transforms;

namespace SkillLoc.Evaluators;

/// <summary>Reads labelled rows of classification tasks.</summary>
internal static class EncodedRows
{
    /// <summary>Reads a view; labels are indices of the model's labels.</summary>
    /// <exception cref="ArgumentException">The model has no labels, or a row has an unknown label.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing or of another type.</exception>
    /// <exception cref="InvalidOperationException">There are no labelled rows, or one cannot be encoded.</exception>
    public static EncodedRows<int> Read(MLContext context, IDataView data, TextScoringTransformer model, string labelColumn)
    {
        if (model.Labels.Count == 0)
        {
            throw new ArgumentException($"The model {(model.Writes ? "writes free text" : "predicts a score")} and has no labels that rows could be judged by.");
        }

        var texts = new LabelTexts(context, data, labelColumn);
        return EncodedRows<int>.Read(data, model, labelColumn, Labels());

        IEnumerable<(bool IsThere, int Label)> Labels()
        {
            string[] names = texts.AreBareKeys ? [.. Enumerable.Range(1, model.Labels.Count).Select(i => $"{i}")] : [.. model.Labels];
            string missing = texts.AreBareKeys ? "0" : "";
            foreach ((int row, string label) in texts.Read().Index())
            {
                int index = Array.IndexOf(names, label);
                yield return index >= 0 || label == missing ? (label != missing, index) : throw new ArgumentException(
                    $"Row {row} of column '{labelColumn}' is '{label}'; the model's labels are {EvaluatedColumn.Quote(names)}.");
            }
        }
    }
}

/// <summary>The labelled rows of a view, encoded once for a model that scores them many times.</summary>
/// <typeparam name="TLabel">The type of labels.</typeparam>
/// <param name="Numbers">The zero-based number of each row in the view, where unlabelled rows count as well.</param>
/// <param name="Texts">The rows' token ids.</param>
/// <param name="Labels">The rows' labels.</param>
internal sealed record EncodedRows<TLabel>(int[] Numbers, EncodedText[] Texts, TLabel[] Labels)
{
    /// <param name="data">The view.</param>
    /// <param name="model">The model with the names of the text columns.</param>
    /// <param name="labelColumn">The label's column, for error messages.</param>
    /// <param name="labels">Whether each row of the view has a label, and the label.</param>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing or of another type.</exception>
    /// <exception cref="InvalidOperationException">There are no labelled rows, or one cannot be encoded.</exception>
    public static EncodedRows<TLabel> Read(
        IDataView data, TextScoringTransformer model, string labelColumn, IEnumerable<(bool IsThere, TLabel Label)> labels)
    {
        ScoringSchema.CheckInputs(data.Schema, model.Columns);
        using IEnumerator<string> texts = Column(data, model.Columns.Text).GetEnumerator();
        using IEnumerator<string>? pairs = model.Columns.TextPair is { } pair ? Column(data, pair).GetEnumerator() : null;
        var numbers = new List<int>();
        var rows = new List<EncodedText>();
        var found = new List<TLabel>();
        foreach ((int row, (bool isThere, TLabel label)) in labels.Index())
        {
            texts.MoveNext();
            pairs?.MoveNext();
            if (!isThere)
            {
                continue;
            }

            numbers.Add(row);
            found.Add(label);
            try
            {
                rows.Add(model.Classifier.Encode(texts.Current, pairs?.Current));
            }
            catch (Exception error) when (error is ArgumentException or InvalidDataException)
            {
                throw new InvalidOperationException($"Row {row} of column '{model.Columns.Text}' cannot be encoded: {error.Message}", error);
            }
        }

        return rows.Count > 0
            ? new([.. numbers], [.. rows], [.. found])
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
