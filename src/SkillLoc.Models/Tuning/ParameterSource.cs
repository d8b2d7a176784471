using TorchSharp;

namespace SkillLoc.Models.Tuning;

/// <summary>Provides a parameter of a tuning method: drawn, copied or read. The caller owns the result.</summary>
/// <param name="name">Its name.</param>
/// <param name="shape">Its shape.</param>
/// <param name="draw">Draws its initial value.</param>
internal delegate torch.Tensor ParameterSource(string name, long[] shape, Func<torch.Generator, torch.Tensor> draw);
