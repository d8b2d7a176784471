using SkillLoc.Models.Backbones;
using TorchSharp;

namespace SkillLoc.Models.Hooks;

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
