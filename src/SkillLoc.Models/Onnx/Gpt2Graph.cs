using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Tuning;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Models.Onnx;

/// <summary>The graph of GPT-2. Padding stands behind the text, where nobody looks.</summary>
internal sealed class Gpt2Graph : IOnnxBackbone
{
    private readonly OnnxLayers _layers;
    private readonly OnnxModelBuilder _graph;
    private readonly Gpt2ForCausalLM _model;
    private readonly ModelConfig _config;
    private readonly OnnxAdaptation _adaptation;

    /// <param name="layers">Where nodes are added.</param>
    /// <param name="model">The model.</param>
    /// <exception cref="NotSupportedException">It has a soft prompt, whose place differs from row to row.</exception>
    public Gpt2Graph(OnnxLayers layers, Gpt2ForCausalLM model)
    {
        _layers = layers;
        _graph = layers.Graph;
        _model = model;
        _config = model.Config;
        _adaptation = new(layers, model);
        if (_adaptation.PromptSize > 0)
        {
            throw new NotSupportedException("A causal model with a soft prompt cannot be exported to ONNX.");
        }
    }

    /// <inheritdoc/>
    public string HiddenAt(OnnxInputs inputs) =>
        _graph.Add("Squeeze", [HiddenAt(inputs.Ids, _graph.Add("Unsqueeze", [inputs.Positions, _graph.Int64([1])])), _graph.Int64([1])]);

    /// <summary>The last layer's hidden states at several positions of each row, <c>[batch, count, hidden]</c>.</summary>
    /// <param name="ids">Int64 <c>[batch, sequence]</c>.</param>
    /// <param name="positions">Int64 <c>[batch, count]</c>.</param>
    public string HiddenAt(string ids, string positions)
    {
        (string hidden, string places, string keys) = Embed(ids);
        hidden = Layers(hidden, places, keys, _config.Layers - 1);
        string some = _layers.LookingBack(_graph.Add("Unsqueeze", [positions, _graph.Int64([1, 3])]), keys);
        return Normalise(Layer(_config.Layers - 1, hidden, some, positions), "transformer.ln_f");
    }

    /// <summary>Hidden states at every position, <c>[batch, sequence, hidden]</c>; behind the last layer normalised.</summary>
    /// <param name="ids">Int64 <c>[batch, sequence]</c>.</param>
    /// <param name="layers">How many layers they went through; 0 for the embeddings.</param>
    public string Hidden(string ids, int layers)
    {
        (string hidden, string places, string keys) = Embed(ids);
        hidden = Layers(hidden, places, keys, layers);
        return layers == _config.Layers ? Normalise(hidden, "transformer.ln_f") : hidden;
    }

    /// <summary>The embeddings, the places of queries, and those of keys.</summary>
    private (string Hidden, string Places, string Keys) Embed(string ids)
    {
        const string Words = "transformer.wte.weight";
        string words = _graph.Add("Gather", [_graph.Add(Words, Parameter(Words)), ids], ("axis", 0L));
        string places = _layers.Places(ids, 1);
        const string Positions = "transformer.wpe.weight";
        string hidden = _layers.Sum(words, _graph.Add("Gather", [_graph.Add(Positions, Parameter(Positions)), places], ("axis", 0L)));
        return (hidden, places, _adaptation.PrefixSize == 0 ? places : WithPrefix(places));
    }

    private string Layers(string hidden, string places, string keys, int count)
    {
        string all = _layers.LookingBack(_graph.Add("Unsqueeze", [places, _graph.Int64([-1])]), keys);
        for (int i = 0; i < count; i++)
        {
            hidden = Layer(i, hidden, all, null);
        }

        return hidden;
    }

    /// <inheritdoc/>
    public string WordScores(string hidden, Tensor words) =>
        _layers.Linear(hidden, "label_words", Head.index_select(0, words), bias: null, isHead: true);

    /// <inheritdoc/>
    public string WordScores(string hidden, string words) =>
        _layers.Rows(hidden, _config.TieWordEmbeddings ? Table : _graph.Add(Table, Head), words);

    /// <summary>Logits of the whole vocabulary.</summary>
    public string AllScores(string hidden) => _layers.Linear(hidden, "words", Head, bias: null);

    private string Table => _config.TieWordEmbeddings ? "transformer.wte.weight" : "lm_head.weight";

    private Parameter Head => Parameter(Table);

    /// <summary>Places of keys where those of a prefix stand before 0.</summary>
    private string WithPrefix(string places)
    {
        long[] before = [.. Enumerable.Range(0, (int)_adaptation.PrefixSize).Select(place => place - _adaptation.PrefixSize)];
        return _graph.Add("Concat", [_graph.Int64(before), places], ("axis", 0L));
    }

    /// <summary>One pre-norm layer, at all positions or at some.</summary>
    private string Layer(int index, string hidden, string bias, string? positions)
    {
        var maps = _model.LinearLayersOf(index).ToDictionary(map => map.Place.Kind);
        string name = $"transformer.h.{index}.";
        string normed = Normalise(hidden, name + "ln_1");
        string queried = normed;
        if (positions is not null)
        {
            hidden = Gathered(hidden, positions);
            queried = Gathered(normed, positions);
        }

        long heads = _config.Heads,
            size = _config.HeadSize;
        string query = _layers.SplitHeads(Map(TargetModules.Query, queried), heads, size);
        string keys = _adaptation.WithPrefix(_layers.SplitHeads(Map(TargetModules.Key, normed), heads, size), index, isValues: false);
        keys = _graph.Add("Transpose", [keys], ("perm", new long[] { 0, 1, 3, 2 }));
        string values = _adaptation.WithPrefix(_layers.SplitHeads(Map(TargetModules.Value, normed), heads, size), index, isValues: true);
        string context = _layers.Attend(query, keys, values, bias, _model.AttentionDivisor(index), heads * size);
        string attended = _layers.Sum(hidden, Map(TargetModules.AttentionOutput, context));
        string neurons = _layers.Activate(Map(TargetModules.Up, Normalise(attended, name + "ln_2")), _config);
        string sum = _layers.Sum(attended, Map(TargetModules.Down, neurons));
        return _adaptation.Correction(sum, maps[TargetModules.Down]) is { } correction ? _layers.Sum(sum, correction) : sum;

        string Map(TargetModules kind, string x) => _adaptation.Linear(x, maps[kind]);
    }

    /// <summary>Some positions of each row.</summary>
    private string Gathered(string x, string positions)
    {
        string index = _graph.Add("Unsqueeze", [positions, _graph.Int64([-1])]);
        return _graph.Add("GatherND", [x, index], ("batch_dims", 1L));
    }

    private string Normalise(string x, string name) =>
        _layers.Normalise(x, name, Parameter(name + ".weight"), Parameter(name + ".bias"), _config.LayerNormEpsilon);

    private Parameter Parameter(string name) => _model.Parameters[name];
}
