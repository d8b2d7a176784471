namespace SkillLoc.Models.Prompts;

/// <summary>The metric of a task.</summary>
public enum PromptMetric
{
    /// <summary>The share of rows predicted right.</summary>
    Accuracy,

    /// <summary>Accuracy and F1 of label 1 (MRPC, QQP).</summary>
    AccuracyAndF1,

    /// <summary>Matthews correlation (CoLA).</summary>
    MatthewsCorrelation,

    /// <summary>Pearson and Spearman correlation (STS-B).</summary>
    Correlation,
}
