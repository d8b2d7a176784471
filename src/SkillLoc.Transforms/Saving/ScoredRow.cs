using Microsoft.ML.Data;

namespace SkillLoc.Transforms;

/// <summary>The output of the scoring mappings of saved models.</summary>
public sealed class ScoredRow
{
    /// <summary>One probability per label; for a regression the predicted score alone.</summary>
    [ColumnName(CarrierColumns.Scores)]
    public float[] Scores { get; set; } = [];

    /// <summary>The most probable label; empty for a regression and for a multi-label task.</summary>
    [ColumnName(CarrierColumns.Label)]
    public string Label { get; set; } = "";

    /// <summary>The labels that are predicted of a multi-label task; none for others.</summary>
    [ColumnName(CarrierColumns.Labels)]
    public string[] Labels { get; set; } = [];
}
