using Microsoft.ML;
using SkillLoc.Models.Generation;

namespace SkillLoc.Transforms;

/// <summary>A row of a text-to-text task for ML.NET.</summary>
internal sealed class AnsweredRow
{
    public string Text { get; set; } = "";

    public string Label { get; set; } = "";

    public string[] Answers { get; set; } = [];

    public static IDataView Load(MLContext context, IReadOnlyList<AnsweredText> rows) =>
        context.Data.LoadFromEnumerable(Array.ConvertAll<AnsweredText, AnsweredRow>(
            [.. rows], row => new() { Text = row.Text, Label = row.Answers[0], Answers = [.. row.Answers] }));
}
