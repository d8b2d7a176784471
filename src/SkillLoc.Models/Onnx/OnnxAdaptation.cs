using SkillLoc.Models.Backbones;
using SkillLoc.Models.NativeCalls;
using SkillLoc.Models.Tuning;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Models.Onnx;

/// <summary>What a tuning method adds to the graph. What folds into the weights (plain LoRA) is there already.</summary>
internal sealed class OnnxAdaptation
{
    private readonly OnnxLayers _layers;
    private readonly LanguageModel _model;
    private readonly PeftModule? _adaptation;
    private readonly AdapterOptions? _adapters;
    private readonly Tensor? _prefix;
    private readonly Tensor? _decoderPrefix;

    /// <param name="layers">Where nodes are added.</param>
    /// <param name="model">The model, whose adaptation is folded as far as possible.</param>
    /// <exception cref="NotSupportedException">No graph for the method is known.</exception>
    public OnnxAdaptation(OnnxLayers layers, LanguageModel model)
    {
        _layers = layers;
        _model = model;
        _adaptation = model.PeftModule;
        _adapters = _adaptation?.Options as AdapterOptions;
        _prefix = _adaptation?.KeyValues();
        _decoderPrefix = model.Config.IsEncoderDecoder ? _adaptation?.KeyValues(decoder: true) : null;
        if (_adaptation?.Options is not (null or AdapterOptions or PrefixOptions or SoftPromptOptions or LoraOptions or LowRankBiasOptions))
        {
            throw new NotSupportedException($"A model tuned with {_adaptation.Options} cannot be exported to ONNX.");
        }
    }

    /// <summary>Vectors before the text, or after it in causal models.</summary>
    public long PromptSize => _adaptation?.PromptSize ?? 0;

    /// <summary>Keys and values before the text's in each layer.</summary>
    public long PrefixSize => _prefix?.size(3) ?? 0;

    /// <summary>The vectors of a soft prompt, <c>[P, hidden]</c>, without the mask's.</summary>
    public Tensor Prompt => _adaptation!.Parameters["prompt"].squeeze(0);

    /// <summary>A linear layer of the model and what follows it.</summary>
    public string Linear(string x, LinearLayer map)
    {
        string y = _layers.Linear(x, map.Name, map.Weight, map.Bias, parameters: (map.WeightName, map.BiasName));
        y = Updated(x, y, map);

        // T5's layers do not end with a norm, and Pfeiffer's adapter is Houlsby's last there.
        bool isFollowed = _adapters?.Placement switch
        {
            AdapterPlacement.Houlsby => map.Place.Kind is TargetModules.AttentionOutput or TargetModules.Down,
            AdapterPlacement.Pfeiffer => map.Place.Kind == TargetModules.Down && _model.Config.IsEncoderDecoder,
            _ => false,
        };
        return isFollowed ? _layers.Sum(y, Bottleneck(y, map)) : y;
    }

    /// <summary>A layer's result with what LoRA or a low-rank bias adds that does not fold into its weights.</summary>
    private string Updated(string x, string y, LinearLayer map)
    {
        string name = map.Name + ".lora_";
        if (_adaptation is null || !_adaptation.Parameters.TryGetValue(name + "B.weight", out Parameter? second))
        {
            return y;
        }

        if (_adaptation.Options is LowRankBiasOptions bias)
        {
            Tensor product = second.mm(Weight(bias.ShareR ? "lora_R" : name + "R"));
            product = bias.Mlp ? Weight(name + "C").mm(product.tanh()) : product;
            return _layers.Sum(y, _layers.Graph.Add(name + "bias", product.squeeze(1).Mul(bias.Alpha / bias.Rank), isDerived: true));
        }

        var lora = (LoraOptions)_adaptation.Options;
        string added = Small(Small(x, "A"), "B");
        added = lora.Mlp ? Small(_layers.Graph.Add("Tanh", [added]), "C") : added;
        return _layers.Sum(y, _layers.Mul(added, _layers.Graph.Scalar((float)(lora.Alpha / lora.Rank))));

        string Small(string input, string part) =>
            _layers.Linear(
                input,
                name + part,
                Weight(name + part),
                _adaptation.Parameters.TryGetValue($"{name}{part}.bias", out Parameter? own) ? own : null,
                isHead: true
            );

        Parameter Weight(string module) => _adaptation.Parameters[module + ".weight"];
    }

    /// <summary>What is added to a layer's output; null for nothing.</summary>
    /// <param name="x">The output, normalised where the layer ends with a norm.</param>
    /// <param name="down">The layer's last linear layer.</param>
    public string? Correction(string x, LinearLayer down) => _adapters?.Placement == AdapterPlacement.Pfeiffer ? Bottleneck(x, down) : null;

    /// <summary>A layer's keys or values with the prefix before them.</summary>
    /// <param name="x"><c>[batch, heads, length, size]</c>.</param>
    /// <param name="layer">Zero-based layer.</param>
    /// <param name="isValues">Whether they are values.</param>
    /// <param name="isDecoder">Whether it is a layer of T5's decoder, counted from its first.</param>
    public string WithPrefix(string x, int layer, bool isValues, bool isDecoder = false)
    {
        if ((isDecoder ? _decoderPrefix : _prefix) is not { } prefix)
        {
            return x;
        }

        OnnxModelBuilder graph = _layers.Graph;
        string name = $"{(isDecoder ? "decoder_" : "")}prefix.{layer}.{(isValues ? "values" : "keys")}";
        string own = graph.Add(name, prefix[layer][isValues ? 1 : 0].unsqueeze(0));
        string rows = graph.Add("Slice", [graph.Add("Shape", [x]), graph.Int64([0]), graph.Int64([1])]);
        string shape = graph.Add("Concat", [rows, graph.Int64([1, 1, 1])], ("axis", 0L));
        return graph.Add("Concat", [graph.Add("Expand", [own, shape]), x], ("axis", 2L));
    }

    private string Bottleneck(string x, LinearLayer map)
    {
        string name = map.Name + ".adapter";
        IReadOnlyDictionary<string, Parameter> parameters = _adaptation!.Parameters;
        string inner = _layers.Linear(
            x,
            name + ".down",
            parameters[name + ".down.weight"],
            parameters.TryGetValue(name + ".down.bias", out Parameter? down) ? down : null
        );
        AdapterActivation activation =
            _adapters!.Activation ?? (_adapters.Placement == AdapterPlacement.Houlsby ? AdapterActivation.GeluNew : AdapterActivation.Relu);
        string active = activation switch
        {
            AdapterActivation.Gelu => _layers.Gelu(inner),
            AdapterActivation.GeluNew => _layers.TanhGelu(inner),
            AdapterActivation.Swish => _layers.Mul(inner, _layers.Graph.Add("Sigmoid", [inner])),
            _ => _layers.Graph.Add("Relu", [inner]),
        };
        return _layers.Linear(
            active,
            name + ".up",
            parameters[name + ".up.weight"],
            parameters.TryGetValue(name + ".up.bias", out Parameter? up) ? up : null
        );
    }
}
