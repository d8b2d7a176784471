using SkillLoc.Models.Backbones;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace SkillLoc.Benchmarks;

/// <summary>BERT or RoBERTa with its masked-language-model head, put together from TorchSharp's own modules.</summary>
internal sealed class PlainModel : nn.Module<Tensor, Tensor, Tensor, Tensor>
{
    private readonly Embedding _words;
    private readonly Embedding _positions;
    private readonly Embedding _types;
    private readonly LayerNorm _norm;
    private readonly Dropout _dropout;
    private readonly ModuleList<PlainLayer> _layers = new();
    private readonly Linear _dense;
    private readonly LayerNorm _headNorm;
    private readonly Parameter _bias;
    private readonly long _firstPosition;
    private readonly long[] _labels;

    /// <param name="model">The model whose weights are copied.</param>
    /// <param name="labels">The label words' ids.</param>
    /// <param name="fused">Whether attention is libtorch's <c>scaled_dot_product_attention</c>.</param>
    public PlainModel(LanguageModel model, long[] labels, bool fused)
        : base(nameof(PlainModel))
    {
        bool isBert = model.Config.ModelType == "bert";
        string start = model.Config.ModelType;
        string head = isBert ? "cls.predictions.transform." : "lm_head.";
        _labels = labels;
        _firstPosition = isBert ? 0 : 2;
        _words = Table("word_embeddings");
        _positions = Table("position_embeddings");
        _types = Table("token_type_embeddings");
        _norm = PlainLayer.Norm(model, start + ".embeddings.LayerNorm");
        _dropout = nn.Dropout(model.Config.HiddenDropout);
        for (int i = 0; i < model.Config.Layers; i++)
        {
            _layers.Add(new PlainLayer(model, $"{start}.encoder.layer.{i}.", fused));
        }

        _dense = PlainLayer.Linear(model, head + "dense");
        _headNorm = PlainLayer.Norm(model, head + (isBert ? "LayerNorm" : "layer_norm"));
        _bias = new Parameter(model.Parameters[isBert ? "cls.predictions.bias" : "lm_head.bias"].detach().clone());
        RegisterComponents();

        Embedding Table(string name) =>
            nn.Embedding_from_pretrained(model.Parameters[$"{start}.embeddings.{name}.weight"].detach().clone(), freeze: false);
    }

    /// <summary>The parameters that are trained: those of the layers.</summary>
    public Parameter[] Trained => [.. _layers.parameters()];

    /// <summary>The layers' activations of feed-forward neurons in the last pass, <c>[batch, length, neurons]</c>.</summary>
    public IEnumerable<Tensor> Neurons => _layers.Select(layer => layer.Neurons!);

    /// <summary>The logits of the label words: the whole sequence and then, at the mask, the whole vocabulary are computed.</summary>
    /// <param name="ids"><c>[batch, length]</c>.</param>
    /// <param name="mask">1 for tokens and 0 for padding, <c>[batch, length]</c>.</param>
    /// <param name="positions">The mask of each row.</param>
    /// <returns><c>[batch, labels]</c>.</returns>
    public override Tensor forward(Tensor ids, Tensor mask, Tensor positions)
    {
        Tensor places = arange(_firstPosition, _firstPosition + ids.size(1));
        Tensor x = _words.call(ids) + _positions.call(places) + _types.call(zeros_like(ids));
        x = _dropout.call(_norm.call(x));
        Tensor unseen = (1f - mask.to(float32)).view(ids.size(0), 1, 1, ids.size(1)) * -10000f;
        foreach (PlainLayer layer in _layers)
        {
            x = layer.call(x, unseen);
        }

        Tensor atMask = x.gather(1, positions.view(-1, 1, 1).expand(-1, 1, x.size(2))).squeeze(1);
        Tensor scores = F.linear(_headNorm.call(F.gelu(_dense.call(atMask))), _words.weight!, _bias);
        return scores.index_select(1, tensor(_labels));
    }
}

/// <summary>One layer.</summary>
internal sealed class PlainLayer : nn.Module<Tensor, Tensor, Tensor>
{
    private readonly Linear _query;
    private readonly Linear _key;
    private readonly Linear _value;
    private readonly Linear _attention;
    private readonly LayerNorm _attentionNorm;
    private readonly Linear _up;
    private readonly Linear _down;
    private readonly LayerNorm _outputNorm;
    private readonly Dropout _dropout;
    private readonly Dropout _attentionDropout;
    private readonly long _heads;
    private readonly double _dropped;
    private readonly bool _fused;

    public PlainLayer(LanguageModel model, string name, bool fused)
        : base(nameof(PlainLayer))
    {
        _query = Linear(model, name + "attention.self.query");
        _key = Linear(model, name + "attention.self.key");
        _value = Linear(model, name + "attention.self.value");
        _attention = Linear(model, name + "attention.output.dense");
        _attentionNorm = Norm(model, name + "attention.output.LayerNorm");
        _up = Linear(model, name + "intermediate.dense");
        _down = Linear(model, name + "output.dense");
        _outputNorm = Norm(model, name + "output.LayerNorm");
        _dropout = nn.Dropout(model.Config.HiddenDropout);
        _dropped = model.Config.AttentionDropout;
        _attentionDropout = nn.Dropout(_dropped);
        _heads = model.Config.Heads;
        _fused = fused;
        RegisterComponents();
    }

    public Tensor? Neurons { get; private set; }

    public override Tensor forward(Tensor x, Tensor unseen)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor query = Split(_query.call(x)),
            key = Split(_key.call(x)),
            value = Split(_value.call(x));
        Tensor context = _fused
            ? F.scaled_dot_product_attention(query, key, value, unseen, training ? _dropped : 0)
            : _attentionDropout
                .call(F.softmax((query.matmul(key.transpose(-1, -2)) / MathF.Sqrt(query.size(-1))) + unseen, -1))
                .matmul(value);
        context = context.transpose(1, 2).reshape(x.shape);
        Tensor attended = _attentionNorm.call(_dropout.call(_attention.call(context)) + x);
        Neurons = F.gelu(_up.call(attended)).MoveToOuterDisposeScope();
        return _outputNorm.call(_dropout.call(_down.call(Neurons)) + attended).MoveToOuterDisposeScope();
    }

    public static Linear Linear(LanguageModel model, string name)
    {
        Parameter weight = model.Parameters[name + ".weight"];
        Linear linear = nn.Linear(weight.size(1), weight.size(0));
        Copy(linear.weight!, weight);
        Copy(linear.bias!, model.Parameters[name + ".bias"]);
        return linear;
    }

    public static LayerNorm Norm(LanguageModel model, string name)
    {
        Parameter weight = model.Parameters[name + ".weight"];
        LayerNorm norm = nn.LayerNorm(weight.size(0), model.Config.LayerNormEpsilon);
        Copy(norm.weight!, weight);
        Copy(norm.bias!, model.Parameters[name + ".bias"]);
        return norm;
    }

    private static void Copy(Tensor target, Tensor source)
    {
        using IDisposable none = no_grad();
        target.copy_(source);
    }

    private Tensor Split(Tensor x) => x.view(x.size(0), x.size(1), _heads, -1).transpose(1, 2);
}
