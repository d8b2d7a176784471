namespace SkillLoc.Models.Hooks;

/// <summary>
/// A place in a model's pass where hooks read or edit an activation. Names are those of TransformerLens, such as
/// <c>blocks.3.mlp.hook_post</c>.
/// </summary>
public sealed class HookPoint
{
    internal HookPoint(string name, int size, int index, bool isDecoder, bool isOfText)
    {
        Name = name;
        Size = size;
        Index = index;
        IsDecoder = isDecoder;
        IsOfText = isOfText;
    }

    /// <summary>The name, unique in its model.</summary>
    public string Name { get; }

    /// <summary>The last dimension of the activation, which is <c>[batch, positions, size]</c>.</summary>
    public int Size { get; }

    /// <summary>Whether it lies in T5's decoder. Rows and positions are then those of the answers, but in <c>cross_attn.hook_k</c> and
    /// <c>cross_attn.hook_v</c>, which are made of the text.</summary>
    public bool IsDecoder { get; }

    /// <summary>Whether its positions are the text's.</summary>
    internal bool IsOfText { get; }

    /// <summary>The place among the model's points.</summary>
    internal int Index { get; }

    /// <summary>The name and the activation's shape.</summary>
    public override string ToString() => $"{Name} [batch, positions, {Size}]";
}

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
