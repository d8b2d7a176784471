using TorchSharp;

namespace SkillLoc.Models.Checkpoints;

/// <summary>The description of a block of values in a pickle, stored under <paramref name="Key"/>.</summary>
internal sealed record PickledStorage(torch.ScalarType Dtype, string Key, long Elements);
