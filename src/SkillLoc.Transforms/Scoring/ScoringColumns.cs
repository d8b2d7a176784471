namespace SkillLoc.Transforms;

/// <summary>The columns that a scoring transformer reads and adds.</summary>
public sealed record ScoringColumns
{
    /// <summary>The text column.</summary>
    public string Text { get; init; } = "Text";

    /// <summary>The second text column, for tasks on pairs.</summary>
    public string? TextPair { get; init; }

    /// <summary>
    /// Added: one probability per label, a float vector with the labels as slot names; for a regression the predicted score, a float.
    /// </summary>
    public string Score { get; init; } = "Score";

    /// <summary>Added: the most probable label, a key with the labels as key values; for a multi-label task a vector of keys with the
    /// predicted labels. Not added for a regression.</summary>
    public string PredictedLabel { get; init; } = "PredictedLabel";

    /// <summary>
    /// Added by text-to-text models: the generated text, which is the only added column without labels. Text is generated only if the
    /// column is read.
    /// </summary>
    public string PredictedText { get; init; } = "PredictedText";

    /// <summary>The text columns, one or two.</summary>
    public IEnumerable<string> Inputs => TextPair is null ? [Text] : [Text, TextPair];
}
