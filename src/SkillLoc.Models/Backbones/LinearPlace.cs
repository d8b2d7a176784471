using SkillLoc.Models.Tuning;

namespace SkillLoc.Models.Backbones;

/// <summary>Identifies a linear layer of a model.</summary>
/// <param name="Layer">Zero-based layer; T5's decoder layers follow those of its encoder.</param>
/// <param name="Kind">Exactly one kind.</param>
/// <param name="IsSecond">True for the second layer of its kind in a block of T5: that of the cross-attention, or the gate of the
/// feed-forward block.</param>
internal readonly record struct LinearPlace(int Layer, LinearLayers Kind, bool IsSecond = false);
