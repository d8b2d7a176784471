using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Hooks;
using SkillLoc.Models.NativeCalls;
using SkillLoc.Models.Tuning;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace SkillLoc.Models.Backbones;

/// <summary>T5's encoder or decoder: the weights of its layers, and the arithmetic of attention and feed-forward.</summary>
internal sealed class T5Stack
{
    private readonly LanguageModel _model;
    private readonly Func<Tensor, Tensor> _activation;

    /// <param name="model">The model, whose adaptation and dropout apply.</param>
    /// <param name="name">The stack's name in parameters: encoder or decoder.</param>
    /// <param name="layers">Number of layers.</param>
    /// <param name="first">The number of its first layer, 0 for the encoder.</param>
    public T5Stack(LanguageModel model, string name, int layers, int first)
    {
        _model = model;
        _activation = Activation.Of(model.Config);
        bool decodes = first > 0;
        bool isGated = model.Config.HasGatedFeedForward;
        First = first;
        Layers =
        [
            .. Enumerable
                .Range(0, layers)
                .Select(i =>
                {
                    BlockHookPoints points = model.Points.Blocks[first + i];
                    string layer = $"{name}.block.{i}.layer.";
                    string feedForward = decodes ? layer + "2" : layer + "1";
                    string up = feedForward + (isGated ? ".DenseReluDense.wi_1" : ".DenseReluDense.wi");
                    return new Layer(
                        points,
                        AttentionAt(points.Attention, first + i, false, layer + "0", "SelfAttention"),
                        decodes ? AttentionAt(points.CrossAttention!, first + i, true, layer + "1", "EncDecAttention") : null,
                        Weight(feedForward + ".layer_norm"),
                        isGated ? Weight(feedForward + ".DenseReluDense.wi_0") : null,
                        Weight(up),
                        Weight(feedForward + ".DenseReluDense.wo")
                    );
                }),
        ];
        Distances = Weight(name + ".block.0.layer.0.SelfAttention.relative_attention_bias");
        LastNorm = Weight(name + ".final_layer_norm");
        Embedded = decodes ? null : model.Points.Of("hook_embed");
        Last = model.Points.Of(name + "_final_ln.hook_normalized");

        Parameter Weight(string of) => model.Parameters[of + ".weight"];

        Attention AttentionAt(AttentionHookPoints points, int number, bool crosses, string layer, string of) =>
            new(
                points,
                number,
                crosses,
                Weight(layer + ".layer_norm"),
                Weight($"{layer}.{of}.q"),
                Weight($"{layer}.{of}.k"),
                Weight($"{layer}.{of}.v"),
                Weight($"{layer}.{of}.o")
            );
    }

    /// <summary>The layers, lowest first.</summary>
    public Layer[] Layers { get; }

    /// <summary>Biases of relative positions, <c>[buckets, heads]</c>, which all layers share.</summary>
    private Tensor Distances { get; }

    private Tensor LastNorm { get; }

    /// <summary>The number of the first layer, where the decoder continues the encoder's count.</summary>
    private int First { get; }

    /// <summary>The hook point of the embedded words, which only the encoder has.</summary>
    private HookPoint? Embedded { get; }

    private HookPoint Last { get; }

    private ModelConfig Config => _model.Config;

    /// <summary>Begins a pass: embedded words become the hidden states before the first layer.</summary>
    public Tensor Start(Tensor words, Pass pass) => Drop(Embedded is { } point ? pass.At(point, words) : words, pass.Training);

    /// <summary>Ends a pass: the final norm.</summary>
    public Tensor End(Tensor hidden, Pass pass)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor normed = Drop(Normalise(hidden, LastNorm), pass.Training);
        return pass.At(Last, normed).MoveToOuterDisposeScope();
    }

    /// <summary>Keys and values of an attention, after the layer's part of a prefix (<c>[2, heads, prefix, head size]</c>).</summary>
    public (Tensor Keys, Tensor Values) KeysAndValues(Attention attention, Tensor read, Pass pass, Tensor? prefix = null)
    {
        Tensor keys = SplitHeads(pass.At(attention.Points.K, Map(attention.Place(TargetModules.Key), attention.Key, read)));
        Tensor values = SplitHeads(pass.At(attention.Points.V, Map(attention.Place(TargetModules.Value), attention.Value, read)));
        return prefix is null ? (keys, values) : PrefixTuning.Prepend(prefix, keys, values);
    }

    /// <summary>Attention whose scores are not scaled.</summary>
    /// <param name="attention">The weights.</param>
    /// <param name="normed">Input of the queries, <c>[rows, queries, hidden]</c>.</param>
    /// <param name="keys"><c>[rows, heads, keys, head size]</c>.</param>
    /// <param name="values"><c>[rows, heads, keys, head size]</c>.</param>
    /// <param name="bias">Added to the scores; broadcast to <c>[rows, heads, queries, keys]</c>.</param>
    /// <param name="pass">The pass.</param>
    /// <param name="unread">True where a key is masked; broadcast likewise.</param>
    public Tensor Attend(Attention attention, Tensor normed, Tensor keys, Tensor values, Tensor? bias, Pass pass, Tensor? unread = null)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor query = SplitHeads(pass.At(attention.Points.Q, Map(attention.Place(TargetModules.Query), attention.Query, normed)));
        Tensor scores = query.matmul(keys.transpose(2, 3));
        if (bias is not null)
        {
            scores.Add_(bias);
        }

        if (unread is not null)
        {
            scores.MaskedFill_(unread, double.NegativeInfinity);
        }

        Tensor weights = F.softmax(scores, -1, ScalarType.Float32).to(values.dtype);
        Tensor context = Drop(weights, pass.Training).matmul(values);
        Tensor merged = pass.At(attention.Points.Z, context.transpose(1, 2).reshape(normed.size(0), normed.size(1), -1));
        Tensor written = Drop(Map(attention.Place(TargetModules.AttentionOutput), attention.Output, merged), pass.Training);
        return pass.At(attention.Points.Out, written).MoveToOuterDisposeScope();
    }

    /// <summary>The feed-forward part of a layer.</summary>
    /// <param name="index">The layer in this stack, from 0.</param>
    /// <param name="hidden">Hidden states before it.</param>
    /// <param name="pass">The pass.</param>
    public Tensor FeedForward(int index, Tensor hidden, Pass pass)
    {
        using DisposeScope scope = NewDisposeScope();
        Layer layer = Layers[index];
        int number = First + index;
        BlockHookPoints points = layer.Points;
        Tensor read = Normalise(hidden, layer.FeedForwardNorm);
        Tensor up = Map(new(number, TargetModules.Up), layer.Up, read),
            neurons;
        if (layer.Gate is null)
        {
            neurons = _activation(pass.At(points.Pre, up));
        }
        else
        {
            Tensor gate = pass.At(points.Pre, Map(new(number, TargetModules.Up, true), layer.Gate, read));
            neurons = _activation(gate) * pass.At(points.PreLinear!, up);
        }

        neurons = pass.At(points.Post, neurons);
        Tensor down = Map(new(number, TargetModules.Down), layer.Down, Drop(neurons, pass.Training));
        Tensor written = pass.At(points.MlpOut, Drop(down, pass.Training));
        return pass.At(points.ResidPost, hidden.Add(written)).MoveToOuterDisposeScope();
    }

    /// <summary>The bias of each distance from a query to a key, <c>[distances, heads]</c>.</summary>
    /// <param name="first">The first distance.</param>
    /// <param name="last">The last distance.</param>
    public Tensor DistanceBias(int first, int last) => RelativePositions.ByDistance(Distances, first, last, Bucket);

    /// <summary>Relative position bias of the scores of queries and keys; keys start at position 0.</summary>
    /// <returns><c>[1, heads, queries, keys]</c>.</returns>
    public Tensor PositionBias(long firstQuery, long queries, long keys) =>
        RelativePositions.Biases(Distances, firstQuery, queries, keys, Bucket);

    private int Bucket(int distance) =>
        RelativePositions.Bucket(distance, bidirectional: First == 0, Config.RelativeAttentionBuckets, Config.RelativeAttentionMaxDistance);

    /// <summary>Root mean square normalisation, computed in single precision, without subtracting the mean.</summary>
    public Tensor Normalise(Tensor x, Tensor weight)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor single = x.to(ScalarType.Float32);
        Tensor scale = single.Square().mean([-1], keepdim: true).Add(Config.LayerNormEpsilon).rsqrt();
        return ((single * scale).to(weight.dtype) * weight).MoveToOuterDisposeScope();
    }

    private Tensor Map(LayerId place, Tensor weight, Tensor x)
    {
        Tensor y = F.linear(x, weight);
        return _model.PeftModule?.AfterLinear(place, x, y) ?? y;
    }

    private Tensor SplitHeads(Tensor x) => x.view(x.size(0), x.size(1), Config.Heads, -1).transpose(1, 2);

    private Tensor Drop(Tensor x, bool training) => _model.Drop(x, training ? _model.Dropout ?? Config.HiddenDropout : 0);

    /// <summary>An attention's weights, <c>[out, in]</c>, and the norm before it. <paramref name="Number"/> is that of its layer, where the
    /// decoder continues the encoder's count; <paramref name="Crosses"/> marks cross-attention.</summary>
    internal sealed record Attention(
        AttentionHookPoints Points,
        int Number,
        bool Crosses,
        Tensor Norm,
        Tensor Query,
        Tensor Key,
        Tensor Value,
        Tensor Output
    )
    {
        public LayerId Place(TargetModules kind) => new(Number, kind, Crosses);
    }

    /// <summary>One block; the encoder's have no <paramref name="Cross"/>, and only version 1.1 has a <paramref name="Gate"/>.</summary>
    internal sealed record Layer(
        BlockHookPoints Points,
        Attention Self,
        Attention? Cross,
        Tensor FeedForwardNorm,
        Tensor? Gate,
        Tensor Up,
        Tensor Down
    );

    /// <summary>State that all layers of a pass through a stack share.</summary>
    internal readonly record struct Pass(bool Training, PassHooks? Hooks, Tensor? Positions = null)
    {
        public Tensor At(HookPoint point, Tensor x) => Hooks?.Run(point, x, Positions) ?? x;
    }
}
