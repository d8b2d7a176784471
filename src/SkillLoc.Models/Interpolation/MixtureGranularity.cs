namespace SkillLoc.Models.Interpolation;

/// <summary>The groups of parameters in a <see cref="CheckpointMixture"/> that share a mixing weight (methods, C.8). Tensors outside the
/// transformer blocks, such as embeddings, final norms and heads, always have their own.</summary>
public enum MixtureGranularity
{
    /// <summary>One weight per transformer block.</summary>
    Block,

    /// <summary>One weight per sublayer: attention, cross-attention or feed-forward, each with its layer norm.</summary>
    Layer,

    /// <summary>One weight per tensor.</summary>
    Weight,
}
