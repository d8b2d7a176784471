using TorchSharp;

namespace SkillLoc.Models.Tuning;

/// <summary>Where a tuning method's parameter comes from: drawn, copied or read. The result is the caller's.</summary>
/// <param name="name">Its name.</param>
/// <param name="shape">Its shape.</param>
/// <param name="draw">Draws it as at the start of training.</param>
internal delegate torch.Tensor ParameterSource(string name, long[] shape, Func<torch.Generator, torch.Tensor> draw);
