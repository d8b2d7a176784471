using Microsoft.ML.Data;

namespace SkillLoc.Transforms;

/// <summary>The output of the text-generating mappings of saved models.</summary>
public sealed class WrittenRow
{
    /// <summary>The generated text.</summary>
    [ColumnName(CarrierColumns.Written)]
    public string Text { get; set; } = "";
}
