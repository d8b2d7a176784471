using Microsoft.ML.Data;

namespace SkillLoc.Demo;

/// <summary>A row of the data: what <c>train.tsv</c> and the like hold, in this order of columns.</summary>
public sealed class Message
{
    [LoadColumn(0)]
    public string Label { get; set; } = "";

    [LoadColumn(1)]
    public string Text { get; set; } = "";

    [LoadColumn(2)]
    public string TextPair { get; set; } = "";
}
