using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Tuning;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Onnx;

/// <summary>The graph of T5 that scores answers: the encoder runs once per text, the decoder once over all answers, without a loop.</summary>
internal sealed class T5Graph
{
    private readonly OnnxLayers _layers;
    private readonly OnnxModelBuilder _graph;
    private readonly T5ForConditionalGeneration _model;
    private readonly ModelConfig _config;
    private readonly OnnxAdaptation _adaptation;
    private readonly HashSet<string> _weights = new(StringComparer.Ordinal);

    /// <param name="layers">Where nodes are added.</param>
    /// <param name="model">The model.</param>
    /// <exception cref="NotSupportedException">No graph for its tuning method is known.</exception>
    public T5Graph(OnnxLayers layers, T5ForConditionalGeneration model)
    {
        _layers = layers;
        _graph = layers.Graph;
        _model = model;
        _config = model.Config;
        _adaptation = new(layers, model);
    }

    /// <summary>The log-likelihood of each answer, <c>[batch, answers]</c>.</summary>
    /// <param name="inputs">The graph's inputs.</param>
    /// <param name="answers">Int64 <c>[answers, steps]</c>, padded with <see cref="T5ForConditionalGeneration.Ignored"/>.</param>
    public string LogLikelihoods(OnnxInputs inputs, Tensor answers)
    {
        (long count, long steps) = (answers.size(0), answers.size(1));
        string unread = Unread(inputs);
        string encoded = Encode(inputs.Ids, unread, _config.Layers);

        // Every text once per answer: [batch, ...] becomes [batch answers, ...].
        string rows = RowsOf(inputs.Ids);
        encoded = Repeated(encoded, 3);
        unread = Repeated(unread, 4);
        long[] started = _model.ShiftRight(answers).cpu().data<long>().ToArray();
        string ids = Tiled(_graph.Int64(started, 1, count, steps));
        string hidden = Decode(ids, steps, encoded, unread);
        if (_model.HeadScale != 1)
        {
            hidden = _layers.Mul(hidden, _graph.Scalar((float)_model.HeadScale));
        }

        Tensor table = _model.Parameters[_config.TieWordEmbeddings ? "shared.weight" : "lm_head.weight"];
        string scores = _graph.Add("LogSoftmax", [_layers.Linear(hidden, "words", table, bias: null)], ("axis", -1L));
        long[] targets = answers.cpu().data<long>().ToArray();
        string places = Tiled(_graph.Int64([.. targets.Select(id => Math.Max(id, 0))], 1, count, steps));
        string own = _graph.Add("GatherElements", [scores, _graph.Add("Unsqueeze", [places, _graph.Int64([2])])], ("axis", 2L));
        own = _graph.Add("Reshape", [own, _graph.Int64([-1, count, steps])]);
        float[] counted = [.. targets.Select(id => id == T5ForConditionalGeneration.Ignored ? 0f : 1f)];
        string weights = _graph.Add("answer_mask", tensor(counted, 1, count, steps));
        return _graph.Add("ReduceSum", [_layers.Mul(own, weights), _graph.Int64([2])], ("keepdims", 0L));

        string Repeated(string x, int dimensions)
        {
            string wide = _graph.Add("Unsqueeze", [x, _graph.Int64([1])]);
            string shape = _graph.Int64([1, count, .. Enumerable.Repeat(1L, dimensions - 1)]);
            wide = _graph.Add("Expand", [wide, shape]);
            string rest = _graph.Add("Slice", [_graph.Add("Shape", [x]), _graph.Int64([1]), _graph.Int64([dimensions])]);
            return _graph.Add("Reshape", [wide, _graph.Add("Concat", [_graph.Int64([-1]), rest], ("axis", 0L))]);
        }

        string Tiled(string constant)
        {
            string shape = _graph.Add("Concat", [rows, _graph.Int64([count, steps])], ("axis", 0L));
            return _graph.Add("Reshape", [_graph.Add("Expand", [constant, shape]), _graph.Int64([-1, steps])]);
        }
    }

    /// <summary>The encoder's hidden states at every position, <c>[batch, sequence, hidden]</c>; behind the last layer normalised.</summary>
    /// <param name="inputs">The graph's inputs.</param>
    /// <param name="layers">How many layers they went through; 0 for the embeddings.</param>
    public string Hidden(OnnxInputs inputs, int layers) => Encode(inputs.Ids, Unread(inputs), layers);

    /// <summary>What is added to the scores of keys of the text: nothing for a prompt's and for tokens.</summary>
    private string Unread(OnnxInputs inputs)
    {
        string mask = inputs.Mask;
        if (_adaptation.PromptSize > 0)
        {
            string shape = _graph.Add("Concat", [RowsOf(inputs.Ids), _graph.Int64([_adaptation.PromptSize])], ("axis", 0L));
            mask = _graph.Add("Concat", [_graph.Add("Expand", [_graph.Int64([1], 1, 1), shape]), mask], ("axis", 1L));
        }

        return _layers.Bias(mask);
    }

    private string RowsOf(string x) => _graph.Add("Slice", [_graph.Add("Shape", [x]), _graph.Int64([0]), _graph.Int64([1])]);

    private string Encode(string ids, string unread, int layers)
    {
        string hidden = Words(ids);
        if (_adaptation.PromptSize > 0)
        {
            string slots = _graph.Add("prompt", _adaptation.Prompt.unsqueeze(0));
            string shape = _graph.Add("Concat", [RowsOf(ids), _graph.Int64([1, 1])], ("axis", 0L));
            hidden = _graph.Add("Concat", [_graph.Add("Expand", [slots, shape]), hidden], ("axis", 1L));
        }

        string places = _layers.Places(hidden, 1);

        // Beyond the largest distance all share one bucket.
        int farthest = _config.RelativeAttentionMaxDistance;
        string bias = _layers.ByDistance(
            "encoder.distances",
            _model.DistanceBias(-farthest, farthest, decoder: false),
            farthest,
            _graph.Add("Unsqueeze", [places, _graph.Int64([0])]),
            places
        );
        bias = _layers.Sum(bias, unread);
        if (_adaptation.PrefixSize > 0)
        {
            // A prefix has no place, and is always read.
            string shape = _graph.Add("Slice", [_graph.Add("Shape", [bias]), _graph.Int64([0]), _graph.Int64([3])]);
            shape = _graph.Add("Concat", [shape, _graph.Int64([_adaptation.PrefixSize])], ("axis", 0L));
            bias = _graph.Add("Concat", [_graph.Add("Expand", [_graph.Scalar(0f), shape]), bias], ("axis", 3L));
        }

        for (int i = 0; i < layers; i++)
        {
            Dictionary<(TargetModules, bool), LinearLayer> maps = Maps(i);
            string name = $"encoder.block.{i}.layer.";
            string normed = Normalise(hidden, name + "0.layer_norm");
            hidden = _layers.Sum(hidden, Attend(maps, false, normed, normed, bias, i, isDecoder: false));
            hidden = FeedForward(maps, hidden, name + "1.layer_norm");
        }

        return layers == _config.Layers ? Normalise(hidden, "encoder.final_layer_norm") : hidden;
    }

    private string Decode(string ids, long steps, string encoded, string unread)
    {
        string hidden = Words(ids);
        string bias = DecoderBias((int)steps);
        for (int i = 0; i < _config.DecoderLayers; i++)
        {
            Dictionary<(TargetModules, bool), LinearLayer> maps = Maps(_config.Layers + i);
            string name = $"decoder.block.{i}.layer.";
            string normed = Normalise(hidden, name + "0.layer_norm");
            hidden = _layers.Sum(hidden, Attend(maps, false, normed, normed, bias, i, isDecoder: true));
            hidden = _layers.Sum(hidden, Attend(maps, true, Normalise(hidden, name + "1.layer_norm"), encoded, unread));
            hidden = FeedForward(maps, hidden, name + "2.layer_norm");
        }

        return Normalise(hidden, "decoder.final_layer_norm");
    }

    /// <summary>The biases of the decoder's self-attention, where later steps are not seen and a prefix always,
    /// <c>[1, heads, steps, prefix + steps]</c>.</summary>
    private string DecoderBias(int steps)
    {
        int heads = _config.Heads,
            before = (int)_adaptation.PrefixSize;
        float[] byDistance = TensorValues.Of(_model.DistanceBias(-(steps - 1), 0, decoder: true)).Values;
        float[] bias = new float[heads * steps * (before + steps)];
        for (int head = 0, place = 0; head < heads; head++)
        {
            for (int query = 0; query < steps; query++)
            {
                place += before;
                for (int key = 0; key < steps; key++, place++)
                {
                    bias[place] = key > query ? OnnxLayers.Masked : byDistance[((key - query + steps - 1) * heads) + head];
                }
            }
        }

        return _graph.Add("decoder.bias", tensor(bias, 1, heads, steps, before + steps));
    }

    /// <summary>Attention whose scores are not scaled.</summary>
    private string Attend(
        Dictionary<(TargetModules, bool), LinearLayer> maps,
        bool crosses,
        string normed,
        string read,
        string bias,
        int layer = 0,
        bool isDecoder = false
    )
    {
        (long heads, long size) = (_config.Heads, _config.HeadSize);
        string query = _layers.SplitHeads(Map(TargetModules.Query, normed), heads, size);
        bool isPrefixed = !crosses && _adaptation.PrefixSize > 0;
        string keys = _layers.SplitHeads(Map(TargetModules.Key, read), heads, size, isKeys: !isPrefixed);
        string values = _layers.SplitHeads(Map(TargetModules.Value, read), heads, size);
        if (isPrefixed)
        {
            keys = _adaptation.WithPrefix(keys, layer, isValues: false, isDecoder);
            keys = _graph.Add("Transpose", [keys], ("perm", new long[] { 0, 1, 3, 2 }));
            values = _adaptation.WithPrefix(values, layer, isValues: true, isDecoder);
        }

        return Map(TargetModules.AttentionOutput, _layers.Attend(query, keys, values, bias, divisor: 1, heads * size));

        string Map(TargetModules kind, string x) => Linear(x, maps[(kind, crosses)]);
    }

    private string FeedForward(Dictionary<(TargetModules, bool), LinearLayer> maps, string hidden, string norm)
    {
        string read = Normalise(hidden, norm);
        string neurons = Linear(read, maps[(TargetModules.Up, false)]);
        neurons = maps.TryGetValue((TargetModules.Up, true), out LinearLayer gate)
            ? _layers.Mul(_layers.Activate(Linear(read, gate), _config), neurons)
            : _layers.Activate(neurons, _config);
        return _layers.Sum(hidden, Linear(neurons, maps[(TargetModules.Down, false)]));
    }

    /// <summary>x · weight / √(mean x² + epsilon).</summary>
    private string Normalise(string x, string name)
    {
        string square = _graph.Add("Pow", [x, _graph.Scalar(2f)]);
        string mean = _graph.Add("ReduceMean", [square], ("axes", new long[] { -1 }), ("keepdims", 1L));
        string root = _graph.Add("Sqrt", [_layers.Sum(mean, _graph.Scalar((float)_config.LayerNormEpsilon))]);
        return _layers.Mul(_graph.Add("Div", [x, root]), _graph.Add(name + ".weight", _model.Parameters[name + ".weight"]));
    }

    private string Words(string ids)
    {
        const string Name = "shared.weight";
        string table = _weights.Add(Name) ? _graph.Add(Name, _model.Parameters[Name]) : Name;
        return _graph.Add("Gather", [table, ids], ("axis", 0L));
    }

    private string Linear(string x, LinearLayer map) => _adaptation.Linear(x, map);

    private Dictionary<(TargetModules, bool), LinearLayer> Maps(int layer) =>
        _model.LinearLayersOf(layer).ToDictionary(map => (map.Place.Kind, map.Place.IsSecond));
}
