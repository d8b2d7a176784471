using Microsoft.ML.Data;

namespace SkillLoc.Transforms;

/// <summary>What the scoring mappings of saved models add.</summary>
public sealed class ScoredRow
{
    /// <summary>One probability per label.</summary>
    [ColumnName(CarrierColumns.Scores)]
    public float[] Scores { get; set; } = [];

    /// <summary>The most probable label.</summary>
    [ColumnName(CarrierColumns.Label)]
    public string Label { get; set; } = "";
}
