using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Generation;
using SkillLoc.Transforms;

namespace SkillLoc.Evaluators;

/// <summary>The quality of generated texts (methods, C.5).</summary>
public sealed record GeneratedTextMetrics
{
    /// <summary>The metric.</summary>
    public required TextMetric Metric { get; init; }

    /// <summary>The value of <see cref="TextMetrics.Evaluate"/>; NaN for an undefined correlation.</summary>
    public required double Value { get; init; }

    /// <summary>Number of evaluated rows.</summary>
    public required long Count { get; init; }

    /// <summary>
    /// The score of each row of the data in order, NaN for rows without answers; null for metrics without
    /// <see cref="TextMetrics.RowScores"/>.
    /// </summary>
    public required IReadOnlyList<double>? RowScores { get; init; }

    /// <summary>Returns the metric as one row, with the columns Metric (its name in the paper's code, such as <c>ACC</c>), Value and
    /// Count.</summary>
    /// <param name="context">The context.</param>
    /// <returns>One row.</returns>
    public IDataView ToDataView(MLContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return context.Data.LoadFromEnumerable([new Row(TextMetrics.NameOf(Metric), Value, Count)]);
    }

    /// <exception cref="ArgumentOutOfRangeException">A column is missing or of another type.</exception>
    /// <exception cref="InvalidOperationException">There are no rows with answers, or an answer is not a number as a correlation
    /// needs.</exception>
    internal static GeneratedTextMetrics Of(IDataView data, TextMetric metric, string answersColumn, string predictedTextColumn)
    {
        var predictions = new List<string>();
        var answers = new List<string[]>();
        var isJudged = new List<bool>();
        foreach ((string[] right, string predicted) in Read(data, answersColumn, predictedTextColumn))
        {
            isJudged.Add(right.Length > 0);
            if (right.Length > 0)
            {
                answers.Add(right);
                predictions.Add(predicted);
            }
        }

        if (answers.Count == 0)
        {
            throw new InvalidOperationException($"There are no rows with an answer in column '{answersColumn}'.");
        }

        double value;
        try
        {
            value = TextMetrics.Evaluate(metric, predictions, answers);
        }
        catch (ArgumentException error)
        {
            throw new InvalidOperationException(
                $"Of the rows with answers in column '{answersColumn}', counted from 0: {error.Message}",
                error
            );
        }

        return new()
        {
            Metric = metric,
            Value = value,
            Count = answers.Count,
            RowScores = TextMetrics.RowScores(metric, predictions, answers) is { } scores ? Spread(scores, isJudged) : null,
        };
    }

    private static double[] Spread(double[] scores, List<bool> isJudged)
    {
        int next = 0;
        return [.. isJudged.Select(judged => judged ? scores[next++] : double.NaN)];
    }

    /// <summary>The answers and the predicted text of each row.</summary>
    private static IEnumerable<(string[] Answers, string Predicted)> Read(IDataView data, string answersColumn, string predictedTextColumn)
    {
        DataViewSchema.Column answers = EvaluatedColumn.FindAnswers(data.Schema, answersColumn);
        DataViewSchema.Column predicted = EvaluatedColumn.Find(data.Schema, predictedTextColumn);
        if (predicted.Type is not TextDataViewType)
        {
            throw EvaluatedColumn.WrongType(predicted, "a text");
        }

        using DataViewRowCursor cursor = data.GetRowCursor([answers, predicted]);
        Func<string[]> readAnswers = AnswerTexts.Reader(cursor, answers);
        ValueGetter<ReadOnlyMemory<char>> readPredicted = cursor.GetGetter<ReadOnlyMemory<char>>(predicted);
        for (ReadOnlyMemory<char> text = default; cursor.MoveNext(); )
        {
            string[] right = readAnswers();
            readPredicted(ref text);
            yield return (right, text.ToString());
        }
    }

    private sealed record Row(string Metric, double Value, long Count);
}
