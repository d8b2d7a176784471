namespace SkillLoc.Models.Hooks;

/// <summary>The points of an attention: what its linear maps gave (<c>q</c>, <c>k</c>, <c>v</c>), the heads' weighted values side by side
/// (<c>z</c>), and what is added to the residual stream.</summary>
internal sealed record AttentionHookPoints(HookPoint Q, HookPoint K, HookPoint V, HookPoint Z, HookPoint Out);

/// <summary>The points of a block; null where the architecture has no such thing.</summary>
internal sealed record BlockHookPoints(
    HookPoint ResidPre, AttentionHookPoints Attention, HookPoint ResidMid, AttentionHookPoints? CrossAttention, HookPoint? ResidMidCross,
    HookPoint Pre, HookPoint? PreLinear, HookPoint Post, HookPoint MlpOut, HookPoint ResidPost, HookPoint? NormalizedResidPost);

/// <summary>Properties of a block that determine its hook points.</summary>
[Flags]
internal enum BlockKind
{
    Plain = 0,

    /// <summary>It ends with a norm.</summary>
    PostNorm = 1,

    /// <summary>It attends to an encoder too.</summary>
    Decoder = 2,

    /// <summary>Its activations are multiplied with a linear map.</summary>
    Gated = 4,
}
