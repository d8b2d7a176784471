using SkillLoc.Models.Backbones;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace SkillLoc.Models.Tuning;

/// <summary>
/// Adapters: up(activation(down(x))), added where <see cref="AdapterPlacement"/> says. The up-projection starts at zero, so that
/// training starts from the pre-trained model.
/// </summary>
/// <remarks>
/// Parameters, for each linear map that an adapter follows (<c>….attention.output.dense</c>, <c>….output.dense</c>):
/// <c>MAP.adapter.down.weight</c> <c>[bottleneck, hidden]</c>, <c>MAP.adapter.down.bias</c>, <c>MAP.adapter.up.weight</c>
/// <c>[hidden, bottleneck]</c>, <c>MAP.adapter.up.bias</c>.
/// </remarks>
public sealed class Adapters : Adaptation
{
    private readonly AdapterPlacement _placement;
    private readonly Func<Tensor, Tensor> _activation;
    private readonly Bottleneck[] _attention;
    private readonly Bottleneck[] _feedForward;

    internal Adapters(LanguageModel model, AdapterOptions options, ParameterSource source)
        : base(model, options, source)
    {
        _placement = options.Placement;
        bool houlsby = _placement == AdapterPlacement.Houlsby;
        _activation = (options.Activation ?? (houlsby ? AdapterActivation.GeluNew : AdapterActivation.Relu)) switch
        {
            AdapterActivation.Gelu => F.gelu,
            AdapterActivation.GeluNew => Backbones.Activation.TanhGelu,
            AdapterActivation.Swish => x => F.silu(x),
            _ => x => F.relu(x),
        };
        long hidden = model.Config.HiddenSize, inner = options.BottleneckSize ?? Math.Max(1, hidden / 16);
        int layers = model.Config.Layers;
        _attention = new Bottleneck[houlsby ? layers : 0];
        _feedForward = new Bottleneck[layers];
        for (int i = 0; i < layers; i++)
        {
            if (houlsby)
            {
                _attention[i] = After(LinearLayers.AttentionOutput);
            }

            _feedForward[i] = After(LinearLayers.Down);

            Bottleneck After(LinearLayers map)
            {
                string name = model.Linear(i, map).Name + ".adapter";
                return new(
                    AddNormal(name + ".down.weight", options.InitialDeviation, inner, hidden), Bias(name + ".down.bias", inner),
                    AddZeros(name + ".up.weight", hidden, inner), Bias(name + ".up.bias", hidden));
            }
        }

        Parameter? Bias(string name, long size) => options.Bias ? AddZeros(name, size) : null;
    }

    /// <inheritdoc/>
    internal override Tensor AfterLinear(int layer, LinearLayers map, Tensor input, Tensor output) => (_placement, map) switch
    {
        (AdapterPlacement.Houlsby, LinearLayers.AttentionOutput) => output + Run(_attention[layer], output),
        (AdapterPlacement.Houlsby, LinearLayers.Down) => output + Run(_feedForward[layer], output),
        _ => output,
    };

    /// <inheritdoc/>
    internal override Tensor? Correction(int layer, Tensor normed) =>
        _placement == AdapterPlacement.Pfeiffer ? Run(_feedForward[layer], normed) : null;

    private Tensor Run(Bottleneck bottleneck, Tensor x) =>
        F.linear(_activation(F.linear(x, bottleneck.Down, bottleneck.DownBias)), bottleneck.Up, bottleneck.UpBias);

    private readonly record struct Bottleneck(Tensor Down, Tensor? DownBias, Tensor Up, Tensor? UpBias);
}
