using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Tuning;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Models.Onnx;

/// <summary>The graph of BERT, RoBERTa and what shares their encoder.</summary>
internal sealed class EncoderGraph : IOnnxBackbone
{
    private readonly OnnxLayers _layers;
    private readonly OnnxModelBuilder _graph;
    private readonly LanguageModel _model;
    private readonly ModelConfig _config;
    private readonly OnnxAdaptation _adaptation;
    private readonly string _prefix;

    /// <param name="layers">Where nodes are added.</param>
    /// <param name="model">The model.</param>
    public EncoderGraph(OnnxLayers layers, MaskedLanguageModel model)
    {
        _layers = layers;
        _graph = layers.Graph;
        _model = model;
        _config = model.Config;
        _adaptation = new(layers, model);
        string words = model.Parameters.Keys.Single(name => name.EndsWith(".embeddings.word_embeddings.weight", StringComparison.Ordinal));
        _prefix = words[..words.IndexOf(".embeddings.", StringComparison.Ordinal)];
    }

    private bool IsRoberta => _model is RobertaForMaskedLM;

    /// <inheritdoc/>
    public string HiddenAt(OnnxInputs inputs)
    {
        string hidden = Embed(inputs);
        string? bias = Bias(inputs, positions: null);
        for (int i = 0; i < _config.Layers - 1; i++)
        {
            hidden = Layer(i, hidden, bias, null);
        }

        string positions = _adaptation.PromptSize > 0 ? Zeros(inputs) : inputs.Positions;
        string last = Layer(_config.Layers - 1, hidden, Bias(inputs, positions), positions);
        return _graph.Add("Squeeze", [last, _graph.Int64([1])]);
    }

    /// <inheritdoc/>
    public string WordScores(string hidden, Tensor words)
    {
        (string dense, string norm, string bias) = IsRoberta
            ? ("lm_head.dense", "lm_head.layer_norm", "lm_head.bias")
            : ("cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm", "cls.predictions.bias");
        string decoder = IsRoberta ? "lm_head.decoder" : "cls.predictions.decoder";
        string x = _layers.Linear(hidden, dense, Parameter(dense + ".weight"), Parameter(dense + ".bias"), isHead: true);
        x = IsRoberta ? _layers.Gelu(x) : _layers.Activate(x, _config);
        x = Normalise(x, norm);
        bool isTied = _config.TieWordEmbeddings;
        Tensor table = Parameter(isTied ? _prefix + ".embeddings.word_embeddings.weight" : decoder + ".weight");
        return _layers.Linear(
            x,
            "label_words",
            table.index_select(0, words),
            Parameter(isTied ? bias : decoder + ".bias").index_select(0, words),
            isHead: true
        );
    }

    private string Embed(OnnxInputs inputs)
    {
        string embeddings = _prefix + ".embeddings.";
        string words = Gather("word_embeddings", inputs.Ids);
        long prompt = _adaptation.PromptSize;
        string ids = inputs.Ids;
        string? types = inputs.Types;
        if (prompt > 0)
        {
            Tensor mask = Parameter(embeddings + "word_embeddings.weight")
                .narrow(0, ((SoftPromptOptions)_model.PeftModule!.Options).MaskTokenId ?? _config.MaskTokenId!.Value, 1);
            string slots = _graph.Add("prompt", cat([mask, _adaptation.Prompt], 0).unsqueeze(0));
            words = _graph.Add("Concat", [_graph.Add("Expand", [slots, Column(inputs, [1, 1])]), words], ("axis", 1L));
            types = types is null ? null : _graph.Add("Concat", [Filled(inputs, prompt, 0), types], ("axis", 1L));
            ids = words;
        }

        string places = _layers.Places(ids, 1);
        string positions;
        if (!IsRoberta)
        {
            positions = Gather("position_embeddings", places);
        }
        else if (prompt > 0)
        {
            positions = Gather("position_embeddings", _layers.Sum(places, _graph.Scalar(Offset)));
        }
        else
        {
            // A padding token within a text has the position of padding, and positions after it do not count it.
            string counted = _graph.Add("Not", [_graph.Add("Equal", [inputs.Ids, _graph.Scalar(Offset - 1)])]);
            counted = _graph.Add("Cast", [counted], ("to", (long)OnnxType.Int64));
            string number = _layers.Mul(_graph.Add("CumSum", [counted, _graph.Scalar(1)]), counted);
            positions = Gather("position_embeddings", _layers.Sum(number, _graph.Scalar(Offset - 1)));
        }

        string sum = _layers.Sum(words, positions);
        Tensor typeTable = Parameter(embeddings + "token_type_embeddings.weight");
        sum = _layers.Sum(
            sum,
            types is null ? _graph.Add(embeddings + "token_type_embeddings.weight", typeTable[0]) : Gather("token_type_embeddings", types)
        );
        return Normalise(sum, embeddings + "LayerNorm");

        string Gather(string table, string indices)
        {
            string name = $"{embeddings}{table}.weight";
            return _graph.Add("Gather", [_graph.Add(name, Parameter(name)), indices], ("axis", 0L));
        }
    }

    private long Offset => _config.PadTokenId!.Value + 1;

    /// <summary>One post-norm layer, at all positions or at one.</summary>
    private string Layer(int index, string hidden, string? bias, string? positions)
    {
        Dictionary<TargetModules, LinearLayer> maps = _model.LinearLayersOf(index).ToDictionary(map => map.Place.Kind);
        string prefix = $"{_prefix}.encoder.layer.{index}.";
        string scored = positions is null ? hidden : _layers.At(hidden, positions);
        long heads = _config.Heads,
            size = _config.HeadSize;
        string query = _layers.SplitHeads(Map(TargetModules.Query, scored), heads, size);
        string keys = Map(TargetModules.Key, hidden);
        if (_adaptation.PrefixSize == 0)
        {
            keys = _layers.SplitHeads(keys, heads, size, isKeys: true);
        }
        else
        {
            keys = _adaptation.WithPrefix(_layers.SplitHeads(keys, heads, size), index, isValues: false);
            keys = _graph.Add("Transpose", [keys], ("perm", new long[] { 0, 1, 3, 2 }));
        }

        string values = _layers.SplitHeads(Map(TargetModules.Value, hidden), heads, size);
        values = _adaptation.WithPrefix(values, index, isValues: true);
        string context = _layers.Attend(query, keys, values, bias, Math.Sqrt(size), heads * size);
        string attended = Normalise(_layers.Sum(Map(TargetModules.AttentionOutput, context), scored), prefix + "attention.output.LayerNorm");
        string neurons = _layers.Activate(Map(TargetModules.Up, attended), _config);
        string sum = _layers.Sum(Map(TargetModules.Down, neurons), attended);
        string output = Normalise(sum, prefix + "output.LayerNorm");
        return _adaptation.Correction(output, maps[TargetModules.Down]) is { } correction
            ? Normalise(_layers.Sum(sum, correction), prefix + "output.LayerNorm", "corrected")
            : output;

        string Map(TargetModules kind, string x) => _adaptation.Linear(x, maps[kind]);
    }

    /// <summary>What attention scores get added: prompt and prefix are always seen, padding never, and what comes later only by models
    /// that look both ways.</summary>
    private string? Bias(OnnxInputs inputs, string? positions)
    {
        string mask = inputs.Mask;
        long before = _adaptation.PromptSize + _adaptation.PrefixSize;
        if (before > 0)
        {
            mask = _graph.Add("Concat", [Filled(inputs, before, 1), mask], ("axis", 1L));
        }

        string bias = _layers.Bias(mask);
        if (!_config.AttendsBackwardsOnly)
        {
            return bias;
        }

        string keys = _graph.Add("Sub", [_layers.Places(mask, 1), _graph.Scalar(_adaptation.PrefixSize)]);
        string queries = positions is null
            ? _graph.Add("Unsqueeze", [keys, _graph.Int64([-1])])
            : _graph.Add("Unsqueeze", [positions, _graph.Int64([1, 2, 3])]);
        if (positions is null && _adaptation.PrefixSize > 0)
        {
            queries = _graph.Add(
                "Slice",
                [queries, _graph.Int64([_adaptation.PrefixSize]), _graph.Int64([int.MaxValue]), _graph.Int64([0])]
            );
        }

        return _layers.Sum(bias, _layers.LookingBack(queries, keys));
    }

    /// <summary>The shape [batch, ...] for an Expand.</summary>
    private string Column(OnnxInputs inputs, long[] others)
    {
        string rows = _graph.Add("Slice", [_graph.Add("Shape", [inputs.Ids]), _graph.Int64([0]), _graph.Int64([1])]);
        return _graph.Add("Concat", [rows, _graph.Int64(others)], ("axis", 0L));
    }

    private string Filled(OnnxInputs inputs, long count, long value) =>
        _graph.Add("Expand", [_graph.Int64([value], 1, 1), Column(inputs, [count])]);

    private string Zeros(OnnxInputs inputs) => _layers.Mul(inputs.Positions, _graph.Scalar(0));

    private string Normalise(string x, string name, string copy = "")
    {
        string own = copy.Length == 0 ? name : $"{name}.{copy}";
        return _layers.Normalise(x, own, Parameter(name + ".weight"), Parameter(name + ".bias"), _config.LayerNormEpsilon);
    }

    private Parameter Parameter(string name) => _model.Parameters[name];
}
