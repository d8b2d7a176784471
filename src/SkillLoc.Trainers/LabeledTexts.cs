using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Prompts;
using SkillLoc.Transforms;

namespace SkillLoc.Trainers;

/// <summary>The rows of a view as token ids and label indices, read once.</summary>
internal sealed record LabeledTexts(EncodedText[] Texts, int[] Labels)
{
    public int Count => Texts.Length;

    /// <summary>Reads a view; rows without a label are left out, as ML.NET's own trainers do.</summary>
    /// <exception cref="InvalidOperationException">There are no rows, or one cannot be encoded; the message names it.</exception>
    public static LabeledTexts Read(IDataView data, ScoringColumns columns, string labelColumn, TextClassifier classifier, string role)
    {
        DataViewSchema schema = data.Schema;
        ScoringSchema.CheckInputs(schema, columns);
        IReadOnlyList<string> labels = classifier.Settings.Labels;
        int[] map = Map(LabelValues.Of(schema, labelColumn, out int count), count, labels, labelColumn, role);

        var texts = new List<EncodedText>();
        var indices = new List<int>();
        using DataViewRowCursor cursor = data.GetRowCursor(
            schema.Where(column => !column.IsHidden && (column.Name == labelColumn || columns.Inputs.Contains(column.Name))));
        ValueGetter<uint> label = cursor.GetGetter<uint>(schema[labelColumn]);
        ValueGetter<ReadOnlyMemory<char>> text = cursor.GetGetter<ReadOnlyMemory<char>>(schema[columns.Text]);
        ValueGetter<ReadOnlyMemory<char>>? pair =
            columns.TextPair is { } name ? cursor.GetGetter<ReadOnlyMemory<char>>(schema[name]) : null;
        uint key = 0;
        ReadOnlyMemory<char> first = default, second = default;
        while (cursor.MoveNext())
        {
            label(ref key);
            if (key == 0)
            {
                continue;
            }

            text(ref first);
            pair?.Invoke(ref second);
            try
            {
                texts.Add(classifier.Encode(first.ToString(), pair is null ? null : second.ToString()));
            }
            catch (Exception error) when (error is ArgumentException or InvalidDataException)
            {
                throw new InvalidOperationException($"Row {cursor.Position} of the {role} cannot be encoded: {error.Message}", error);
            }

            indices.Add(map[key - 1]);
        }

        return texts.Count > 0
            ? new([.. texts], [.. indices])
            : throw new InvalidOperationException($"The {role} has no rows with a label in '{labelColumn}'.");
    }

    /// <summary>Scores the rows and judges them by the task's metric.</summary>
    public double Judge(TextClassifier classifier, IReadOnlyList<int>? rows = null, CancellationToken cancellation = default)
    {
        EncodedText[] texts = rows is null ? Texts : [.. rows.Select(i => Texts[i])];
        int[] labels = rows is null ? Labels : [.. rows.Select(i => Labels[i])];
        int[] predictions = [.. classifier.Score(texts, cancellation).Select(scores => TextClassifier.MostProbable(scores))];
        return ClassificationMetric.Evaluate(classifier.Settings.Metric, labels, predictions);
    }

    /// <summary>Which label each key stands for: by its value, or by its order where keys have no values.</summary>
    private static int[] Map(IReadOnlyList<string>? values, int count, IReadOnlyList<string> labels, string column, string role)
    {
        if (values is null)
        {
            return count == labels.Count ? [.. Enumerable.Range(0, count)] : throw new ArgumentException(
                $"The label column '{column}' of the {role} has {count} keys without values, and there are {labels.Count} labels.");
        }

        return [.. values.Select(value =>
        {
            int index = labels.ToList().IndexOf(value);
            return index >= 0 ? index : throw new ArgumentException(
                $"The label column '{column}' of the {role} has the label '{value}'; known are {string.Join(", ", labels.Select(label => $"'{label}'"))}.");
        })];
    }
}
