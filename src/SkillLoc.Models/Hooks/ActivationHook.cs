using TorchSharp;

namespace SkillLoc.Models.Hooks;

/// <summary>Reads or edits an activation while a model runs.</summary>
/// <param name="activation"><c>[batch, positions, size]</c>. It belongs to the model and is released after the call: a hook that keeps it
/// keeps a clone, moved out of its dispose scope.</param>
/// <param name="context">Where in which pass.</param>
/// <returns>What the model goes on with, of the same shape and type: a new tensor, which the model then owns, or the same, changed in
/// place, which gradients do not survive. Null changes nothing.</returns>
public delegate torch.Tensor? ActivationHook(torch.Tensor activation, HookContext context);
