using SkillLoc.Models.Backbones;
using SkillLoc.Models.Tuning;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Models.Onnx;

/// <summary>What a tuning method adds to the graph. What folds into the weights (LoRA) is there already.</summary>
internal sealed class OnnxAdaptation
{
    private readonly OnnxLayers _layers;
    private readonly LanguageModel _model;
    private readonly PeftModule? _adaptation;
    private readonly AdapterOptions? _adapters;
    private readonly Tensor? _prefix;

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
        if (_adaptation is not null && _adapters is null && _prefix is null && _adaptation.PromptSize == 0)
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
        bool isFollowed = map.Place.Kind is TargetModules.AttentionOutput or TargetModules.Down;
        return isFollowed && _adapters?.Placement == AdapterPlacement.Houlsby ? _layers.Sum(y, Bottleneck(y, map)) : y;
    }

    /// <summary>What is added to a layer's output; null for nothing.</summary>
    /// <param name="x">The output, normalised where the layer ends with a norm.</param>
    /// <param name="down">The layer's last linear layer.</param>
    public string? Correction(string x, LinearLayer down) => _adapters?.Placement == AdapterPlacement.Pfeiffer ? Bottleneck(x, down) : null;

    /// <summary>A layer's keys or values with the prefix before them.</summary>
    /// <param name="x"><c>[batch, heads, length, size]</c>.</param>
    /// <param name="layer">Zero-based layer.</param>
    /// <param name="isValues">Whether they are values.</param>
    public string WithPrefix(string x, int layer, bool isValues)
    {
        if (_prefix is null)
        {
            return x;
        }

        OnnxModelBuilder graph = _layers.Graph;
        string own = graph.Add($"prefix.{layer}.{(isValues ? "values" : "keys")}", _prefix[layer][isValues ? 1 : 0].unsqueeze(0));
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
