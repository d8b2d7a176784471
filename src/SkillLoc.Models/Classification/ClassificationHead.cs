using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.NativeCalls;
using SkillLoc.Models.Prompts;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace SkillLoc.Models.Classification;

/// <summary>
/// Makes one logit per label, of the hidden state at the scored position or of whole options. Owns the parameters that the backbone lacks.
/// </summary>
public sealed class ClassificationHead : IDisposable
{
    private const string ScoreProjection = "score";
    private readonly OrderedDictionary<string, Parameter> _parameters = new(StringComparer.Ordinal);
    private readonly Tensor? _words;
    private readonly OptionLikelihood? _options;

    // Each label's answer as targets, [labels, length].
    private readonly Tensor? _answers;
    private readonly string _dense;
    private readonly string _output;

    /// <summary>Makes a head.</summary>
    /// <param name="kind">Which.</param>
    /// <param name="model">The backbone that it will read.</param>
    /// <param name="labels">The labels, at least 2; none for a model that writes free text.</param>
    /// <param name="words">Vocabulary ids of the label words, for <see cref="HeadKind.LabelWords"/>.</param>
    /// <param name="stored">A checkpoint that may hold a trained head of this kind, whose rows are taken by the names of their labels (see
    /// <see cref="Match"/>); what it lacks is initialised.</param>
    /// <param name="seed">Seed of the initialisation.</param>
    /// <param name="options">Each label's option as token ids, instead of <paramref name="words"/>, for a causal model that scores whole
    /// options, and for <see cref="HeadKind.Generation"/>.</param>
    /// <exception cref="ArgumentException">Label words are asked for and there are none, the backbone has no head, a causal model is
    /// asked for a head on the first token or the mask, or a model writes its answers and the other kind of head is asked for.</exception>
    /// <exception cref="InvalidDataException">The checkpoint says that it holds a head of this kind, and its weights do not.</exception>
    public ClassificationHead(
        HeadKind kind, LanguageModel model, IReadOnlyList<string> labels, IReadOnlyList<int>? words = null, CheckpointFolder? stored = null,
        int seed = 0, IReadOnlyList<int[]>? options = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(labels);
        if (kind != HeadKind.Generation || labels.Count != 0)
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(labels.Count, 2, nameof(labels));
        }

        Check(kind, model.Config);
        Kind = kind;
        Labels = labels;
        long hidden = model.Config.HiddenSize;
        using var scope = NewDisposeScope();
        using var generator = new Generator((ulong)(uint)seed);
        switch (kind)
        {
            case HeadKind.LabelWords when options is not null:
                if (options.Count != labels.Count || options.Any(option => option.Length == 0)
                    || model is not Gpt2ForCausalLM { HasHead: true })
                {
                    throw new ArgumentException("Whole options need one option per label and a causal model with its head.", nameof(options));
                }

                _options = new OptionLikelihood([.. options], model.Device);
                break;
            case HeadKind.LabelWords:
                if (words is null || words.Count != labels.Count || !model.HasHead)
                {
                    throw new ArgumentException("Label words need one word per label and a backbone with its language-model head.", nameof(words));
                }

                _words = tensor(words.Select(id => (long)id).ToArray(), device: model.Device).DetachFromDisposeScope();
                break;
            case HeadKind.Generation:
                if ((options?.Count ?? 0) != labels.Count || !model.HasHead)
                {
                    throw new ArgumentException("Writing answers needs one for each label and a backbone with its language-model head.", nameof(options));
                }

                _answers = options is null ? null : T5ForConditionalGeneration.Targets(options, model.Device).DetachFromDisposeScope();
                break;
        }

        (_dense, _output) = NamesOf(kind, model.Config);
        if (_output.Length == 0)
        {
            return;
        }

        StoredHead? trained = stored is null ? null : StoredHead.Find(stored, kind, _output);
        Match = trained is null ? null : HeadMatch.Between(labels, trained.Labels);
        if (kind == HeadKind.SequenceClassification)
        {
            if (_dense.Length > 0)
            {
                Add(_dense, hidden, Normal, shape => zeros(shape));
            }

            Add(_output, labels.Count, Normal, _dense.Length > 0 ? shape => zeros(shape) : null);
        }
        else
        {
            double bound = 1 / Math.Sqrt(hidden);
            Add(_output, labels.Count, Uniform, Uniform);
            Tensor Uniform(long[] shape) => rand(shape, generator: generator).Mul_(2 * bound).Sub_(bound);
        }

        Tensor Normal(long[] shape) => randn(shape, generator: generator).Mul_(model.Config.InitializerRange);

        void Add(string name, long outputs, Func<long[], Tensor> weight, Func<long[], Tensor>? bias)
        {
            AddParameter(name + ".weight", [outputs, hidden], weight);
            if (bias is not null)
            {
                AddParameter(name + ".bias", [outputs], bias);
            }
        }

        void AddParameter(string name, long[] shape, Func<long[], Tensor> initialise)
        {
            var parameter = new Parameter(
                name.StartsWith(_output + ".", StringComparison.Ordinal) ? Rows(name, shape, initialise) : Whole(name, shape, initialise),
                requires_grad: false);
            parameter.DetachFromDisposeScope();
            _parameters.Add(name, parameter);
        }

        // BERT's pooler is pre-trained, whatever head the checkpoint has.
        Tensor Whole(string name, long[] shape, Func<long[], Tensor> initialise)
        {
            bool isThere = stored is not null && (trained is not null || _dense == "bert.pooler.dense")
                && stored.Weights.Tensors.Any(info => info.Name == name && info.Shape.SequenceEqual(shape));
            return isThere ? stored!.Weights.ReadFinite(name, model.Dtype, model.Device)
                : trained is null ? Fresh(shape, initialise)
                : throw trained.Lacks(name, shape);
        }

        Tensor Rows(string name, long[] shape, Func<long[], Tensor> initialise)
        {
            if (trained is null)
            {
                return Fresh(shape, initialise);
            }

            using var own = NewDisposeScope();
            Tensor rows = trained.Read(name, [trained.Labels.Count, .. shape[1..]], model.Dtype, model.Device);
            return Match!.Take(rows, () => Fresh(shape, initialise)).MoveToOuterDisposeScope();
        }

        Tensor Fresh(long[] shape, Func<long[], Tensor> initialise) => initialise(shape).to(model.Dtype, model.Device);
    }

    private ClassificationHead(ClassificationHead other, ScalarType? dtype)
    {
        Kind = other.Kind;
        Labels = other.Labels;
        Match = other.Match;
        _dense = other._dense;
        _output = other._output;
        _words = other._words?.alias().DetachFromDisposeScope();
        _options = other._options?.Clone();
        _answers = other._answers?.alias().DetachFromDisposeScope();
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

    /// <summary>The labels, in the order of the logits.</summary>
    public IReadOnlyList<string> Labels { get; }

    /// <summary>What was taken over of the trained head of the checkpoint that this one was made from; null where there was none of this
    /// kind, and for heads without parameters of their own.</summary>
    public HeadMatch? Match { get; }

    /// <summary>The head's own parameters by Hugging Face name; empty for label words and where the model writes.</summary>
    public IReadOnlyDictionary<string, Parameter> Parameters => _parameters;

    /// <summary>The names of a head's hidden layer and of its last projection; empty where it has none.</summary>
    internal static (string Dense, string Output) NamesOf(HeadKind kind, ModelConfig config) => (kind, config.ModelType) switch
    {
        (HeadKind.LabelWords or HeadKind.Generation, _) => ("", ""),
        (HeadKind.SequenceClassification, "gpt2") => ("", ScoreProjection),
        (HeadKind.SequenceClassification, "roberta") => ("classifier.dense", "classifier.out_proj"),
        (HeadKind.SequenceClassification, _) => ("bert.pooler.dense", "classifier"),
        _ => ("", "classifier"),
    };

    /// <summary>Whether a parameter is of the last projection, whose rows are the task's labels.</summary>
    internal bool IsOutput(string name) =>
        _parameters.ContainsKey(name) && name.StartsWith(_output + ".", StringComparison.Ordinal);

    /// <summary>Takes over another head's trained parameters, the rows of the last projection by the names of their labels; rows of labels
    /// that the other lacks stay as they are.</summary>
    /// <param name="values">The other's parameters, which have the names of this one's.</param>
    /// <param name="labels">The other's labels, in the order of its rows; null where they are not known, and as many rows are taken in
    /// order.</param>
    /// <param name="source">What they are called in messages.</param>
    /// <returns>What was taken; null for a head without parameters of its own.</returns>
    /// <exception cref="InvalidDataException">The other head has other parameters, or of other sizes.</exception>
    internal HeadMatch? Take(
        IReadOnlyDictionary<string, (long[] Shape, float[] Values)> values, IReadOnlyList<string>? labels, string source)
    {
        if (!values.Keys.Order(StringComparer.Ordinal).SequenceEqual(_parameters.Keys.Order(StringComparer.Ordinal)))
        {
            throw new InvalidDataException(
                $"{source} carries the head parameters {Names(values.Keys)}, and this classifier has {Names(_parameters.Keys)}.");
        }

        if (_parameters.Count == 0)
        {
            return null;
        }

        labels ??= Labels;
        foreach ((string name, Parameter parameter) in _parameters)
        {
            long[] wanted = IsOutput(name) ? [labels.Count, .. parameter.shape[1..]] : parameter.shape;
            if (!values[name].Shape.SequenceEqual(wanted))
            {
                throw new InvalidDataException(
                    $"{source} carries the head parameter '{name}' of the shape [{string.Join(", ", values[name].Shape)}]; for "
                    + $"{labels.Count} labels and this classifier it must be [{string.Join(", ", wanted)}].");
            }
        }

        HeadMatch match = HeadMatch.Between(Labels, labels);
        using IDisposable noGradients = no_grad();
        foreach ((string name, Parameter parameter) in _parameters)
        {
            using var scope = NewDisposeScope();
            Tensor given = tensor(values[name].Values).view(values[name].Shape).to(parameter.dtype, parameter.device);
            parameter.copy_(IsOutput(name) ? match.Take(given, () => parameter.detach().clone()) : given);
        }

        return match;

        static string Names(IEnumerable<string> names) => $"[{string.Join(", ", names)}]";
    }

    /// <summary>Throws unless a head can read a model.</summary>
    /// <exception cref="ArgumentException">It cannot; the message says which can.</exception>
    internal static void Check(HeadKind kind, ModelConfig config)
    {
        bool writes = config.IsEncoderDecoder;
        if (writes != (kind == HeadKind.Generation))
        {
            throw new ArgumentException(
                writes
                    ? $"No {kind} head reads T5, which writes its answers: use {nameof(HeadKind)}.{HeadKind.Generation} with a text-to-text task."
                    : $"{kind} needs a model that writes its answers (T5), and {config.ModelType} is none.",
                nameof(kind));
        }

        if (config.IsCausal && kind is not (HeadKind.LabelWords or HeadKind.SequenceClassification))
        {
            throw new ArgumentException(
                $"{kind} needs a model that reads in both directions; of a causal model ({config.ModelType}), whose first token sees nothing "
                + $"else and which has no mask, use {HeadKind.LabelWords} or {HeadKind.SequenceClassification}, which read the last token.",
                nameof(kind));
        }
    }

    /// <summary>The sequences that the backbone must run to score some rows: the rows, or each once for each option.</summary>
    internal IReadOnlyList<EncodedText> Sequences(IReadOnlyList<EncodedText> rows) => _options?.Expand(rows) ?? rows;

    /// <summary>The tokens that a row costs in a batch.</summary>
    internal int TokensOf(EncodedText row) => _options?.TokensOf(row) ?? (row.Ids.Length + (int)(_answers?.numel() ?? 0));

    /// <summary>Runs the backbone where the head reads it, and the head.</summary>
    /// <param name="model">The backbone.</param>
    /// <param name="batch">A batch of <see cref="Sequences"/>.</param>
    /// <param name="training">True switches dropout on.</param>
    /// <returns><c>[rows, labels]</c>.</returns>
    /// <exception cref="InvalidOperationException">The model writes free text, which has no labels.</exception>
    internal Tensor Logits(LanguageModel model, TokenBatch batch, bool training)
    {
        using Held held = new(this);
        if (Kind == HeadKind.Generation)
        {
            return AnswerScores((T5ForConditionalGeneration)model, batch, training);
        }

        if (_options is not null)
        {
            return _options.Scores((Gpt2ForCausalLM)model, batch, training);
        }

        using Tensor hidden = model.EncodeAt(batch, training);
        return Logits(model, hidden, training);
    }

    /// <summary>Logits, one per label.</summary>
    /// <param name="model">The backbone.</param>
    /// <param name="hidden">Hidden states at the scored positions, <c>[batch, hidden]</c>.</param>
    /// <param name="training">True switches dropout on.</param>
    /// <returns><c>[batch, labels]</c>.</returns>
    /// <exception cref="InvalidOperationException">This head scores whole options or answers, for which one hidden state does not do.</exception>
    public Tensor Logits(LanguageModel model, Tensor hidden, bool training = false)
    {
        ArgumentNullException.ThrowIfNull(model);
        using Held held = new(this, hidden);
        if (_options is not null || Kind == HeadKind.Generation)
        {
            throw new InvalidOperationException("This head scores whole options or answers; TextClassifier.Logits runs it.");
        }

        if (Kind == HeadKind.LabelWords)
        {
            return model.WordScores(hidden, _words);
        }

        if (model is Gpt2ForCausalLM)
        {
            // GPT2ForSequenceClassification has neither bias nor dropout.
            return F.linear(hidden, _parameters[ScoreProjection + ".weight"]);
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

        Tensor Drop(Tensor x) => model.Drop(x, dropout);
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
        _options?.Dispose();
        _answers?.Dispose();
        foreach (Parameter parameter in _parameters.Values)
        {
            parameter.Dispose();
        }
    }

    /// <summary>
    /// For a model that writes the labels' answers: their logits by the first token in which they differ, after the tokens that all begin
    /// with (methods, C.6); where two of them differ later only, the log-likelihoods of the whole answers.
    /// </summary>
    /// <returns><c>[rows, labels]</c>.</returns>
    internal Tensor AnswerTokenScores(T5ForConditionalGeneration model, TokenBatch batch)
    {
        using Held held = new(this);
        if (_answers is null || DecidingToken(_answers) is not { } step)
        {
            return AnswerScores(model, batch, training: false);
        }

        using var scope = NewDisposeScope();
        Tensor begun = _answers.narrow(0, 0, 1).narrow(1, 0, step + 1).expand(batch.Ids.size(0), -1);
        Tensor hidden = model.Decode(batch, model.ShiftRight(begun)).select(1, step);
        return model.WordScores(hidden, _answers.select(1, step)).MoveToOuterDisposeScope();
    }

    /// <summary>The place of the first token that is not the same in all answers; null where it is the same in some.</summary>
    private static int? DecidingToken(Tensor answers)
    {
        int length = (int)answers.size(1);
        long[][] ids = [.. answers.cpu().data<long>().ToArray().Chunk(length)];
        for (int i = 0; i < length; i++)
        {
            int different = ids.Select(answer => answer[i]).Distinct().Count();
            if (different > 1)
            {
                return different == ids.Length ? i : null;
            }
        }

        return null;
    }

    /// <summary>The log-likelihood of each label's answer; a text is read once for all of them.</summary>
    private Tensor AnswerScores(T5ForConditionalGeneration model, TokenBatch batch, bool training)
    {
        if (_answers is null)
        {
            throw new InvalidOperationException("This model writes free text and has no labels to score: use TextClassifier.Generate.");
        }

        using var scope = NewDisposeScope();
        long rows = batch.Ids.size(0);
        Tensor targets = _answers.unsqueeze(0).expand(rows, -1, -1).reshape(-1, _answers.size(1));
        return model.LogLikelihoods(batch, targets, training).view(rows, -1).MoveToOuterDisposeScope();
    }
}
