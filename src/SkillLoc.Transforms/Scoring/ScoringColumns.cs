namespace SkillLoc.Transforms;

/// <summary>The columns that a scoring transformer reads and adds.</summary>
public sealed record ScoringColumns
{
    /// <summary>The text column that is scored.</summary>
    public string Text { get; init; } = "Text";

    /// <summary>The second text column, for tasks on pairs.</summary>
    public string? TextPair { get; init; }

    /// <summary>
    /// Added: one probability per label, a float vector with the labels as slot names; for a regression the predicted score, a float.
    /// </summary>
    public string Score { get; init; } = "Score";

    /// <summary>Added: the most probable label, a key with the labels as key values, or of a multi-label task a vector of keys, of the labels
    /// that are predicted; not added for a regression.</summary>
    public string PredictedLabel { get; init; } = "PredictedLabel";

    /// <summary>
    /// Added by a model that writes its answers: what it wrote, a text. Without labels it is all that is added. It is written only where
    /// somebody reads the column.
    /// </summary>
    public string PredictedText { get; init; } = "PredictedText";

    /// <summary>The text columns, one or two.</summary>
    public IEnumerable<string> Inputs => TextPair is null ? [Text] : [Text, TextPair];
}
