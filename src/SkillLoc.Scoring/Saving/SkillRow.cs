using Microsoft.ML.Data;

namespace SkillLoc.Transforms;

/// <summary>Part of saved models: what a set of skills reads of a row.</summary>
public sealed class SkillRow
{
    /// <summary>The text.</summary>
    [ColumnName(CarrierColumns.Text)]
    public ReadOnlyMemory<char> Text { get; set; }

    /// <summary>The second text; the first again if there is none.</summary>
    [ColumnName(CarrierColumns.TextPair)]
    public ReadOnlyMemory<char> TextPair { get; set; }

    /// <summary>The skill's name.</summary>
    [ColumnName(CarrierColumns.Skill)]
    public ReadOnlyMemory<char> Skill { get; set; }

    /// <summary>The state of the set.</summary>
    [ColumnName(CarrierColumns.State)]
    public ReadOnlyMemory<char> State { get; set; }
}
