using SkillLoc.Models.Backbones;
using SkillLoc.Models.NativeCalls;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace SkillLoc.Models.Tuning;

/// <summary>
/// Bottleneck adapters: up(activation(down(x))), placed as <see cref="AdapterPlacement"/> says. By default the up-projection starts at zero
/// (<see cref="AdapterOptions.InitialUpDeviation"/>), so that training starts at the pre-trained model.
/// </summary>
/// <remarks>
/// Parameters, for each linear map that an adapter follows (<c>….attention.output.dense</c>, <c>….output.dense</c>; in T5
/// <c>….SelfAttention.o</c>, <c>….EncDecAttention.o</c>, <c>….DenseReluDense.wo</c>):
/// <c>MAP.adapter.down.weight</c> <c>[bottleneck, hidden]</c>, <c>MAP.adapter.down.bias</c>, <c>MAP.adapter.up.weight</c>
/// <c>[hidden, bottleneck]</c>, <c>MAP.adapter.up.bias</c>.
/// </remarks>
internal sealed class BottleneckAdapter : PeftModule
{
    private readonly bool _correct;
    private readonly Func<Tensor, Tensor> _activation;
    private readonly Dictionary<LayerId, Bottleneck> _bottlenecks = [];

    internal BottleneckAdapter(LanguageModel model, AdapterOptions options, ParameterSource source)
        : base(model, options, source)
    {
        bool houlsby = options.Placement == AdapterPlacement.Houlsby;
        _correct = !houlsby && model is not T5ForConditionalGeneration;
        _activation = (options.Activation ?? (houlsby ? AdapterActivation.GeluNew : AdapterActivation.Relu)) switch
        {
            AdapterActivation.Gelu => F.gelu,
            AdapterActivation.GeluNew => Backbones.Activation.TanhGelu,
            AdapterActivation.Swish => x => F.silu(x),
            _ => x => F.relu(x),
        };
        long hidden = model.Config.HiddenSize,
            inner = options.BottleneckSize ?? Math.Max(1, hidden / 16);
        foreach (LinearLayer map in model.LinearLayersOf(houlsby ? TargetModules.AttentionOutput | TargetModules.Down : TargetModules.Down))
        {
            string name = map.Name + ".adapter";
            _bottlenecks.Add(
                map.Place,
                new(
                    Projection(name + ".down.weight", options.InitialDeviation, inner, hidden),
                    Bias(name + ".down.bias", inner),
                    Projection(name + ".up.weight", options.InitialUpDeviation, hidden, inner),
                    Bias(name + ".up.bias", hidden)
                )
            );
        }

        Parameter Projection(string name, double deviation, params long[] shape) =>
            Add(
                name,
                shape,
                generator =>
                    deviation > 0
                        ? randn(shape, generator: generator).Mul_(deviation).Add_(options.InitialMean)
                        : TensorArithmetic.Full(shape, options.InitialMean)
            );

        Parameter? Bias(string name, long size) => options.Bias ? AddZeros(name, size) : null;
    }

    /// <inheritdoc/>
    internal override Tensor AfterLinear(LayerId place, Tensor input, Tensor output) =>
        !_correct && _bottlenecks.TryGetValue(place, out Bottleneck bottleneck) ? output.Add(Run(bottleneck, output)) : output;

    /// <inheritdoc/>
    internal override Tensor? Correction(int layer, Tensor normed) =>
        _correct ? Run(_bottlenecks[new(layer, TargetModules.Down)], normed) : null;

    private Tensor Run(Bottleneck bottleneck, Tensor x) =>
        F.linear(_activation(F.linear(x, bottleneck.Down, bottleneck.DownBias)), bottleneck.Up, bottleneck.UpBias);

    private readonly record struct Bottleneck(Tensor Down, Tensor? DownBias, Tensor Up, Tensor? UpBias);
}

/// <summary>Bottleneck adapters (methods, C.3).</summary>
public sealed record AdapterOptions : TuningOptions
{
    /// <summary>Placement of the adapters in a layer; <see cref="AdapterPlacement.Pfeiffer"/> by default.</summary>
    public AdapterPlacement Placement { get; init; }

    /// <summary>Bottleneck size, 1 or more; null (default) is a sixteenth of the hidden size.</summary>
    public int? BottleneckSize { get; init; }

    /// <summary>The activation; null (default) is <see cref="AdapterActivation.Relu"/> for Pfeiffer's placement and
    /// <see cref="AdapterActivation.GeluNew"/> for Houlsby's.</summary>
    public AdapterActivation? Activation { get; init; }

    /// <summary>Whether both projections have biases; true by default.</summary>
    public bool Bias { get; init; } = true;

    /// <summary>Standard deviation of the down-projection's initialisation, above 0; 0.02 by default.</summary>
    public double InitialDeviation { get; init; } = 0.02;

    /// <summary>Standard deviation of the up-projection's initialisation, 0 or more. 0 (default) sets it to <see cref="InitialMean"/>, so
    /// that with a mean of 0 training starts at the pre-trained model; the mode-connectivity paper draws both projections with the same
    /// deviation (methods, C.3).</summary>
    public double InitialUpDeviation { get; init; }

    /// <summary>Mean of both projections' initialisation; 0 by default (methods, C.3).</summary>
    public double InitialMean { get; init; }

    /// <inheritdoc/>
    internal override BottleneckAdapter Build(LanguageModel model, ParameterSource source)
    {
        if (BottleneckSize is { } size)
        {
            RequirePositive(size, "The adapters' BottleneckSize");
        }

        RequirePositive(InitialDeviation, "The adapters' InitialDeviation");
        if (!(InitialUpDeviation >= 0) || !double.IsFinite(InitialUpDeviation))
        {
            throw new ArgumentException($"The adapters' InitialUpDeviation is {InitialUpDeviation}; it must be 0 or above.");
        }

        if (!double.IsFinite(InitialMean))
        {
            throw new ArgumentException($"The adapters' InitialMean is {InitialMean}; it must be a finite number.");
        }

        return new(model, this, source);
    }
}

/// <summary>The activation of an adapter.</summary>
public enum AdapterActivation
{
    /// <summary>max(x, 0).</summary>
    Relu,

    /// <summary>x times the standard normal cumulative distribution function.</summary>
    Gelu,

    /// <summary>GELU in the tanh approximation of GPT-2.</summary>
    GeluNew,

    /// <summary>x times the logistic function of x (SiLU).</summary>
    Swish,
}

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
