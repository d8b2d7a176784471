using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Datasets;
using SkillLoc.Models.Generation;

namespace SkillLoc.Transforms;

/// <summary>A row of labelled text for ML.NET; views have the columns of their data.</summary>
internal sealed class DataRow
{
    public string Text { get; set; } = "";

    public string? TextPair { get; set; }

    public string Label { get; set; } = "";

    public float Score { get; set; }

    /// <summary>Creates a view of rows that all have a second sentence or all have none.</summary>
    /// <param name="context">The context.</param>
    /// <param name="rows">At least one row.</param>
    /// <param name="isRegression">Whether labels are numbers.</param>
    public static IDataView Load(MLContext context, IReadOnlyList<LabeledText> rows, bool isRegression)
    {
        var columns = SchemaDefinition.Create(typeof(DataRow));
        if (rows[0].TextPair is null)
        {
            columns.Remove(columns[nameof(TextPair)]);
        }

        if (isRegression)
        {
            columns.Remove(columns[nameof(Label)]);
            columns[nameof(Score)].ColumnName = nameof(Label);
        }
        else
        {
            columns.Remove(columns[nameof(Score)]);
        }

        return context.Data.LoadFromEnumerable(
            Array.ConvertAll<LabeledText, DataRow>(
                [.. rows],
                row =>
                    new()
                    {
                        Text = row.Text,
                        TextPair = row.TextPair,
                        Label = row.Label,
                        Score = isRegression ? row.ToScore() : 0,
                    }
            ),
            columns
        );
    }
}

/// <summary>A row of a text-to-text task for ML.NET.</summary>
internal sealed class AnsweredRow
{
    public string Text { get; set; } = "";

    public string Label { get; set; } = "";

    public string[] Answers { get; set; } = [];

    public static IDataView Load(MLContext context, IReadOnlyList<AnsweredText> rows) =>
        context.Data.LoadFromEnumerable(
            Array.ConvertAll<AnsweredText, AnsweredRow>(
                [.. rows],
                row =>
                    new()
                    {
                        Text = row.Text,
                        Label = row.Answers[0],
                        Answers = [.. row.Answers],
                    }
            )
        );
}
