namespace SkillLoc.Models.Tuning;

/// <summary>The linear layers of a transformer block. In T5's decoder, they include those of the cross-attention.</summary>
[Flags]
public enum LinearLayers
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>The attention's queries.</summary>
    Query = 1,

    /// <summary>The attention's keys.</summary>
    Key = 2,

    /// <summary>The attention's values.</summary>
    Value = 4,

    /// <summary>The attention's output projection.</summary>
    AttentionOutput = 8,

    /// <summary>The feed-forward block's projection to its neurons; with a gate (T5 1.1), both projections.</summary>
    Up = 16,

    /// <summary>The feed-forward block's projection from its neurons.</summary>
    Down = 32,
}
