using SkillLoc.Models.Tuning;

namespace SkillLoc.Models.Backbones;

/// <summary>Which of a model's linear maps: what an adaptation knows it by.</summary>
/// <param name="Layer">Zero-based layer; T5's decoder layers follow those of its encoder.</param>
/// <param name="Kind">Exactly one.</param>
/// <param name="IsSecond">True for the other map of its kind that a layer of T5 has: its cross-attention's, or the gate beside the
/// projection to the neurons.</param>
internal readonly record struct LinearPlace(int Layer, LinearLayers Kind, bool IsSecond = false);
