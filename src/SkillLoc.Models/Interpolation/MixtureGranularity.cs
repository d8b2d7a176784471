namespace SkillLoc.Models.Interpolation;

/// <summary>Which parameters of a <see cref="CheckpointMixture"/> share a mixing weight (methods, C.8). Tensors outside the
/// transformer blocks, such as embeddings, final norms and heads, have one of their own each in any case.</summary>
public enum MixtureGranularity
{
    /// <summary>Those of a transformer block.</summary>
    Block,

    /// <summary>Those of a sublayer of a block: attention, cross-attention or feed-forward, each with its layer norm.</summary>
    Layer,

    /// <summary>Each tensor has its own.</summary>
    Weight,
}
