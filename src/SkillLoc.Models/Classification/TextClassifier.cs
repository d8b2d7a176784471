using System.Collections.ObjectModel;
using SkillLoc.Models.Architectures;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Generation;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tasks;
using SkillLoc.Models.Tokenization;
using SkillLoc.Models.Tuning;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace SkillLoc.Models.Classification;

/// <summary>
/// A text classifier: language model, head and text encoder. It may be disposed while other threads score: running passes finish, the last
/// one releases the weights, and later calls throw an <see cref="ObjectDisposedException"/>.
/// </summary>
public sealed partial class TextClassifier : IDisposable
{
    private static readonly IReadOnlyDictionary<string, Parameter> NoParameters = ReadOnlyDictionary<string, Parameter>.Empty;

    private readonly CheckpointTokenizer _tokenizer;
    private readonly ITextEncoder _encoder;

    private TextClassifier(LanguageModel backbone, ClassificationHead head, CheckpointTokenizer tokenizer, ClassifierSettings settings)
    {
        Backbone = backbone;
        Head = head;
        backbone.DisposeWith(head);
        Settings = settings;
        Task = TextTask.Of(settings);
        _tokenizer = tokenizer;
        _encoder = settings.CreateEncoder(tokenizer);
    }

    /// <summary>The language model.</summary>
    public LanguageModel Backbone { get; }

    /// <summary>The head.</summary>
    internal ClassificationHead Head { get; }

    /// <summary>Labels, prompt and limits.</summary>
    public ClassifierSettings Settings { get; private set; }

    /// <summary>The task, with its outputs and metric.</summary>
    internal TextTask Task { get; private set; }

    /// <summary>The parameters that <see cref="ClassifierSettings.Tuning"/> trains, and the head's own; empty without a tuning
    /// method.</summary>
    public IReadOnlyDictionary<string, Parameter> TunedParameters =>
        Settings.Tuning is null
            ? NoParameters
            : new OrderedDictionary<string, Parameter>(
                Settings.Tuning.ParametersOf(Backbone).Concat(Head.Parameters),
                StringComparer.Ordinal
            );

    /// <summary>All parameters by name: the backbone's, the head's, and those of a tuning method.</summary>
    public IReadOnlyDictionary<string, Parameter> Parameters =>
        new OrderedDictionary<string, Parameter>(
            Backbone.Parameters.Concat(Head.Parameters).Concat(Backbone.PeftModule?.Parameters ?? NoParameters),
            StringComparer.Ordinal
        );

    /// <summary>The tuning method that was folded into the weights when the checkpoint was loaded, if it is not this classifier's
    /// (<see cref="LanguageModel.FoldAdaptation"/>); else null.</summary>
    public TuningOptions? FoldedTuning { get; private init; }

    /// <summary>The tokenizer.</summary>
    internal CheckpointTokenizer Tokenizer => _tokenizer;

    /// <summary>Replaces the thresholds of a multi-label task.</summary>
    /// <param name="thresholds">One for each label.</param>
    internal void SetThresholds(IReadOnlyList<float> thresholds)
    {
        Settings = Settings with { Thresholds = thresholds };
        Task = TextTask.Of(Settings);
    }

    /// <summary>Encodes the texts of a row.</summary>
    /// <param name="text">The text.</param>
    /// <param name="textPair">The second text of a pair.</param>
    /// <returns>The token ids and the scored position.</returns>
    public EncodedText Encode(string text, string? textPair = null) => _encoder.Encode(text, textPair);

    /// <summary>Encodes the texts of a row, and says which characters each token was made of.</summary>
    internal EncodedText Trace(string text, string? textPair = null) => _encoder.Trace(text, textPair);

    /// <summary>Encodes an answer as target tokens.</summary>
    /// <param name="answer">The answer.</param>
    /// <returns>The token ids, ending with <c>&lt;/s&gt;</c>.</returns>
    /// <exception cref="InvalidOperationException">The model does not generate answers.</exception>
    public int[] EncodeAnswer(string answer) => Answers.EncodeAnswer(answer);

    /// <summary>Number of tokens that a row takes in a batch, including a soft prompt, one sequence per option if whole options are scored,
    /// and all answers if answers are.</summary>
    /// <param name="row">An encoded row.</param>
    /// <returns>The number of tokens.</returns>
    public int TokensOf(EncodedText row)
    {
        ArgumentNullException.ThrowIfNull(row);
        return Head.TokensOf(row) + (Backbone.PeftModule?.PromptSize ?? 0);
    }

    /// <summary>Pads rows into a batch on the model's device; each row occurs once per option if whole options are scored.</summary>
    /// <param name="rows">Encoded rows.</param>
    /// <returns>The batch; the caller disposes it.</returns>
    public TokenBatch Batch(IReadOnlyList<EncodedText> rows) => TokenBatch.Create(Head.Sequences(rows), _tokenizer.PadId, Backbone.Device);

    /// <summary>Computes the logits of a batch: mean log-likelihoods if whole options are scored, log-likelihoods if answers are.</summary>
    /// <param name="batch">A batch from <see cref="Batch"/>.</param>
    /// <param name="training">True enables dropout.</param>
    /// <returns>Float32 <c>[rows, labels]</c>.</returns>
    /// <exception cref="InvalidOperationException">The model generates free text and has no labels.</exception>
    public Tensor Logits(TokenBatch batch, bool training = false)
    {
        using Lifetime.Hold hold = Backbone.Hold();
        using DisposeScope scope = NewDisposeScope();
        return Head.Logits(Backbone, batch, training).to(ScalarType.Float32).MoveToOuterDisposeScope();
    }

    /// <summary>Computes the logits of prepared batches; the caller keeps ownership of these.</summary>
    /// <param name="batches">Batches from <see cref="Batches"/> of this classifier, or of one with the same encoder on the same
    /// device.</param>
    /// <param name="cancellation">Stops between batches.</param>
    /// <returns>For each row one logit per label, as <see cref="Logits(TokenBatch, bool)"/> computes them.</returns>
    /// <exception cref="InvalidOperationException">The model generates free text and has no labels.</exception>
    /// <exception cref="OperationCanceledException">The operation was cancelled.</exception>
    internal float[][] Logits(IReadOnlyList<ScoringBatch> batches, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(batches);
        return Run(batches, Count(batches), batch => ByRow(Logits(batch.Tokens)), cancellation, keep: true);
    }

    /// <summary>Computes the loss of an answer to each row of a batch: the mean cross-entropy of its tokens.</summary>
    /// <param name="batch">A batch from <see cref="Batch"/>.</param>
    /// <param name="answers">For each row an answer from <see cref="EncodeAnswer"/>.</param>
    /// <param name="training">True enables dropout.</param>
    /// <returns>Float32 <c>[rows]</c>, in nats.</returns>
    /// <exception cref="ArgumentException">The numbers of answers and rows differ.</exception>
    /// <exception cref="InvalidOperationException">The model does not generate answers.</exception>
    public Tensor AnswerLosses(TokenBatch batch, IReadOnlyList<int[]> answers, bool training = false)
    {
        ArgumentNullException.ThrowIfNull(batch);
        ArgumentNullException.ThrowIfNull(answers);
        if (batch.Ids.size(0) != answers.Count)
        {
            throw new ArgumentException($"There are {batch.Ids.size(0)} rows and {answers.Count} answers.", nameof(answers));
        }

        using Lifetime.Hold hold = Backbone.Hold();
        T5ForConditionalGeneration model = Writer;
        using DisposeScope scope = NewDisposeScope();
        Tensor targets = T5ForConditionalGeneration.Targets(answers, model.Device);
        Tensor lengths = tensor(answers.Select(answer => (float)answer.Length).ToArray(), device: model.Device);
        return model.LogLikelihoods(batch, targets, training).div(lengths).neg().MoveToOuterDisposeScope();
    }

    /// <summary>Computes the loss of an answer to each row: the mean cross-entropy of its tokens.</summary>
    /// <param name="batches">Batches from <see cref="Batches"/>; the caller keeps ownership.</param>
    /// <param name="answers">For each row an answer from <see cref="EncodeAnswer"/>, usually the first.</param>
    /// <param name="cancellation">Stops between batches.</param>
    /// <returns>For each row its loss, in nats.</returns>
    /// <exception cref="ArgumentException">The numbers of answers and rows differ.</exception>
    /// <exception cref="InvalidOperationException">The model does not generate answers.</exception>
    /// <exception cref="OperationCanceledException">The operation was cancelled.</exception>
    internal float[] Losses(IReadOnlyList<ScoringBatch> batches, IReadOnlyList<int[]> answers, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(batches);
        ArgumentNullException.ThrowIfNull(answers);
        int rows = Count(batches);
        if (rows != answers.Count)
        {
            throw new ArgumentException($"There are {rows} rows and {answers.Count} answers.", nameof(answers));
        }

        return Run(batches, rows, Losses, cancellation, keep: true);

        float[] Losses(ScoringBatch batch) =>
            AnswerLosses(batch.Tokens, [.. batch.Rows.Select(row => answers[row])]).cpu().data<float>().ToArray();
    }

    /// <summary>Generates an answer to each row by greedy decoding.</summary>
    /// <param name="rows">Encoded rows, any number and any lengths; they are batched by length.</param>
    /// <param name="cancellation">Stops between tokens.</param>
    /// <returns>The text for each row, trimmed and without special tokens, of at most
    /// <see cref="Generation.TextToTextTask.MaxOutputLength"/> tokens.</returns>
    /// <exception cref="InvalidOperationException">The model does not generate answers.</exception>
    /// <exception cref="OperationCanceledException">The operation was cancelled.</exception>
    public string[] Generate(IReadOnlyList<EncodedText> rows, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(rows);
        return Run(Batches(rows), rows.Count, batch => Answer(batch, cancellation), cancellation);
    }

    /// <summary>Generates answers to the rows of prepared batches; the caller keeps ownership of these.</summary>
    /// <param name="batches">Batches from <see cref="Batches"/> of this classifier, or of one with the same encoder on the same
    /// device.</param>
    /// <param name="cancellation">Stops between tokens.</param>
    /// <returns>The text for each row.</returns>
    /// <exception cref="InvalidOperationException">The model does not generate answers.</exception>
    /// <exception cref="OperationCanceledException">The operation was cancelled.</exception>
    internal string[] Generate(IReadOnlyList<ScoringBatch> batches, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(batches);
        return Run(batches, Count(batches), batch => Answer(batch, cancellation), cancellation, keep: true);
    }

    /// <summary>Computes the probabilities of the labels: the softmax over label words, classes or answers; for multi-label tasks the
    /// sigmoid of each logit.</summary>
    /// <param name="rows">Encoded rows, any number and any lengths; they are batched by length.</param>
    /// <param name="cancellation">Stops between batches.</param>
    /// <returns>For each row one probability per label.</returns>
    /// <exception cref="InvalidOperationException">The model generates free text and has no labels.</exception>
    /// <exception cref="OperationCanceledException">The operation was cancelled.</exception>
    public float[][] Score(IReadOnlyList<EncodedText> rows, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(rows);
        return Run(Batches(rows), rows.Count, Probabilities, cancellation);
    }

    /// <summary>Computes the probabilities of the labels for prepared batches; the caller keeps ownership of these.</summary>
    /// <param name="batches">Batches from <see cref="Batches"/> of this classifier, or of one with the same encoder on the same
    /// device.</param>
    /// <param name="cancellation">Stops between batches.</param>
    /// <returns>For each row one probability per label.</returns>
    /// <exception cref="InvalidOperationException">The model generates free text and has no labels.</exception>
    /// <exception cref="OperationCanceledException">The operation was cancelled.</exception>
    internal float[][] Score(IReadOnlyList<ScoringBatch> batches, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(batches);
        return Run(batches, Count(batches), Probabilities, cancellation, keep: true);
    }

    /// <summary>
    /// Computes the probabilities of generated answers at the first token in which they differ, after their common prefix: the confidence
    /// of cartography (methods, C.6). If two answers differ only later, they are those of
    /// <see cref="Score(IReadOnlyList{EncodedText}, CancellationToken)"/>.
    /// </summary>
    /// <param name="rows">Encoded rows, any number and any lengths.</param>
    /// <param name="cancellation">Stops between batches.</param>
    /// <returns>For each row one probability per label.</returns>
    /// <exception cref="InvalidOperationException">The model does not generate answers, or generates free text without labels.</exception>
    /// <exception cref="OperationCanceledException">The operation was cancelled.</exception>
    public float[][] ScoreAnswerTokens(IReadOnlyList<EncodedText> rows, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(rows);
        T5ForConditionalGeneration model = Writer;
        return Run(
            Batches(rows),
            rows.Count,
            batch => ByRow(F.softmax(((AnswerHead)Head).TokenScores(model, batch.Tokens).to(ScalarType.Float32), 1)),
            cancellation
        );
    }

    /// <summary>Batches rows by length, for scoring them more than once.</summary>
    /// <param name="rows">Encoded rows, any number and any lengths.</param>
    /// <returns>The batches, lazily; the caller disposes each.</returns>
    internal IEnumerable<ScoringBatch> Batches(IReadOnlyList<EncodedText> rows)
    {
        ArgumentNullException.ThrowIfNull(rows);
        return ScoringBatch
            .Split([.. rows.Select(TokensOf)], Backbone.Device)
            .Select(group => new ScoringBatch(group, Batch([.. group.Select(i => rows[i])])));
    }

    /// <summary>Returns the index of the highest score; ties resolve to the lowest index.</summary>
    /// <param name="scores">At least one score.</param>
    /// <returns>The index.</returns>
    public static int MostProbable(ReadOnlySpan<float> scores) => LabelScores.MostProbable(scores);

    /// <summary>Applies a graft, with its head if it has one, to this classifier's base weights in place.</summary>
    /// <param name="graft">The graft.</param>
    /// <param name="fingerprint">The backbone's fingerprint, if known; null computes it.</param>
    /// <exception cref="InvalidDataException">The graft was made for another base model or another head.</exception>
    public void Apply(Graft graft, string? fingerprint = null)
    {
        ArgumentNullException.ThrowIfNull(graft);
        using Lifetime.Hold hold = Backbone.Hold();
        ApplyHead(graft);
        graft.MergeInto(Backbone, fingerprint);
    }

    /// <summary>Copies a graft's head, if it has one, into this classifier's head; rows are matched by label name.</summary>
    /// <param name="graft">The graft.</param>
    /// <returns>The match of labels; null for a head without parameters of its own.</returns>
    /// <exception cref="InvalidDataException">The graft has another kind of head.</exception>
    public HeadMatch? ApplyHead(Graft graft)
    {
        ArgumentNullException.ThrowIfNull(graft);
        using Lifetime.Hold hold = Backbone.Hold();
        return Head.Take(graft.HeadParameters, LabelsOf(graft.Settings, "the graft's metadata"), "The graft");
    }

    /// <summary>
    /// Returns a copy with the same scores whose tuning method is folded into the weights as far as possible
    /// (<see cref="LanguageModel.FoldAdaptation"/>). After LoRA, low-rank biases and BitFit it usually has no tuning method left, and
    /// <see cref="Save"/> writes an ordinary checkpoint.
    /// </summary>
    /// <param name="shares">Backbone parameters whose storage is shared rather than copied, unless folding changes them; none by
    /// default.</param>
    /// <returns>The copy; the caller disposes it.</returns>
    public TextClassifier Folded(Func<string, bool>? shares = null)
    {
        using Lifetime.Hold hold = Backbone.Hold();
        PeftModule? adaptation = Backbone.PeftModule;
        LanguageModel backbone = Backbone.Clone(name => shares?.Invoke(name) == true && adaptation?.FoldsInto(name) != true);
        backbone.FoldAdaptation();
        return new(backbone, Head.Clone(), _tokenizer, Settings with { Tuning = backbone.PeftModule?.Options });
    }

    /// <summary>Fingerprint of all weights, including the head and a tuning method; see <see cref="CheckpointFingerprint"/>.</summary>
    /// <returns>A hexadecimal SHA-256.</returns>
    public string Fingerprint()
    {
        using Lifetime.Hold hold = Backbone.Hold();
        return CheckpointFingerprint.Compute(AllParameters());
    }

    /// <summary>Returns an independent copy.</summary>
    /// <param name="shares">Backbone parameters whose storage is shared rather than copied; none by default.</param>
    /// <param name="dtype">The type of the copy's own weights; this classifier's by default.</param>
    /// <returns>The copy; the caller disposes it.</returns>
    public TextClassifier Clone(Func<string, bool>? shares = null, ScalarType? dtype = null)
    {
        using Lifetime.Hold hold = Backbone.Hold();
        return new(Backbone.Clone(shares, dtype), Head.Clone(dtype), _tokenizer, Settings);
    }

    /// <summary>Returns an independent copy with another configuration and some changed parameters.</summary>
    internal TextClassifier With(ModelConfig config, IReadOnlyDictionary<string, Tensor> changed)
    {
        using Lifetime.Hold hold = Backbone.Hold();
        return new(Backbone.With(config, changed), Head.Clone(), _tokenizer, Settings);
    }

    /// <summary>Releases the weights, now or when the last running pass ends.</summary>
    public void Dispose() => Backbone.Dispose();

    /// <summary>The labels in saved settings; null if there are none.</summary>
    private static IReadOnlyList<string>? LabelsOf(string settings, string source) =>
        settings.Length == 0 ? null : ClassifierSettings.FromJson(settings, source).Labels;

    /// <summary>The encoder of answers.</summary>
    private TextToTextEncoder Answers =>
        _encoder as TextToTextEncoder
        ?? throw new InvalidOperationException($"Generation needs a text-to-text model; this one has the head {Head.Kind}.");

    /// <summary>The model that generates answers.</summary>
    private T5ForConditionalGeneration Writer =>
        Backbone as T5ForConditionalGeneration
        ?? throw new InvalidOperationException(
            $"Generation needs a text-to-text model; this one is {Backbone.Config.ModelType}, with the head {Head.Kind}."
        );

    private static int Count(IEnumerable<ScoringBatch> batches) => batches.Sum(batch => batch.Rows.Count);

    /// <summary>Runs a function on each batch and returns its results in the order of the rows.</summary>
    private T[] Run<T>(
        IEnumerable<ScoringBatch> batches,
        int rows,
        Func<ScoringBatch, T[]> work,
        CancellationToken cancellation,
        bool keep = false
    )
    {
        var results = new T[rows];
        using Lifetime.Hold hold = Backbone.Hold();
        using IDisposable inference = no_grad();
        foreach (ScoringBatch batch in batches)
        {
            using IDisposable? own = keep ? null : batch;
            cancellation.ThrowIfCancellationRequested();
            using DisposeScope scope = NewDisposeScope();
            T[] values = work(batch);
            for (int i = 0; i < batch.Rows.Count; i++)
            {
                results[batch.Rows[i]] = values[i];
            }
        }

        return results;
    }

    private float[][] Probabilities(ScoringBatch batch) => ByRow(Task.Probabilities(Logits(batch.Tokens)));

    /// <summary>Converts a tensor <c>[rows, labels]</c> to arrays.</summary>
    private float[][] ByRow(Tensor values) => [.. values.cpu().data<float>().ToArray().Chunk(Settings.Labels.Count)];

    private string[] Answer(ScoringBatch batch, CancellationToken cancellation) =>
        [.. Writer.Generate(batch.Tokens, Settings.TextToText!.MaxOutputLength, cancellation).Select(Answers.DecodeAnswer)];

    private IEnumerable<(string Name, Tensor Value)> AllParameters() => Parameters.Select(pair => (pair.Key, (Tensor)pair.Value));

    /// <summary>Whether a Python class represents the whole model: a language-model head or sequence classifier, and nothing
    /// else.</summary>
    private bool HasPythonHead => Backbone.PeftModule is null && Head.HasPythonClass;
}
