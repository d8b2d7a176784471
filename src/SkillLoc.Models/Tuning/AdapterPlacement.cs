namespace SkillLoc.Models.Tuning;

/// <summary>Placement of the adapters in a layer (methods, C.3).</summary>
public enum AdapterPlacement
{
    /// <summary>One, after the feed-forward block: LayerNorm(adapter(LayerNorm(h + x)) + h + x), where h is the block's output, x its
    /// input, and both norms are the layer's own (methods, B.4). GPT-2's layers end without a norm: adapter(h + x) + h + x. In T5 it is
    /// <see cref="Houlsby"/>'s last: h + adapter(h), before dropout (methods, C.3).</summary>
    Pfeiffer,

    /// <summary>Two, after the attention's and the feed-forward block's output projections, each with a residual of its own, before
    /// dropout, the layer's residual and its norm (methods, C.3). A layer of T5's decoder has a third, after its attention to
    /// the encoder's text.</summary>
    Houlsby,
}
