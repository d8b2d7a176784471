using System.Collections;
using SkillLoc.Models.Checkpoints;

namespace SkillLoc.Models.Hooks;

/// <summary>A model's points, in the order in which a pass comes by them.</summary>
internal sealed class HookPoints : IReadOnlyList<HookPoint>
{
    private readonly List<HookPoint> _points = [];
    private readonly List<BlockHookPoints> _blocks = [];

    /// <summary>The points that a model of a configuration has.</summary>
    /// <param name="config">The configuration, of a supported architecture.</param>
    public HookPoints(ModelConfig config)
    {
        int hidden = config.HiddenSize,
            heads = config.Heads * config.HeadSize;
        BlockKind gated = config.HasGatedFeedForward ? BlockKind.Gated : BlockKind.Plain;
        switch (config.ModelType)
        {
            case "t5":
                Add("hook_embed", hidden);
                AddBlocks("encoder", config.FeedForwardSizes, gated);
                Add("encoder_final_ln.hook_normalized", hidden);
                if (config.DecoderLayers > 0)
                {
                    AddBlocks("decoder", Enumerable.Repeat(config.FeedForwardSize, config.DecoderLayers), gated | BlockKind.Decoder);
                    Add("decoder_final_ln.hook_normalized", hidden, isDecoder: true);
                }

                break;
            case "gpt2":
                Add("hook_embed", hidden);
                AddBlocks("blocks", config.FeedForwardSizes, BlockKind.Plain);
                Add("ln_final.hook_normalized", hidden);
                break;
            default:
                Add("embed.hook_embed", config.EmbeddingSize);
                Add("hook_full_embed", config.EmbeddingSize);
                AddBlocks("blocks", config.FeedForwardSizes, BlockKind.PostNorm);
                break;
        }

        void AddBlocks(string stack, IEnumerable<int> neurons, BlockKind kind)
        {
            foreach ((int i, int size) in neurons.Index())
            {
                _blocks.Add(AddBlock($"{stack}.{i}", hidden, heads, size, kind));
            }
        }
    }

    /// <summary>The layers; those of T5's decoder follow those of its encoder.</summary>
    public IReadOnlyList<BlockHookPoints> Blocks => _blocks;

    public int Count => _points.Count;

    public HookPoint this[int index] => _points[index];

    public IEnumerator<HookPoint> GetEnumerator() => _points.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    /// <exception cref="ArgumentException">There is no such point; the message lists those that there are.</exception>
    public HookPoint Of(string name) =>
        _points.Find(point => point.Name == name)
        ?? throw new ArgumentException($"The model has no hook point '{name}'; it has {string.Join(", ", Kinds())}.", nameof(name));

    /// <summary>Whether hooks at these points are at the same points of another model.</summary>
    public bool Equal(HookPoints other) =>
        ReferenceEquals(this, other)
        || (
            Count == other.Count
            && _points.Zip(other._points).All(pair => pair.First.Name == pair.Second.Name && pair.First.Size == pair.Second.Size)
        );

    private HookPoint Add(string name, int size, bool isDecoder = false, bool isOfText = false)
    {
        var point = new HookPoint(name, size, Count, isDecoder, isOfText || !isDecoder);
        _points.Add(point);
        return point;
    }

    /// <summary>Adds a block's points.</summary>
    /// <param name="block">What their names begin with, such as <c>blocks.0</c>.</param>
    /// <param name="hidden">The size of hidden states.</param>
    /// <param name="attention">The size of all heads together.</param>
    /// <param name="neurons">The size of the feed-forward layer.</param>
    /// <param name="kind">What the block has beside the usual.</param>
    private BlockHookPoints AddBlock(string block, int hidden, int attention, int neurons, BlockKind kind)
    {
        bool isDecoder = kind.HasFlag(BlockKind.Decoder);
        HookPoint residPre = At("hook_resid_pre", hidden);
        AttentionHookPoints self = Attention("attn", readsText: false);
        HookPoint residMid = At("hook_resid_mid", hidden);
        AttentionHookPoints? cross = isDecoder ? Attention("cross_attn", readsText: true) : null;
        HookPoint? residMidCross = isDecoder ? At("hook_resid_mid_cross", hidden) : null;
        HookPoint pre = At("mlp.hook_pre", neurons);
        HookPoint? preLinear = kind.HasFlag(BlockKind.Gated) ? At("mlp.hook_pre_linear", neurons) : null;
        HookPoint post = At("mlp.hook_post", neurons);
        return new(
            residPre,
            self,
            residMid,
            cross,
            residMidCross,
            pre,
            preLinear,
            post,
            At("hook_mlp_out", hidden),
            At("hook_resid_post", hidden),
            kind.HasFlag(BlockKind.PostNorm) ? At("hook_normalized_resid_post", hidden) : null
        );

        HookPoint At(string name, int size, bool isOfText = false) => Add($"{block}.{name}", size, isDecoder, isOfText);

        AttentionHookPoints Attention(string name, bool readsText) =>
            new(
                At(name + ".hook_q", attention),
                At(name + ".hook_k", attention, readsText),
                At(name + ".hook_v", attention, readsText),
                At(name + ".hook_z", attention),
                At($"hook_{name}_out", hidden)
            );
    }

    /// <summary>The names, those of all blocks as one with an <c>{i}</c>.</summary>
    private IEnumerable<string> Kinds() =>
        _points
            .GroupBy(point => string.Join('.', point.Name.Split('.').Select(part => part.All(char.IsAsciiDigit) ? "{i}" : part)))
            .Select(kind =>
                kind.Count() == 1 && !kind.Key.Contains("{i}", StringComparison.Ordinal)
                    ? kind.Key
                    : $"{kind.Key} (i from 0 to {kind.Count() - 1})"
            );
}

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
    HookPoint ResidPre,
    AttentionHookPoints Attention,
    HookPoint ResidMid,
    AttentionHookPoints? CrossAttention,
    HookPoint? ResidMidCross,
    HookPoint Pre,
    HookPoint? PreLinear,
    HookPoint Post,
    HookPoint MlpOut,
    HookPoint ResidPost,
    HookPoint? NormalizedResidPost
);

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
