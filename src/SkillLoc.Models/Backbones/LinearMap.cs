using SkillLoc.Models.Tuning;
using TorchSharp;

namespace SkillLoc.Models.Backbones;

/// <summary>A linear layer within a transformer block.</summary>
/// <param name="Place">Its identity.</param>
/// <param name="Name">Its Hugging Face name.</param>
/// <param name="WeightName">The name of the parameter that holds its weight.</param>
/// <param name="Weight">The weight as <c>[out, in]</c>: the parameter or a view of it.</param>
/// <param name="BiasName">The name of the parameter that holds its bias; null for none, as in T5.</param>
/// <param name="Bias">The bias, <c>[out]</c>: the parameter or a view of it.</param>
internal readonly record struct LinearMap(
    LinearPlace Place, string Name, string WeightName, torch.Tensor Weight, string? BiasName = null, torch.Tensor? Bias = null);

/// <summary>Identifies a linear layer of a model.</summary>
/// <param name="Layer">Zero-based layer; T5's decoder layers follow those of its encoder.</param>
/// <param name="Kind">Exactly one kind.</param>
/// <param name="IsSecond">True for the second layer of its kind in a block of T5: that of the cross-attention, or the gate of the
/// feed-forward block.</param>
internal readonly record struct LinearPlace(int Layer, LinearLayers Kind, bool IsSecond = false);
