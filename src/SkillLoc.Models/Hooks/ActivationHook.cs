using SkillLoc.Models.Backbones;
using TorchSharp;

namespace SkillLoc.Models.Hooks;

/// <summary>Reads or edits an activation while a model runs.</summary>
/// <param name="activation"><c>[batch, positions, size]</c>. It belongs to the model and is released after the call: a hook that keeps it
/// keeps a clone, moved out of its dispose scope.</param>
/// <param name="context">Where in which pass.</param>
/// <returns>What the model goes on with, of the same shape and type: a new tensor, which the model then owns, or the same, changed in
/// place, which gradients do not survive. Null changes nothing.</returns>
public delegate torch.Tensor? ActivationHook(torch.Tensor activation, HookContext context);

/// <summary>The context that an <see cref="ActivationHook"/> receives with the activation.</summary>
public sealed class HookContext
{
    internal HookContext(HookPoint point, TokenBatch batch, torch.Tensor? positions, bool isTraining)
    {
        Point = point;
        Batch = batch;
        Positions = positions;
        IsTraining = isTraining;
    }

    /// <summary>The point.</summary>
    public HookPoint Point { get; }

    /// <summary>The texts' token ids, and which of them are padding; in T5's decoder too, where they are the encoder's texts.</summary>
    public TokenBatch Batch { get; }

    /// <summary>The positions of each row that the activation holds, Int64 <c>[batch, positions]</c>, counted with the slots of a soft
    /// prompt; null where it holds all of them. The last layer computes the scored positions only where nothing else is asked for
    /// (<see cref="LanguageModel.EncodeAt"/>), and T5's decoder one step after another while it writes.</summary>
    public torch.Tensor? Positions { get; }

    /// <summary>Whether dropout is on.</summary>
    public bool IsTraining { get; }
}
