using Microsoft.ML.Data;

/// <summary>What the README says a Review is.</summary>
public class Review
{
    [LoadColumn(0)]
    public string Label { get; set; } = "";

    [LoadColumn(1)]
    public string Text { get; set; } = "";
}
