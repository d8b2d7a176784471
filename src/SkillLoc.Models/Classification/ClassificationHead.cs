using System.Collections.ObjectModel;
using SkillLoc.Models.Architectures;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.NativeCalls;
using SkillLoc.Models.Prompts;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace SkillLoc.Models.Classification;

/// <summary>Computes one logit per label from the output of the backbone, and owns the parameters that are not part of it.</summary>
internal abstract class ClassificationHead : IDisposable
{
    private protected ClassificationHead(HeadKind kind, IReadOnlyList<string> labels)
    {
        Kind = kind;
        Labels = labels;
    }

    /// <summary>The kind of head.</summary>
    public HeadKind Kind { get; }

    /// <summary>The labels, in the order of the logits; empty for free text.</summary>
    public IReadOnlyList<string> Labels { get; }

    /// <summary>The labels whose weights came from the trained head of the checkpoint; null if the checkpoint has no head of this kind, and
    /// for heads without parameters of their own.</summary>
    public HeadMatch? Match { get; private protected init; }

    /// <summary>The head's own parameters by Hugging Face name; empty for label words and generated answers.</summary>
    public virtual IReadOnlyDictionary<string, Parameter> Parameters => ReadOnlyDictionary<string, Parameter>.Empty;

    /// <summary>Creates a head.</summary>
    /// <param name="kind">The kind of head.</param>
    /// <param name="model">The backbone.</param>
    /// <param name="labels">The labels, at least 2; none for free text.</param>
    /// <param name="words">Vocabulary ids of the label words, for <see cref="HeadKind.LabelWords"/>.</param>
    /// <param name="stored">A checkpoint that may hold a trained head of this kind, whose rows are matched by label name (see
    /// <see cref="Match"/>); missing rows are initialised.</param>
    /// <param name="seed">Seed of the initialisation.</param>
    /// <param name="options">Each label's option as token ids, instead of <paramref name="words"/>, for a causal model that scores whole
    /// options and for <see cref="HeadKind.Generation"/>.</param>
    /// <exception cref="ArgumentException">Label words are missing, the backbone has no language-model head, or the model does not support
    /// the kind of head: a causal model has none on the first token or the mask, and an encoder-decoder only
    /// <see cref="HeadKind.Generation"/>.</exception>
    /// <exception cref="InvalidDataException">The checkpoint declares a head of this kind, but lacks its weights.</exception>
    public static ClassificationHead Create(
        HeadKind kind,
        LanguageModel model,
        IReadOnlyList<string> labels,
        IReadOnlyList<int>? words = null,
        CheckpointFolder? stored = null,
        int seed = 0,
        IReadOnlyList<int[]>? options = null
    )
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(labels);
        if (kind != HeadKind.Generation || labels.Count != 0)
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(labels.Count, 2, nameof(labels));
        }

        Check(kind, model.Config);
        return kind switch
        {
            HeadKind.LabelWords when options is not null => new OptionHead(model, labels, options),
            HeadKind.LabelWords => new VerbalizerHead(model, labels, words),
            HeadKind.Generation => new AnswerHead(model, labels, options),
            HeadKind.SequenceClassification => new SequenceClassificationHead(model, labels, stored, seed),
            _ => new LinearHead(kind, model, labels, stored, seed),
        };
    }

    /// <summary>Returns an independent copy.</summary>
    /// <param name="dtype">The type of the copy's weights; this head's by default.</param>
    /// <returns>The copy; the caller disposes it.</returns>
    public abstract ClassificationHead Clone(ScalarType? dtype = null);

    /// <summary>Releases the head's tensors.</summary>
    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Throws unless the model supports the kind of head.</summary>
    /// <exception cref="ArgumentException">It does not; the message names the kinds that it supports.</exception>
    internal static void Check(HeadKind kind, ModelConfig config)
    {
        bool writes = config.IsEncoderDecoder;
        if (writes != (kind == HeadKind.Generation))
        {
            throw new ArgumentException(
                writes
                    ? $"No {kind} head reads T5, which writes its answers: use {nameof(HeadKind)}.{HeadKind.Generation} with a "
                        + "text-to-text task."
                    : $"{kind} needs a model that writes its answers (T5), and {config.ModelType} is none.",
                nameof(kind)
            );
        }

        if (config.IsCausal && !kind.IsForCausal())
        {
            throw new ArgumentException(
                $"{kind} needs a model that reads in both directions; of a causal model ({config.ModelType}), whose first token sees "
                    + "nothing "
                    + $"else and which has no mask, use {HeadKind.LabelWords} or {HeadKind.SequenceClassification}, which read the "
                    + "last token.",
                nameof(kind)
            );
        }
    }

    /// <summary>The name of the last projection of a kind of head; empty if it has none.</summary>
    internal static string OutputName(HeadKind kind, ModelConfig config) =>
        kind switch
        {
            HeadKind.LabelWords or HeadKind.Generation => "",
            HeadKind.SequenceClassification => Architecture.Of(config).Classifier.Output,
            _ => LinearHead.Projection,
        };

    /// <summary>Whether a class of transformers has this head.</summary>
    internal virtual bool HasPythonClass => true;

    /// <summary>Whether a parameter belongs to the last projection, which has one row per label.</summary>
    internal virtual bool IsOutput(string name) => false;

    /// <summary>Copies another head's trained parameters. Rows of the last projection are matched by label name; rows of labels that the
    /// other head lacks are unchanged.</summary>
    /// <param name="values">The other head's parameters, under the same names.</param>
    /// <param name="labels">The other's labels, in the order of its rows; null if unknown, when as many rows are copied in order.</param>
    /// <param name="source">Their name in error messages.</param>
    /// <returns>The match of labels; null for a head without parameters of its own.</returns>
    /// <exception cref="InvalidDataException">The parameters of the heads differ in names or sizes.</exception>
    internal HeadMatch? Take(IReadOnlyDictionary<string, TensorValues> values, IReadOnlyList<string>? labels, string source)
    {
        if (!values.Keys.Order(StringComparer.Ordinal).SequenceEqual(Parameters.Keys.Order(StringComparer.Ordinal)))
        {
            throw new InvalidDataException(
                $"{source} carries the head parameters {Names(values.Keys)}, and this classifier has {Names(Parameters.Keys)}."
            );
        }

        if (Parameters.Count == 0)
        {
            return null;
        }

        labels ??= Labels;
        foreach ((string name, Parameter parameter) in Parameters)
        {
            long[] wanted = IsOutput(name) ? [labels.Count, .. parameter.shape[1..]] : parameter.shape;
            if (!values[name].Shape.SequenceEqual(wanted))
            {
                throw new InvalidDataException(
                    $"{source} carries the head parameter '{name}' of the shape [{string.Join(", ", values[name].Shape)}]; for "
                        + $"{labels.Count} labels and this classifier it must be [{string.Join(", ", wanted)}]."
                );
            }
        }

        var match = HeadMatch.Between(Labels, labels);
        using IDisposable noGradients = no_grad();
        foreach ((string name, Parameter parameter) in Parameters)
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor given = tensor(values[name].Values).view(values[name].Shape).to(parameter.dtype, parameter.device);
            parameter.copy_(IsOutput(name) ? match.Take(given, () => parameter.detach().clone()) : given);
        }

        return match;

        static string Names(IEnumerable<string> names) => $"[{string.Join(", ", names)}]";
    }

    /// <summary>Copies of the head's own parameters.</summary>
    internal Dictionary<string, TensorValues> Values()
    {
        using DisposeScope scope = NewDisposeScope();
        return Parameters.ToDictionary(pair => pair.Key, pair => TensorValues.Of(pair.Value), StringComparer.Ordinal);
    }

    /// <summary>Copies the parameters of a head of the same kind and labels.</summary>
    internal void CopyFrom(ClassificationHead other)
    {
        using IDisposable noGradients = no_grad();
        foreach ((string name, Parameter value) in Parameters)
        {
            value.copy_(other.Parameters[name]);
        }
    }

    /// <summary>The sequences that the backbone runs to score the rows: the rows themselves, or each row once per option.</summary>
    internal virtual IReadOnlyList<EncodedText> Sequences(IReadOnlyList<EncodedText> rows) => rows;

    /// <summary>Number of tokens that a row takes in a batch.</summary>
    internal virtual int TokensOf(EncodedText row) => row.Ids.Length;

    /// <summary>Runs the backbone and the head.</summary>
    /// <param name="model">The backbone.</param>
    /// <param name="batch">A batch of <see cref="Sequences"/>.</param>
    /// <param name="training">True enables dropout.</param>
    /// <returns><c>[rows, labels]</c>.</returns>
    /// <exception cref="InvalidOperationException">The model generates free text and has no labels.</exception>
    internal abstract Tensor Logits(LanguageModel model, TokenBatch batch, bool training);

    private protected abstract void Dispose(bool disposing);
}

/// <summary>A head that reads one hidden state per row, at the scored position.</summary>
internal abstract class HiddenStateHead(HeadKind kind, IReadOnlyList<string> labels) : ClassificationHead(kind, labels)
{
    internal sealed override Tensor Logits(LanguageModel model, TokenBatch batch, bool training)
    {
        using Held held = new(this);
        using Tensor hidden = model.EncodeAt(batch, training);
        return Logits(model, hidden, training);
    }

    /// <summary>Logits, one per label.</summary>
    /// <param name="model">The backbone.</param>
    /// <param name="hidden">Hidden states at the scored positions, <c>[batch, hidden]</c>.</param>
    /// <param name="training">True enables dropout.</param>
    /// <returns><c>[batch, labels]</c>.</returns>
    private protected abstract Tensor Logits(LanguageModel model, Tensor hidden, bool training);
}

/// <summary>The pre-trained language-model head, restricted to the label words.</summary>
internal sealed class VerbalizerHead : HiddenStateHead
{
    private readonly Tensor _words;

    public VerbalizerHead(LanguageModel model, IReadOnlyList<string> labels, IReadOnlyList<int>? words)
        : base(HeadKind.LabelWords, labels)
    {
        if (words is null || words.Count != labels.Count || !model.HasHead)
        {
            throw new ArgumentException("Label words need one word per label and a backbone with its language-model head.", nameof(words));
        }

        _words = tensor(words.Select(id => (long)id).ToArray(), device: model.Device).DetachFromDisposeScope();
    }

    private VerbalizerHead(VerbalizerHead other)
        : base(other.Kind, other.Labels) => _words = other._words.alias().DetachFromDisposeScope();

    /// <summary>The ids of the label words, Int64 <c>[labels]</c>.</summary>
    internal Tensor Words => _words;

    public override ClassificationHead Clone(ScalarType? dtype = null) => new VerbalizerHead(this);

    private protected override Tensor Logits(LanguageModel model, Tensor hidden, bool training)
    {
        using Held held = new(this, hidden);
        return model.WordScores(hidden, _words);
    }

    private protected override void Dispose(bool disposing) => _words.Dispose();
}

/// <summary>A head with parameters of its own that ends in a projection to the labels.</summary>
internal abstract class ProjectionHead : HiddenStateHead
{
    private readonly OrderedDictionary<string, Parameter> _parameters = new(StringComparer.Ordinal);
    private readonly string _output;
    private readonly StoredHead? _trained;

    /// <param name="kind">The kind of head.</param>
    /// <param name="labels">The labels.</param>
    /// <param name="output">The name of the last projection.</param>
    /// <param name="stored">A checkpoint that may hold a trained head of this kind.</param>
    private protected ProjectionHead(HeadKind kind, IReadOnlyList<string> labels, string output, CheckpointFolder? stored)
        : base(kind, labels)
    {
        _output = output;
        _trained = stored is null ? null : StoredHead.Find(stored, kind, output);
        Match = _trained is null ? null : HeadMatch.Between(labels, _trained.Labels);
    }

    private protected ProjectionHead(ProjectionHead other, ScalarType? dtype)
        : base(other.Kind, other.Labels)
    {
        _output = other._output;
        Match = other.Match;
        foreach ((string name, Parameter value) in other._parameters)
        {
            using Tensor detached = value.detach();
            Add(name, detached.to(dtype ?? detached.dtype, copy: true));
        }
    }

    public sealed override IReadOnlyDictionary<string, Parameter> Parameters => _parameters;

    internal sealed override bool IsOutput(string name) =>
        _parameters.ContainsKey(name) && name.StartsWith(_output + ".", StringComparison.Ordinal);

    /// <summary>Adds a parameter of the last projection: trained rows where the label has one, else initialised rows.</summary>
    private protected void AddRows(string name, long[] shape, LanguageModel model, Func<long[], Tensor> initialise)
    {
        using DisposeScope scope = NewDisposeScope();
        Add(
            name,
            _trained is null
                ? Fresh()
                : Match!.Take(_trained.Read(name, [_trained.Labels.Count, .. shape[1..]], model.Dtype, model.Device), Fresh)
        );

        Tensor Fresh() => initialise(shape).to(model.Dtype, model.Device);
    }

    /// <summary>Adds a parameter that all labels share.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="shape">Its shape.</param>
    /// <param name="model">The backbone.</param>
    /// <param name="initialise">Creates the initial value.</param>
    /// <param name="pretrained">A checkpoint that contains the parameter regardless of its head; null if only a trained head contains
    /// it.</param>
    private protected void AddWhole(
        string name,
        long[] shape,
        LanguageModel model,
        Func<long[], Tensor> initialise,
        CheckpointFolder? pretrained
    )
    {
        using DisposeScope scope = NewDisposeScope();
        Add(
            name,
            _trained is not null ? _trained.Read(name, shape, model.Dtype, model.Device)
                : pretrained is not null && StoredTensor.Exists(pretrained, name, shape)
                    ? StoredTensor.Read(pretrained, name, shape, model.Device, model.Dtype)
                : initialise(shape).to(model.Dtype, model.Device)
        );
    }

    private protected Tensor Linear(string name, Tensor input) =>
        F.linear(input, _parameters[name + ".weight"], _parameters.GetValueOrDefault(name + ".bias"));

    private protected static double Dropout(LanguageModel model, bool training) =>
        training ? model.Dropout ?? model.Config.ClassifierDropout : 0;

    private protected override void Dispose(bool disposing)
    {
        foreach (Parameter parameter in _parameters.Values)
        {
            parameter.Dispose();
        }
    }

    private void Add(string name, Tensor value)
    {
        var parameter = new Parameter(value, requires_grad: false);
        parameter.DetachFromDisposeScope();
        _parameters.Add(name, parameter);
    }
}

/// <summary>The sequence-classification head of the Python classes: dense, activation, output projection; for causal models one projection
/// without bias.</summary>
internal sealed class SequenceClassificationHead : ProjectionHead
{
    private readonly ClassifierForm _form;

    /// <summary>The names and the activation.</summary>
    internal ClassifierForm Form => _form;

    public SequenceClassificationHead(LanguageModel model, IReadOnlyList<string> labels, CheckpointFolder? stored, int seed)
        : base(HeadKind.SequenceClassification, labels, Architecture.Of(model.Config).Classifier.Output, stored)
    {
        _form = Architecture.Of(model.Config).Classifier;
        long hidden = model.Config.HiddenSize;
        using var generator = new Generator((ulong)(uint)seed);
        if (_form.Dense.Length > 0)
        {
            // BERT's pooler is pre-trained, whatever head the checkpoint has.
            CheckpointFolder? pretrained = _form.IsPretrained ? stored : null;
            AddWhole(_form.Dense + ".weight", [hidden, hidden], model, Normal, pretrained);
            AddWhole(_form.Dense + ".bias", [hidden], model, shape => zeros(shape), pretrained);
        }

        AddRows(_form.Output + ".weight", [labels.Count, hidden], model, Normal);
        if (_form.Dense.Length > 0)
        {
            AddRows(_form.Output + ".bias", [labels.Count], model, shape => zeros(shape));
        }

        Tensor Normal(long[] shape) => randn(shape, generator: generator).Mul_(model.Config.InitializerRange);
    }

    private SequenceClassificationHead(SequenceClassificationHead other, ScalarType? dtype)
        : base(other, dtype) => _form = other._form;

    public override ClassificationHead Clone(ScalarType? dtype = null) => new SequenceClassificationHead(this, dtype);

    private protected override Tensor Logits(LanguageModel model, Tensor hidden, bool training)
    {
        using Held held = new(this, hidden);
        if (_form.Dense.Length == 0)
        {
            // GPT2ForSequenceClassification has neither bias nor dropout.
            return Linear(_form.Output, hidden);
        }

        using DisposeScope scope = NewDisposeScope();
        double dropout = Dropout(model, training);

        Tensor input = _form.DropsInput ? model.Drop(hidden, dropout) : hidden;
        Tensor dense = Activation.Named(_form.Activation)(Linear(_form.Dense, input));
        return Linear(_form.Output, model.Drop(dense, dropout)).MoveToOuterDisposeScope();
    }
}

/// <summary>One linear layer on the first token or on the mask.</summary>
internal sealed class LinearHead : ProjectionHead
{
    public const string Projection = "classifier";

    public LinearHead(HeadKind kind, LanguageModel model, IReadOnlyList<string> labels, CheckpointFolder? stored, int seed)
        : base(kind, labels, Projection, stored)
    {
        long hidden = model.Config.HiddenSize;
        double bound = 1 / Math.Sqrt(hidden);
        using var generator = new Generator((ulong)(uint)seed);
        AddRows(Projection + ".weight", [labels.Count, hidden], model, Uniform);
        AddRows(Projection + ".bias", [labels.Count], model, Uniform);

        Tensor Uniform(long[] shape) => rand(shape, generator: generator).Mul_(2 * bound).Sub_(bound);
    }

    private LinearHead(LinearHead other, ScalarType? dtype)
        : base(other, dtype) { }

    internal override bool HasPythonClass => false;

    public override ClassificationHead Clone(ScalarType? dtype = null) => new LinearHead(this, dtype);

    private protected override Tensor Logits(LanguageModel model, Tensor hidden, bool training)
    {
        using Held held = new(this, hidden);
        using DisposeScope scope = NewDisposeScope();
        return Linear(Projection, model.Drop(hidden, Dropout(model, training))).MoveToOuterDisposeScope();
    }
}
