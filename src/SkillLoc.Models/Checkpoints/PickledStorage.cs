using TorchSharp;

namespace SkillLoc.Models.Checkpoints;

/// <summary>What a pickle says about a block of values that lies beside it under <paramref name="Key"/>.</summary>
internal sealed record PickledStorage(torch.ScalarType Dtype, string Key, long Elements);
