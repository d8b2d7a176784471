using SkillLoc.Models.Architectures;
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
    private readonly MaskedLanguageModel _model;
    private readonly ModelConfig _config;
    private readonly OnnxAdaptation _adaptation;
    private readonly EncoderNames _names;

    /// <param name="layers">Where nodes are added.</param>
    /// <param name="model">The model.</param>
    public EncoderGraph(OnnxLayers layers, MaskedLanguageModel model)
    {
        _layers = layers;
        _graph = layers.Graph;
        _model = model;
        _config = model.Config;
        _adaptation = new(layers, model);
        _names = model.Architecture.Names;
        if (HasDistances && _adaptation.PrefixSize > 0)
        {
            throw new NotSupportedException($"A prefix before the keys of a {_config.ModelType} cannot be exported to ONNX.");
        }
    }

    private bool HasDistances => _config.RelativeAttentionBuckets > 0;

    private int? Uncounted => _model.Architecture.UncountedToken(_config);

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

    /// <summary>Hidden states at every position, <c>[batch, sequence, hidden]</c>.</summary>
    /// <param name="inputs">The graph's inputs.</param>
    /// <param name="layers">How many layers they went through; 0 for the embeddings.</param>
    public string Hidden(OnnxInputs inputs, int layers)
    {
        string hidden = Embed(inputs);
        string? bias = layers > 0 ? Bias(inputs, positions: null) : null;
        for (int i = 0; i < layers; i++)
        {
            hidden = Layer(i, hidden, bias, null);
        }

        return hidden;
    }

    /// <inheritdoc/>
    public string WordScores(string hidden, Tensor words)
    {
        HeadNames head = _names.Head;
        return _layers.Linear(
            Vocabulary(hidden),
            "label_words",
            Parameter(Table).index_select(0, words),
            Parameter(head.Bias(_config)).index_select(0, words),
            isHead: true
        );
    }

    /// <inheritdoc/>
    public string WordScores(string hidden, string words)
    {
        string table = _config.TieWordEmbeddings ? Table : _graph.Add(Table, Parameter(Table));
        string bias = _names.Head.Bias(_config);
        string rows = _graph.Add("Gather", [_graph.Add(bias, Parameter(bias)), words], ("axis", 0L));
        return _layers.Sum(_layers.Rows(Vocabulary(hidden), table, words), rows);
    }

    /// <summary>The word embeddings or the decoder's own rows.</summary>
    private string Table => _config.TieWordEmbeddings ? _names.Words : _names.Head.Decoder + ".weight";

    /// <summary>What the language-model head computes before its product with the vocabulary.</summary>
    private string Vocabulary(string hidden)
    {
        HeadNames head = _names.Head;
        string x = _layers.Linear(hidden, head.Dense, Parameter(head.Dense + ".weight"), Parameter(head.Dense + ".bias"), isHead: true);
        x = _model.Architecture.HasGeluHead ? _layers.Gelu(x) : _layers.Activate(x, _config);
        return Normalise(x, head.Norm);
    }

    private string Embed(OnnxInputs inputs)
    {
        string words = Gather(_names.Words, inputs.Ids);
        long prompt = _adaptation.PromptSize;
        string ids = inputs.Ids;
        string? types = inputs.Types;
        if (prompt > 0)
        {
            Tensor mask = Parameter(_names.Words)
                .narrow(0, ((SoftPromptOptions)_model.PeftModule!.Options).MaskTokenId ?? _config.MaskTokenId!.Value, 1);
            string slots = _graph.Add("prompt", cat([mask, _adaptation.Prompt], 0).unsqueeze(0));
            words = _graph.Add("Concat", [_graph.Add("Expand", [slots, Column(inputs, [1, 1])]), words], ("axis", 1L));
            types = types is null ? null : _graph.Add("Concat", [Filled(inputs, prompt, 0), types], ("axis", 1L));
            ids = words;
        }

        string places = _layers.Places(ids, 1);
        string positions;
        if (Uncounted is not { } uncounted)
        {
            positions = Gather(_names.Positions, places);
        }
        else if (prompt > 0)
        {
            positions = Gather(_names.Positions, _layers.Sum(places, _graph.Scalar(uncounted + 1)));
        }
        else
        {
            // A padding token within a text has the position of padding, and positions after it do not count it.
            string counted = _graph.Add("Not", [_graph.Add("Equal", [inputs.Ids, _graph.Scalar(uncounted)])]);
            counted = _graph.Add("Cast", [counted], ("to", (long)OnnxType.Int64));
            string number = _layers.Mul(_graph.Add("CumSum", [counted, _graph.Scalar(1)]), counted);
            positions = Gather(_names.Positions, _layers.Sum(number, _graph.Scalar(uncounted)));
        }

        string sum = _layers.Sum(words, positions);
        if (_names.TokenTypes is { } table)
        {
            sum = _layers.Sum(sum, types is null ? _graph.Add(table, Parameter(table)[0]) : Gather(table, types));
        }

        string embedded = Normalise(sum, _names.EmbeddingNorm);
        string projection = _names.EmbeddingProjection;
        return _config.EmbeddingSize == _config.HiddenSize
            ? embedded
            : _layers.Linear(embedded, projection, Parameter(projection + ".weight"), Parameter(projection + ".bias"));

        string Gather(string name, string indices) => _graph.Add("Gather", [_graph.Add(name, Parameter(name)), indices], ("axis", 0L));
    }

    /// <summary>One post-norm layer, at all positions or at one.</summary>
    private string Layer(int index, string hidden, string? bias, string? positions)
    {
        var maps = _model.LinearLayersOf(index).ToDictionary(map => map.Place.Kind);
        string prefix = $"{_names.Layers}{index}.";
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
        string attended = Normalise(_layers.Sum(Map(TargetModules.AttentionOutput, context), scored), prefix + _names.Layer.AttentionNorm);
        string neurons = _layers.Activate(Map(TargetModules.Up, attended), _config);
        string sum = _layers.Sum(Map(TargetModules.Down, neurons), attended);
        string output = Normalise(sum, prefix + _names.Layer.OutputNorm);
        return _adaptation.Correction(output, maps[TargetModules.Down]) is { } correction
            ? Normalise(_layers.Sum(sum, correction), prefix + _names.Layer.OutputNorm, "corrected")
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
        if (HasDistances)
        {
            const int Farthest = RelativePositions.MpnetMaxDistance;
            string keyPlaces = _layers.Places(mask, 1);
            bias = _layers.Sum(
                bias,
                _layers.ByDistance(
                    positions is null ? _names.RelativePositions : _names.RelativePositions + ".last",
                    _model.DistanceBias(Farthest),
                    Farthest,
                    _graph.Add("Unsqueeze", positions is null ? [keyPlaces, _graph.Int64([0])] : [positions, _graph.Int64([1])]),
                    keyPlaces
                )
            );
        }

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
