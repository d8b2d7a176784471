using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace SkillLoc.Models.Classification;

/// <summary>Makes one logit per label of the hidden state at the scored position. Owns the parameters that the backbone lacks.</summary>
public sealed class ClassificationHead : IDisposable
{
    private readonly OrderedDictionary<string, Parameter> _parameters = new(StringComparer.Ordinal);
    private readonly Tensor? _words;
    private readonly string _dense = "";
    private readonly string _output = "classifier";

    /// <summary>Makes a head.</summary>
    /// <param name="kind">Which.</param>
    /// <param name="model">The backbone that it will read.</param>
    /// <param name="labels">Number of labels, at least 2.</param>
    /// <param name="words">Vocabulary ids of the label words, for <see cref="HeadKind.LabelWords"/>.</param>
    /// <param name="stored">A checkpoint that may hold trained head parameters; where it does not, they are initialised.</param>
    /// <param name="seed">Seed of the initialisation.</param>
    /// <exception cref="ArgumentException">Label words are asked for and there are none, or the backbone has no head.</exception>
    public ClassificationHead(
        HeadKind kind, LanguageModel model, int labels, IReadOnlyList<int>? words = null, CheckpointFolder? stored = null, int seed = 0)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentOutOfRangeException.ThrowIfLessThan(labels, 2);
        Kind = kind;
        long hidden = model.Config.HiddenSize;
        using var scope = NewDisposeScope();
        using var generator = new Generator((ulong)(uint)seed);
        switch (kind)
        {
            case HeadKind.LabelWords:
                if (words is null || words.Count != labels || !model.HasHead)
                {
                    throw new ArgumentException("Label words need one word per label and a backbone with its language-model head.", nameof(words));
                }

                _words = tensor(words.Select(id => (long)id).ToArray(), device: model.Device).DetachFromDisposeScope();
                break;
            case HeadKind.SequenceClassification:
                bool roberta = model is RobertaForMaskedLM;
                _dense = roberta ? "classifier.dense" : "bert.pooler.dense";
                _output = roberta ? "classifier.out_proj" : "classifier";
                Add(_dense, hidden, Normal, shape => zeros(shape));
                Add(_output, labels, Normal, shape => zeros(shape));
                Tensor Normal(long[] shape) => randn(shape, generator: generator).mul_(model.Config.InitializerRange);
                break;
            default:
                double bound = 1 / Math.Sqrt(hidden);
                Add(_output, labels, Uniform, Uniform);
                Tensor Uniform(long[] shape) => rand(shape, generator: generator).mul_(2 * bound).sub_(bound);
                break;
        }

        void Add(string name, long outputs, Func<long[], Tensor> weight, Func<long[], Tensor> bias)
        {
            AddParameter(name + ".weight", [outputs, hidden], weight);
            AddParameter(name + ".bias", [outputs], bias);
        }

        void AddParameter(string name, long[] shape, Func<long[], Tensor> initialise)
        {
            bool trained = stored is not null && stored.Weights.Tensors.Any(info => info.Name == name && info.Shape.SequenceEqual(shape));
            Tensor value = trained ? stored!.Weights.ReadFinite(name, model.Dtype, model.Device) : initialise(shape).to(model.Dtype, model.Device);
            var parameter = new Parameter(value, requires_grad: false);
            parameter.DetachFromDisposeScope();
            _parameters.Add(name, parameter);
        }
    }

    private ClassificationHead(ClassificationHead other, ScalarType? dtype)
    {
        Kind = other.Kind;
        _dense = other._dense;
        _output = other._output;
        _words = other._words?.alias().DetachFromDisposeScope();
        foreach ((string name, Parameter value) in other._parameters)
        {
            using Tensor detached = value.detach();
            var copy = new Parameter(detached.to(dtype ?? detached.dtype, copy: true), requires_grad: false);
            copy.DetachFromDisposeScope();
            _parameters.Add(name, copy);
        }
    }

    /// <summary>Which head this is.</summary>
    public HeadKind Kind { get; }

    /// <summary>The head's own parameters by Hugging Face name; empty for label words.</summary>
    public IReadOnlyDictionary<string, Parameter> Parameters => _parameters;

    /// <summary>Logits, one per label.</summary>
    /// <param name="model">The backbone.</param>
    /// <param name="hidden">Hidden states at the scored positions, <c>[batch, hidden]</c>.</param>
    /// <param name="training">True switches dropout on.</param>
    /// <returns><c>[batch, labels]</c>.</returns>
    public Tensor Logits(LanguageModel model, Tensor hidden, bool training = false)
    {
        ArgumentNullException.ThrowIfNull(model);
        if (Kind == HeadKind.LabelWords)
        {
            return model.WordScores(hidden, _words);
        }

        using var scope = NewDisposeScope();
        double dropout = training ? model.Dropout ?? model.Config.ClassifierDropout : 0;
        Tensor features = Drop(hidden);
        if (Kind == HeadKind.SequenceClassification)
        {
            // BERT's pooler has no dropout before it.
            Tensor input = model is RobertaForMaskedLM ? features : hidden;
            features = Drop(Linear(_dense, input).tanh());
        }

        return Linear(_output, features).MoveToOuterDisposeScope();

        Tensor Drop(Tensor x) => dropout > 0 ? F.dropout(x, dropout) : x;
        Tensor Linear(string name, Tensor x) => F.linear(x, _parameters[name + ".weight"], _parameters[name + ".bias"]);
    }

    /// <summary>A head of its own with the same weights.</summary>
    /// <param name="dtype">The type of the copy's weights; this head's by default.</param>
    /// <returns>The copy; the caller disposes it.</returns>
    public ClassificationHead Clone(ScalarType? dtype = null) => new(this, dtype);

    /// <inheritdoc/>
    public void Dispose()
    {
        _words?.Dispose();
        foreach (Parameter parameter in _parameters.Values)
        {
            parameter.Dispose();
        }
    }
}
