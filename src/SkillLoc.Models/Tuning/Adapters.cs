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
internal sealed class Adapters : Adaptation
{
    private readonly bool _correct;
    private readonly Func<Tensor, Tensor> _activation;
    private readonly Dictionary<LinearPlace, Bottleneck> _bottlenecks = [];

    internal Adapters(LanguageModel model, AdapterOptions options, ParameterSource source)
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
        long hidden = model.Config.HiddenSize, inner = options.BottleneckSize ?? Math.Max(1, hidden / 16);
        foreach (LinearMap map in model.LinearMaps(houlsby ? LinearLayers.AttentionOutput | LinearLayers.Down : LinearLayers.Down))
        {
            string name = map.Name + ".adapter";
            _bottlenecks.Add(map.Place, new(
                Projection(name + ".down.weight", options.InitialDeviation, inner, hidden), Bias(name + ".down.bias", inner),
                Projection(name + ".up.weight", options.InitialUpDeviation, hidden, inner), Bias(name + ".up.bias", hidden)));
        }

        Parameter Projection(string name, double deviation, params long[] shape) => Add(name, shape, generator => deviation > 0
            ? randn(shape, generator: generator).Mul_(deviation).Add_(options.InitialMean)
            : TensorArithmetic.Full(shape, options.InitialMean));

        Parameter? Bias(string name, long size) => options.Bias ? AddZeros(name, size) : null;
    }

    /// <inheritdoc/>
    internal override Tensor AfterLinear(LinearPlace place, Tensor input, Tensor output) =>
        !_correct && _bottlenecks.TryGetValue(place, out Bottleneck bottleneck) ? output.Add(Run(bottleneck, output)) : output;

    /// <inheritdoc/>
    internal override Tensor? Correction(int layer, Tensor normed) =>
        _correct ? Run(_bottlenecks[new(layer, LinearLayers.Down)], normed) : null;

    private Tensor Run(Bottleneck bottleneck, Tensor x) =>
        F.linear(_activation(F.linear(x, bottleneck.Down, bottleneck.DownBias)), bottleneck.Up, bottleneck.UpBias);

    private readonly record struct Bottleneck(Tensor Down, Tensor? DownBias, Tensor Up, Tensor? UpBias);
}
