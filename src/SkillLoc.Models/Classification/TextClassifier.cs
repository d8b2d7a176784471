using System.Collections.ObjectModel;
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
public sealed class TextClassifier : IDisposable
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
            Backbone.Parameters.Concat(Head.Parameters).Concat(Backbone.Adaptation?.Parameters ?? NoParameters),
            StringComparer.Ordinal
        );

    /// <summary>The tuning method that was folded into the weights when the checkpoint was loaded, if it is not this classifier's
    /// (<see cref="LanguageModel.FoldAdaptation"/>); else null.</summary>
    public TuningOptions? FoldedTuning { get; private init; }

    /// <summary>The tokenizer.</summary>
    internal CheckpointTokenizer Tokenizer => _tokenizer;

    /// <summary>Loads a checkpoint for a task; a missing head or missing parameters of a tuning method are initialised. Rows of a trained
    /// head are matched by label name.</summary>
    /// <param name="folder">A Hugging Face checkpoint folder, or a name that <see cref="SkillLoc.Models.Hub.CheckpointHub"/>
    /// resolves.</param>
    /// <param name="settings">The task; <see cref="ClassifierSettings.MaxLength"/> is limited to the model's number of positions.</param>
    /// <param name="device">The device of the weights; the CPU by default.</param>
    /// <param name="dtype">The type of the weights.</param>
    /// <param name="seed">Seed of the initialisation of a new head and new parameters of a tuning method.</param>
    /// <param name="twin">A classifier of the same architecture: parameters that <paramref name="mayShare"/> selects share its storage if
    /// they have the same values.</param>
    /// <param name="mayShare">Selects parameters by name; see <paramref name="twin"/>.</param>
    /// <returns>The classifier; the caller disposes it.</returns>
    /// <exception cref="FileNotFoundException">The folder or one of its files is missing.</exception>
    /// <exception cref="InvalidDataException">A file is damaged or does not fit the others.</exception>
    /// <exception cref="ArgumentException">The settings do not fit the checkpoint: a label word of several tokens, a template without a
    /// mask, a score range without two label words, a causal model without an autoregressive prompt, a soft prompt beside a template, T5
    /// without a text-to-text task, or answers of the same tokens; or the folder was tuned by another method than the requested one that
    /// cannot be folded into the weights.</exception>
    public static TextClassifier Create(
        string folder,
        ClassifierSettings settings,
        Device? device = null,
        ScalarType dtype = ScalarType.Float32,
        int seed = 0,
        TextClassifier? twin = null,
        Func<string, bool>? mayShare = null
    ) => Make(folder, settings, device, dtype, seed, twin, mayShare, learnt: null);

    private static TextClassifier Make(
        string folder,
        ClassifierSettings settings,
        Device? device,
        ScalarType dtype,
        int seed,
        TextClassifier? twin,
        Func<string, bool>? mayShare,
        TunedWeights? learnt
    )
    {
        ArgumentNullException.ThrowIfNull(settings);
        if (settings.ScoreRange is not null && (settings.Head != HeadKind.LabelWords || settings.Labels.Count != 2))
        {
            throw new ArgumentException(
                $"A regression reads two label words, one for each end of its range; these settings have the head {settings.Head} and "
                    + $"{settings.Labels.Count} labels.",
                nameof(settings)
            );
        }

        using var checkpoint = CheckpointFolder.Open(folder);
        LanguageModel.CheckArchitecture(checkpoint.Config);
        settings = settings.For(checkpoint.Config);
        var tokenizer = CheckpointTokenizer.Load(checkpoint.Path);
        tokenizer.CheckVocabulary(checkpoint.Config.VocabularySize);
        (int[]? ids, int[][]? options) = settings.LabelTokens(tokenizer);
        if (settings.Tuning is SoftPromptOptions { MaskTokenId: null } prompt && tokenizer.HasMask)
        {
            settings = settings with { Tuning = prompt with { MaskTokenId = tokenizer.MaskId } };
        }

        TuningOptions? stored = ClassifierSettings.Find(checkpoint.Path, checkpoint.Config)?.Tuning;
        bool goesOn = stored is not null && stored.WithoutDraws() == settings.Tuning?.WithoutDraws();

        // What another method added is part of the model that the folder holds.
        TuningOptions? folded = goesOn || stored is BitFitOptions ? null : stored;
        var backbone = LanguageModel.LoadUntuned(
            checkpoint,
            settings.NeedsWords,
            device,
            dtype,
            folded is null ? twin?.Backbone : null,
            mayShare
        );
        ClassificationHead? head = null;
        try
        {
            if (folded is not null)
            {
                backbone.Adaptation = folded.Create(backbone, checkpoint, seed, required: true);
                backbone.FoldAdaptation();
                if (backbone.Adaptation is not null)
                {
                    throw new ArgumentException(
                        $"{folder} was tuned with {stored}, which no weights of the model can take over, and "
                            + $"{settings.Tuning?.ToString() ?? "no method"} is asked for: what it learnt would be lost. Ask for the "
                            + "same method "
                            + $"({nameof(settings.Tuning)}) to go on with it, or take the checkpoint that was tuned.",
                        nameof(settings)
                    );
                }
            }

            backbone.Adaptation = settings.Tuning?.Create(backbone, checkpoint, seed, required: goesOn, learnt);
            settings = settings with { MaxLength = Math.Min(settings.MaxLength, backbone.MaxLength) };
            head = ClassificationHead.Create(settings.Head, backbone, settings.Labels, ids, checkpoint, seed, options);
            return new(backbone, head, tokenizer, settings) { FoldedTuning = folded };
        }
        catch
        {
            head?.Dispose();
            backbone.Dispose();
            throw;
        }
    }

    /// <summary>Loads a folder that <see cref="Save"/> wrote, or a Hugging Face classifier of single texts.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="device">The device of the weights; the CPU by default.</param>
    /// <param name="dtype">The type of the weights.</param>
    /// <returns>The classifier; the caller disposes it.</returns>
    /// <exception cref="FileNotFoundException">The folder holds no classifier, or a file is missing.</exception>
    /// <exception cref="InvalidDataException">A file is damaged, or its settings do not fit the model.</exception>
    public static TextClassifier Load(string folder, Device? device = null, ScalarType dtype = ScalarType.Float32)
    {
        var settings = ClassifierSettings.Load(folder);
        return FromFile(Path.Combine(folder, ClassifierSettings.FileName), () => Create(folder, settings, device, dtype));
    }

    /// <summary>Loads a base checkpoint with tuned weights that <see cref="SaveTuned"/> wrote.</summary>
    /// <param name="folder">Checkpoint folder of the base.</param>
    /// <param name="path">The file of the tuned weights.</param>
    /// <param name="device">The device of the weights; the CPU by default.</param>
    /// <param name="dtype">The type of the weights.</param>
    /// <param name="twin">A classifier with which base parameters that are not tuned and have the same values share storage; see
    /// <see cref="Create"/>.</param>
    /// <returns>The classifier; the caller disposes it.</returns>
    /// <exception cref="FileNotFoundException">The file or the folder is missing.</exception>
    /// <exception cref="InvalidDataException">The file is damaged, contains no task, or was made for another base.</exception>
    public static TextClassifier LoadTuned(
        string folder,
        string path,
        Device? device = null,
        ScalarType dtype = ScalarType.Float32,
        TextClassifier? twin = null
    )
    {
        var tuned = TunedWeights.Load(path);
        if (tuned.Settings.Length == 0)
        {
            throw new InvalidDataException($"{path} holds tuned weights that carry no task: its metadata lacks 'settings'.");
        }

        var settings = ClassifierSettings.FromJson(tuned.Settings, $"{path}, the metadata's 'settings'");
        TextClassifier classifier = FromFile(
            path,
            () => Make(folder, settings, device, dtype, 0, twin, name => !tuned.Tensors.ContainsKey(name), tuned)
        );
        try
        {
            classifier.Apply(tuned);
            return classifier;
        }
        catch
        {
            classifier.Dispose();
            throw;
        }
    }

    /// <summary>Creates a classifier from the settings of a file; settings that do not fit are reported as errors of the file.</summary>
    private static TextClassifier FromFile(string source, Func<TextClassifier> create)
    {
        try
        {
            return create();
        }
        catch (ArgumentException error)
        {
            throw new InvalidDataException($"{source} does not fit the model: {error.Message}", error);
        }
    }

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
        return Head.TokensOf(row) + (Backbone.Adaptation?.PromptSize ?? 0);
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
        return LengthBatches
            .Split([.. rows.Select(TokensOf)], LengthBatches.SuitableTokens(Backbone.Device))
            .Select(group => new ScoringBatch(group, Batch([.. group.Select(i => rows[i])])));
    }

    /// <summary>The index of the highest score; the lower one of equals.</summary>
    /// <param name="scores">At least one score.</param>
    /// <returns>The index.</returns>
    public static int MostProbable(ReadOnlySpan<float> scores)
    {
        int best = 0;
        for (int i = 1; i < scores.Length; i++)
        {
            best = scores[i] > scores[best] ? i : best;
        }

        return best;
    }

    /// <summary>Applies a graft, with its head if it has one, to this classifier's base weights in place.</summary>
    /// <param name="graft">The graft.</param>
    /// <param name="fingerprint">The backbone's fingerprint, if known; null computes it.</param>
    /// <exception cref="InvalidDataException">The graft was made for another base model or another head.</exception>
    public void Apply(Graft graft, string? fingerprint = null)
    {
        ArgumentNullException.ThrowIfNull(graft);
        using Lifetime.Hold hold = Backbone.Hold();
        ApplyHead(graft);
        graft.ApplyTo(Backbone, fingerprint);
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

    /// <summary>Applies tuned weights to this classifier, which must have the same tuning method, in place.</summary>
    /// <param name="tuned">The tuned weights.</param>
    /// <exception cref="InvalidDataException">The weights were made for another base model, tuning method or head.</exception>
    public void Apply(TunedWeights tuned)
    {
        ArgumentNullException.ThrowIfNull(tuned);
        using Lifetime.Hold hold = Backbone.Hold();
        if (Settings.Tuning != tuned.Options)
        {
            throw new InvalidDataException(
                $"The tuned weights are of {tuned.Options}, and this classifier is tuned with {Settings.Tuning?.ToString() ?? "nothing"}."
            );
        }

        IReadOnlyList<string>? labels = LabelsOf(tuned.Settings, "the tuned weights' metadata");
        if (Head.Parameters.Count > 0 && labels is not null && !HeadMatch.Between(Settings.Labels, labels).IsWhole)
        {
            throw new InvalidDataException(
                $"The tuned weights are for the labels {string.Join(", ", labels)}, and this classifier's are "
                    + $"{string.Join(", ", Settings.Labels)}."
            );
        }

        IReadOnlyDictionary<string, Parameter> parameters = TunedParameters;
        foreach (string name in parameters.Keys.Union(tuned.Tensors.Keys, StringComparer.Ordinal))
        {
            tuned.CheckShape(name, parameters.GetValueOrDefault(name)?.shape);
        }

        string fingerprint = UntunedFingerprint();
        if (fingerprint != tuned.BaseFingerprint)
        {
            throw new InvalidDataException(
                $"The tuned weights are for the base model with fingerprint {tuned.BaseFingerprint}, and this classifier's has "
                    + $"{fingerprint}: "
                    + "load the checkpoint that was tuned."
            );
        }

        var head = Head.Parameters.Keys.ToDictionary(name => name, name => tuned.Tensors[name], StringComparer.Ordinal);
        Head.Take(head, labels, "The file of tuned weights");
        using IDisposable noGradients = no_grad();
        foreach ((string name, (long[] shape, float[] values)) in tuned.Tensors.Where(pair => !head.ContainsKey(pair.Key)))
        {
            using Tensor given = tensor(values);
            using Tensor shaped = given.view(shape);
            parameters[name].copy_(shaped);
        }
    }

    /// <summary>Returns the parameters of the tuning method, without the base model.</summary>
    /// <returns>Copies of <see cref="TunedParameters"/>, with the settings.</returns>
    /// <exception cref="InvalidOperationException">The classifier has no tuning method.</exception>
    public TunedWeights Tuned()
    {
        TuningOptions options =
            Settings.Tuning ?? throw new InvalidOperationException("This classifier has no tuning method: Save writes it as a whole.");
        using Lifetime.Hold hold = Backbone.Hold();
        using DisposeScope scope = NewDisposeScope();
        return new()
        {
            BaseFingerprint = UntunedFingerprint(),
            Options = options,
            Settings = Settings.ToJson(),
            Tensors = new OrderedDictionary<string, (long[] Shape, float[] Values)>(
                TunedParameters.Select(pair =>
                    KeyValuePair.Create(
                        pair.Key,
                        (pair.Value.shape, pair.Value.detach().to(ScalarType.Float32).cpu().contiguous().data<float>().ToArray())
                    )
                ),
                StringComparer.Ordinal
            ),
        };
    }

    /// <summary>Writes the parameters of the tuning method to one safetensors file, from which <see cref="LoadTuned"/> restores the
    /// classifier.</summary>
    /// <param name="path">The file; an existing file is replaced once the new one is complete.</param>
    /// <exception cref="InvalidOperationException">The classifier has no tuning method.</exception>
    /// <exception cref="IOException">It could not be written; an existing file is unchanged.</exception>
    public void SaveTuned(string path) => Tuned().Save(path);

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
        Adaptation? adaptation = Backbone.Adaptation;
        LanguageModel backbone = Backbone.Clone(name => shares?.Invoke(name) == true && adaptation?.FoldsInto(name) != true);
        backbone.FoldAdaptation();
        return new(backbone, Head.Clone(), _tokenizer, Settings with { Tuning = backbone.Adaptation?.Options });
    }

    /// <summary>
    /// Writes a Hugging Face checkpoint folder with these weights, the tokenizer's files and the settings. Parameters that no Python class
    /// has (those of a tuning method with its head, and a head of one linear layer) go to <c>skillloc.safetensors</c>, so that Python reads
    /// the model without them: after a tuning method, the unchanged base.
    /// </summary>
    /// <param name="folder">The folder; an existing one is replaced once the new one is complete.</param>
    /// <param name="storeAs">The stored type of the weights; their own by default.</param>
    /// <exception cref="IOException">It could not be written; an existing file is unchanged.</exception>
    public void Save(string folder, ScalarType? storeAs = null) => Write(folder, storeAs, isChecked: false);

    /// <summary>As <see cref="Save"/>, after <see cref="CheckpointFolder.CheckWritable"/> has been called.</summary>
    internal void SaveChecked(string folder) => Write(folder, storeAs: null, isChecked: true);

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

    /// <summary>
    /// Returns a classifier for another task that shares the backbone's storage, so that changes in place affect both; the storage lives as
    /// long as either. Its head is initialised or loaded from a checkpoint.
    /// </summary>
    /// <param name="settings">The other task.</param>
    /// <param name="seed">Seed of the head's initialisation.</param>
    /// <param name="stored">A checkpoint with a trained head, whose rows are matched by label name; null for none.</param>
    /// <returns>The classifier; the caller disposes it.</returns>
    /// <exception cref="ArgumentException">The settings do not fit the checkpoint, or need a language-model head that this backbone
    /// lacks.</exception>
    /// <exception cref="InvalidOperationException">One of the two has a tuning method, which cannot be shared.</exception>
    public TextClassifier ForTask(ClassifierSettings settings, int seed = 0, CheckpointFolder? stored = null)
    {
        ArgumentNullException.ThrowIfNull(settings);
        if (Settings.Tuning is not null || settings.Tuning is not null)
        {
            throw new InvalidOperationException("Tasks share a backbone as it is; a tuning method is of one task. Fold it first.");
        }

        using Lifetime.Hold hold = Backbone.Hold();
        settings = settings.For(Backbone.Config);
        (int[]? ids, int[][]? options) = settings.LabelTokens(_tokenizer);
        settings = settings with { MaxLength = Math.Min(settings.MaxLength, Backbone.MaxLength) };
        LanguageModel backbone = Backbone.Clone(_ => true, withHead: settings.NeedsWords);
        ClassificationHead? head = null;
        try
        {
            head = ClassificationHead.Create(settings.Head, backbone, settings.Labels, ids, stored, seed, options);
            return new(backbone, head, _tokenizer, settings);
        }
        catch
        {
            head?.Dispose();
            backbone.Dispose();
            throw;
        }
    }

    /// <summary>Releases the weights, now or when the last running pass ends.</summary>
    public void Dispose() => Backbone.Dispose();

    /// <summary>The labels in saved settings; null if there are none.</summary>
    private static IReadOnlyList<string>? LabelsOf(string settings, string source) =>
        settings.Length == 0 ? null : ClassifierSettings.FromJson(settings, source).Labels;

    /// <summary>The encoder of answers.</summary>
    private TextToTextEncoder Answers =>
        _encoder as TextToTextEncoder ?? throw new InvalidOperationException($"The model writes no answers: its head is {Head.Kind}.");

    /// <summary>The model that generates answers.</summary>
    private T5ForConditionalGeneration Writer =>
        Backbone as T5ForConditionalGeneration
        ?? throw new InvalidOperationException(
            $"The model writes no answers: it is {Backbone.Config.ModelType}, with the head {Head.Kind}."
        );

    private void Write(string folder, ScalarType? storeAs, bool isChecked)
    {
        using Lifetime.Hold hold = Backbone.Hold();
        IReadOnlyDictionary<string, Parameter> added = Backbone.Adaptation?.Parameters ?? NoParameters;
        IEnumerable<KeyValuePair<string, Parameter>> own = HasPythonHead ? [] : Head.Parameters.Concat(added);
        HashSet<string> names = [.. own.Select(pair => pair.Key)];
        CheckpointFolder.Write(
            folder,
            Config(),
            AllParameters().Where(pair => !names.Contains(pair.Name)),
            _tokenizer.Files,
            storeAs,
            new Dictionary<string, string>(StringComparer.Ordinal) { [ClassifierSettings.FileName] = Settings.ToJson() },
            [.. own.Select(pair => (pair.Key, (Tensor)pair.Value))],
            isChecked
        );
    }

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
    private bool HasPythonHead => Backbone.Adaptation is null && Head.Kind is not (HeadKind.FirstTokenLinear or HeadKind.MaskTokenLinear);

    /// <summary>Fingerprint of the backbone's weights that tuning does not change.</summary>
    private string UntunedFingerprint()
    {
        IReadOnlyDictionary<string, Parameter> tuned = TunedParameters;
        return CheckpointFingerprint.Compute(
            Backbone.Parameters.Where(pair => !tuned.ContainsKey(pair.Key)).Select(pair => (pair.Key, (Tensor)pair.Value))
        );
    }

    private ModelConfig Config()
    {
        (string family, string model) = Backbone switch
        {
            RobertaForMaskedLM => ("Roberta", "RobertaForMaskedLM"),
            Gpt2ForCausalLM => ("GPT2", "GPT2LMHeadModel"),
            T5ForConditionalGeneration => ("T5", "T5ForConditionalGeneration"),
            _ => ("Bert", "BertForMaskedLM"),
        };
        ModelConfig config = Backbone.Config;
        if (Settings.NeedsWords)
        {
            return config.WithArchitecture(model);
        }

        // Python's causal classifiers find a row's last token by the padding id.
        config = config.IsCausal && config.PadTokenId is null ? config.With("pad_token_id", _tokenizer.PadId) : config;
        return HasPythonHead
            ? config
                .WithArchitecture(family + "ForSequenceClassification")
                .WithLabels(Settings.Labels)
                .With("problem_type", Settings.IsMultiLabel ? ConfigFields.MultiLabel : null)
            : config.WithArchitecture(family + "Model").With("id2label", null).With("label2id", null);
    }
}
