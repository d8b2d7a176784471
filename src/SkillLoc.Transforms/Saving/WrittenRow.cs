using Microsoft.ML.Data;

namespace SkillLoc.Transforms;

/// <summary>What the writing mappings of saved models add.</summary>
public sealed class WrittenRow
{
    /// <summary>What the model wrote.</summary>
    [ColumnName(CarrierColumns.Written)]
    public string Text { get; set; } = "";
}
