using System.Globalization;
using Microsoft.ML;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tasks;

namespace SkillLoc.Transforms;

/// <summary>The labelled rows of a view, encoded once for training and evaluation.</summary>
/// <param name="Task">The task.</param>
/// <param name="Texts">The rows' token ids.</param>
/// <param name="Targets">The targets of the rows.</param>
/// <param name="Numbers">Zero-based number of each row in the view, counting rows without a label.</param>
internal sealed record EncodedDataset(TextTask Task, EncodedText[] Texts, RowTarget[] Targets, int[] Numbers)
{
    /// <summary>Weights of the rows, 1 on average; empty for equal weights.</summary>
    public float[] Weights { get; init; } = [];

    /// <summary>The number of rows.</summary>
    public int Count => Texts.Length;

    /// <summary>Reads a view in one pass. Rows without a label are skipped, as by ML.NET's trainers.</summary>
    /// <param name="data">The view.</param>
    /// <param name="columns">The text columns.</param>
    /// <param name="labelColumn">The label column.</param>
    /// <param name="classifier">The model that encodes the rows and knows the labels.</param>
    /// <param name="role">Name of the rows in messages, such as <c>training data</c>.</param>
    /// <param name="weightColumn">A column of weights, Single; null for none.</param>
    /// <exception cref="ArgumentException">A column is missing or of another type, or a label is unknown to the model.</exception>
    /// <exception cref="InvalidOperationException">There are no labelled rows, or one cannot be encoded, or has a weight or score that is
    /// out of range; the message names it.</exception>
    public static EncodedDataset Read(
        IDataView data,
        ScoringColumns columns,
        string labelColumn,
        TextClassifier classifier,
        string role,
        string? weightColumn = null
    )
    {
        ScoringSchema.CheckInputs(data.Schema, columns);
        var targets = TargetColumn.Of(classifier, data, labelColumn, role);
        DataViewSchema schema = targets.Data.Schema;
        string[] read = [.. columns.Inputs, .. targets.Names, .. weightColumn is null ? Array.Empty<string>() : [weightColumn]];
        using DataViewRowCursor cursor = targets.Data.GetRowCursor(schema.Where(column => read.Contains(column.Name)));
        Func<RowTarget?> readTarget = targets.Reader(cursor);
        ValueGetter<ReadOnlyMemory<char>> readText = cursor.GetGetter<ReadOnlyMemory<char>>(schema[columns.Text]);
        ValueGetter<ReadOnlyMemory<char>>? readPair = columns.TextPair is { } pair
            ? cursor.GetGetter<ReadOnlyMemory<char>>(schema[pair])
            : null;
        ValueGetter<float>? readWeight = weightColumn is null ? null : cursor.GetGetter<float>(schema[weightColumn]);
        var texts = new List<EncodedText>();
        var found = new List<RowTarget>();
        var numbers = new List<int>();
        var weights = new List<float>();
        ReadOnlyMemory<char> first = default,
            second = default;
        float weight = 0;
        for (int number = 0; cursor.MoveNext(); number++)
        {
            if (readTarget() is not { } target)
            {
                continue;
            }

            if (classifier.Task.Problem(target) is { } problem)
            {
                throw new InvalidOperationException($"Row {number} of the {role} {problem}.");
            }

            readText(ref first);
            readPair?.Invoke(ref second);
            try
            {
                texts.Add(classifier.Encode(first.ToString(), readPair is null ? null : second.ToString()));
            }
            catch (Exception error) when (error is ArgumentException or InvalidDataException)
            {
                throw new InvalidOperationException($"Row {number} of the {role} cannot be encoded: {error.Message}", error);
            }

            found.Add(target);
            numbers.Add(number);
            if (readWeight is not null)
            {
                readWeight(ref weight);
                weights.Add(
                    weight >= 0 && float.IsFinite(weight)
                        ? weight
                        : throw new InvalidOperationException(
                            string.Create(
                                CultureInfo.InvariantCulture,
                                $"Row {number} of the {role} has the weight {weight} in '{weightColumn}'; weights are finite, and 0 "
                                    + $"or more."
                            )
                        )
                );
            }
        }

        return texts.Count > 0
            ? new(classifier.Task, [.. texts], [.. found], [.. numbers]) { Weights = [.. weights] }
            : throw new InvalidOperationException($"The {role} has no rows with a label in '{labelColumn}'.");
    }

    /// <summary>The targets of some rows; of several answers one is drawn.</summary>
    /// <param name="rows">The rows.</param>
    /// <param name="draw">Draws the number that chooses among a row's answers; null takes the first.</param>
    public RowTarget[] TargetsOf(IReadOnlyList<int> rows, Func<int, uint>? draw = null) =>
        [
            .. rows.Select(row =>
                Targets[row] switch
                {
                    { AnswerTokens.Length: > 1 } several when draw is not null => several with
                    {
                        Answer = (int)(draw(row) % (uint)several.AnswerTokens.Length),
                    },
                    var target => target,
                }
            ),
        ];

    /// <summary>Computes the task's metric of a model on all or some of the rows.</summary>
    public double Metric(TextClassifier classifier, IReadOnlyList<int>? rows = null, CancellationToken cancellation = default) =>
        rows is null
            ? Task.Metric(classifier, Texts, Targets, cancellation)
            : Task.Metric(classifier, [.. rows.Select(row => Texts[row])], [.. rows.Select(row => Targets[row])], cancellation);
}
