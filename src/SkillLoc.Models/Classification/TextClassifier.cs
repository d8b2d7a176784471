using System.Collections.ObjectModel;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
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
/// A language model, a head and an encoder of texts: what fine-tuning trains and scoring runs. It may be disposed while other threads
/// score: what runs finishes, and the last of it releases the weights; later calls get an <see cref="ObjectDisposedException"/>.
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
    public ClassificationHead Head { get; }

    /// <summary>Labels, prompt and limits.</summary>
    public ClassifierSettings Settings { get; private set; }

    /// <summary>What is predicted, and how it is judged.</summary>
    internal TextTask Task { get; private set; }

    /// <summary>The parameters that <see cref="ClassifierSettings.Tuning"/> trains, and the head's own; empty without a tuning method.</summary>
    public IReadOnlyDictionary<string, Parameter> TunedParameters => Settings.Tuning is null
        ? NoParameters
        : new OrderedDictionary<string, Parameter>(Settings.Tuning.ParametersOf(Backbone).Concat(Head.Parameters), StringComparer.Ordinal);

    /// <summary>All parameters by name: the backbone's, the head's, and those of a tuning method.</summary>
    public IReadOnlyDictionary<string, Parameter> Parameters => new OrderedDictionary<string, Parameter>(
        Backbone.Parameters.Concat(Head.Parameters).Concat(Backbone.Adaptation?.Parameters ?? NoParameters), StringComparer.Ordinal);

    /// <summary>The tuning method of the checkpoint that this was made from, where it is not this classifier's and was folded into the
    /// weights (<see cref="LanguageModel.FoldAdaptation"/>); else null.</summary>
    public TuningOptions? FoldedTuning { get; private init; }

    /// <summary>The vocabulary that rows are encoded with.</summary>
    internal CheckpointTokenizer Tokenizer => _tokenizer;

    /// <summary>Loads a checkpoint for a task; a head, or a tuning method's parameters, that the checkpoint lacks are initialised. Rows of a
    /// trained head go by the names of their labels: <see cref="ClassificationHead.Match"/> says which were taken.</summary>
    /// <param name="folder">A Hugging Face checkpoint folder.</param>
    /// <param name="settings">The task; <see cref="ClassifierSettings.MaxLength"/> is lowered to what the model can take.</param>
    /// <param name="device">Where the weights go; the CPU by default.</param>
    /// <param name="dtype">The type of the weights.</param>
    /// <param name="seed">Seed of a fresh head and of a tuning method's fresh parameters.</param>
    /// <param name="twin">A classifier of the same architecture: parameters for which <paramref name="mayShare"/> holds and that equal
    /// its own share their storage with it.</param>
    /// <param name="mayShare">Names that may share; see <paramref name="twin"/>.</param>
    /// <returns>The classifier; the caller disposes it.</returns>
    /// <exception cref="FileNotFoundException">The folder or one of its files is missing.</exception>
    /// <exception cref="InvalidDataException">A file is damaged or does not fit the others.</exception>
    /// <exception cref="ArgumentException">The settings do not fit the checkpoint: a label word of several tokens, a template without a
    /// mask, a score range without two label words, a causal model without an autoregressive prompt, a soft prompt beside a template, a
    /// model that writes (T5) without a text-to-text task, answers that are the same tokens; or the folder was tuned by a method that is
    /// neither the one asked for nor folds into the weights.</exception>
    public static TextClassifier Create(
        string folder, ClassifierSettings settings, Device? device = null, ScalarType dtype = ScalarType.Float32, int seed = 0,
        TextClassifier? twin = null, Func<string, bool>? mayShare = null) =>
        Make(folder, settings, device, dtype, seed, twin, mayShare, learnt: null);

    private static TextClassifier Make(
        string folder, ClassifierSettings settings, Device? device, ScalarType dtype, int seed, TextClassifier? twin,
        Func<string, bool>? mayShare, TunedWeights? learnt)
    {
        ArgumentNullException.ThrowIfNull(settings);
        if (settings.ScoreRange is not null && (settings.Head != HeadKind.LabelWords || settings.Labels.Count != 2))
        {
            throw new ArgumentException(
                $"A regression reads two label words, one for each end of its range; these settings have the head {settings.Head} and "
                + $"{settings.Labels.Count} labels.",
                nameof(settings));
        }

        using CheckpointFolder checkpoint = CheckpointFolder.Open(folder);
        LanguageModel.CheckArchitecture(checkpoint.Config);
        settings = settings.For(checkpoint.Config);
        CheckpointTokenizer tokenizer = CheckpointTokenizer.Load(folder);
        tokenizer.CheckVocabulary(checkpoint.Config.VocabularySize);
        (int[]? ids, int[][]? options) = settings.LabelTokens(tokenizer);
        if (settings.Tuning is SoftPromptOptions { MaskTokenId: null } prompt && tokenizer.HasMask)
        {
            settings = settings with { Tuning = prompt with { MaskTokenId = tokenizer.MaskId } };
        }

        TuningOptions? stored = ClassifierSettings.Find(folder, checkpoint.Config)?.Tuning;
        bool goesOn = stored is not null && stored.WithoutDraws() == settings.Tuning?.WithoutDraws();

        // What another method added is part of the model that the folder holds.
        TuningOptions? folded = goesOn || stored is BitFitOptions ? null : stored;
        LanguageModel backbone = LanguageModel.LoadUntuned(
            checkpoint, settings.NeedsWords, device, dtype, folded is null ? twin?.Backbone : null, mayShare);
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
                        + $"{settings.Tuning?.ToString() ?? "no method"} is asked for: what it learnt would be lost. Ask for the same method "
                        + $"({nameof(settings.Tuning)}) to go on with it, or take the checkpoint that was tuned.",
                        nameof(settings));
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

    /// <summary>Loads what <see cref="Save"/> wrote, or a Hugging Face classifier of single texts.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="device">Where the weights go; the CPU by default.</param>
    /// <param name="dtype">The type of the weights.</param>
    /// <returns>The classifier; the caller disposes it.</returns>
    /// <exception cref="FileNotFoundException">The folder holds no classifier, or a file is missing.</exception>
    /// <exception cref="InvalidDataException">A file is damaged, or its settings do not fit the model.</exception>
    public static TextClassifier Load(string folder, Device? device = null, ScalarType dtype = ScalarType.Float32)
    {
        ClassifierSettings settings = ClassifierSettings.Load(folder);
        return FromFile(Path.Combine(folder, ClassifierSettings.FileName), () => Create(folder, settings, device, dtype));
    }

    /// <summary>Loads a base checkpoint with what a tuning method learnt on it (<see cref="SaveTuned"/>).</summary>
    /// <param name="folder">The base's checkpoint folder.</param>
    /// <param name="path">The file of the tuned weights.</param>
    /// <param name="device">Where the weights go; the CPU by default.</param>
    /// <param name="dtype">The type of the weights.</param>
    /// <param name="twin">A classifier whose storage is shared by base parameters that equal its own and are not tuned; see
    /// <see cref="Create"/>.</param>
    /// <returns>The classifier; the caller disposes it.</returns>
    /// <exception cref="FileNotFoundException">The file or the folder is missing.</exception>
    /// <exception cref="InvalidDataException">The file is damaged, carries no task, or is for another base.</exception>
    public static TextClassifier LoadTuned(
        string folder, string path, Device? device = null, ScalarType dtype = ScalarType.Float32, TextClassifier? twin = null)
    {
        TunedWeights tuned = TunedWeights.Load(path);
        if (tuned.Settings.Length == 0)
        {
            throw new InvalidDataException($"{path} holds tuned weights that carry no task: its metadata lacks 'settings'.");
        }

        ClassifierSettings settings = ClassifierSettings.FromJson(tuned.Settings, $"{path}, the metadata's 'settings'");
        TextClassifier classifier = FromFile(
            path, () => Make(folder, settings, device, dtype, 0, twin, name => !tuned.Tensors.ContainsKey(name), tuned));
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

    /// <summary>Makes a classifier by settings that a file holds: what does not fit is the file's fault.</summary>
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

    /// <summary>Predicts labels of a multi-label task from other probabilities on.</summary>
    /// <param name="thresholds">One for each label.</param>
    internal void SetThresholds(IReadOnlyList<float> thresholds)
    {
        Settings = Settings with { Thresholds = thresholds };
        Task = TextTask.Of(Settings);
    }

    /// <summary>Turns a row's texts into token ids.</summary>
    /// <param name="text">The text.</param>
    /// <param name="textPair">The second text of a pair.</param>
    /// <returns>Ids and the position that is scored.</returns>
    public EncodedText Encode(string text, string? textPair = null) => _encoder.Encode(text, textPair);

    /// <summary>Turns an answer into what a model that writes should write.</summary>
    /// <param name="answer">The answer.</param>
    /// <returns>Token ids, <c>&lt;/s&gt;</c> last.</returns>
    /// <exception cref="InvalidOperationException">The model writes no answers.</exception>
    public int[] EncodeAnswer(string answer) => Answers.EncodeAnswer(answer);

    /// <summary>The tokens that a row costs in a batch: its own and a soft prompt's, or, where whole options are scored, those of a
    /// sequence per option, and where answers are, those of all answers.</summary>
    /// <param name="row">An encoded row.</param>
    /// <returns>Tokens.</returns>
    public int TokensOf(EncodedText row)
    {
        ArgumentNullException.ThrowIfNull(row);
        return Head.TokensOf(row) + (Backbone.Adaptation?.PromptSize ?? 0);
    }

    /// <summary>Pads rows into a batch on the model's device; where whole options are scored, each row is in it once per option.</summary>
    /// <param name="rows">Encoded rows.</param>
    /// <returns>The batch; the caller disposes it.</returns>
    public TokenBatch Batch(IReadOnlyList<EncodedText> rows) => TokenBatch.Create(Head.Sequences(rows), _tokenizer.PadId, Backbone.Device);

    /// <summary>Logits of a batch; where whole options are scored, their mean log-likelihoods, and where answers are, their
    /// log-likelihoods.</summary>
    /// <param name="batch">The batch that <see cref="Batch"/> made of some rows.</param>
    /// <param name="training">True switches dropout on.</param>
    /// <returns>Float32 <c>[rows, labels]</c>.</returns>
    /// <exception cref="InvalidOperationException">The model writes free text, which has no labels.</exception>
    public Tensor Logits(TokenBatch batch, bool training = false)
    {
        using Lifetime.Hold hold = Backbone.Hold();
        using var scope = NewDisposeScope();
        return Head.Logits(Backbone, batch, training).to(ScalarType.Float32).MoveToOuterDisposeScope();
    }

    /// <summary>Logits of rows in batches that were made before; they stay the caller's.</summary>
    /// <param name="batches">What <see cref="Batches"/> made, by this classifier or by one of the same encoder and device.</param>
    /// <param name="cancellation">Stops between batches.</param>
    /// <returns>For each row one logit per label, as of <see cref="Logits(TokenBatch, bool)"/>.</returns>
    /// <exception cref="InvalidOperationException">The model writes free text, which has no labels.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public float[][] Logits(IReadOnlyList<ScoringBatch> batches, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(batches);
        return Run(batches, Count(batches), batch => ByRow(Logits(batch.Tokens)), cancellation, keep: true);
    }

    /// <summary>How far a model that writes is from an answer to each row of a batch: the mean cross-entropy of its tokens.</summary>
    /// <param name="batch">The batch that <see cref="Batch"/> made of some rows.</param>
    /// <param name="answers">For each row what <see cref="EncodeAnswer"/> gave.</param>
    /// <param name="training">True switches dropout on.</param>
    /// <returns>In nats, Float32 <c>[rows]</c>.</returns>
    /// <exception cref="ArgumentException">There are not as many answers as rows.</exception>
    /// <exception cref="InvalidOperationException">The model writes no answers.</exception>
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
        using var scope = NewDisposeScope();
        Tensor targets = T5ForConditionalGeneration.Targets(answers, model.Device);
        Tensor lengths = tensor(answers.Select(answer => (float)answer.Length).ToArray(), device: model.Device);
        return model.LogLikelihoods(batch, targets, training).div(lengths).neg().MoveToOuterDisposeScope();
    }

    /// <summary>How far a model that writes is from an answer to each row: the mean cross-entropy of its tokens.</summary>
    /// <param name="batches">What <see cref="Batches"/> made; they stay the caller's.</param>
    /// <param name="answers">For each row what <see cref="EncodeAnswer"/> gave, of its first answer as a rule.</param>
    /// <param name="cancellation">Stops between batches.</param>
    /// <returns>For each row its loss, in nats.</returns>
    /// <exception cref="ArgumentException">There are not as many answers as rows.</exception>
    /// <exception cref="InvalidOperationException">The model writes no answers.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public float[] Losses(IReadOnlyList<ScoringBatch> batches, IReadOnlyList<int[]> answers, CancellationToken cancellation = default)
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

    /// <summary>What a model that writes answers to some rows: greedily the likeliest token after another.</summary>
    /// <param name="rows">Encoded rows, any number and any lengths; they are answered in groups of similar length.</param>
    /// <param name="cancellation">Stops between tokens.</param>
    /// <returns>For each row its text, without special tokens and spaces around it, of at most
    /// <see cref="Generation.TextToTextTask.MaxOutputLength"/> tokens.</returns>
    /// <exception cref="InvalidOperationException">The model writes no answers.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public string[] Generate(IReadOnlyList<EncodedText> rows, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(rows);
        return Run(Batches(rows), rows.Count, batch => Answer(batch, cancellation), cancellation);
    }

    /// <summary>What a model that writes answers to rows of batches that were made before; they stay the caller's.</summary>
    /// <param name="batches">What <see cref="Batches"/> made, by this classifier or by one of the same encoder and device.</param>
    /// <param name="cancellation">Stops between tokens.</param>
    /// <returns>For each row its text.</returns>
    /// <exception cref="InvalidOperationException">The model writes no answers.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public string[] Generate(IReadOnlyList<ScoringBatch> batches, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(batches);
        return Run(batches, Count(batches), batch => Answer(batch, cancellation), cancellation, keep: true);
    }

    /// <summary>Probabilities of the labels: the softmax over the label words, classes or answers; of a multi-label task each label's own,
    /// the sigmoid of its logit.</summary>
    /// <param name="rows">Encoded rows, any number and any lengths; they are scored in groups of similar length.</param>
    /// <param name="cancellation">Stops between batches.</param>
    /// <returns>For each row one probability per label.</returns>
    /// <exception cref="InvalidOperationException">The model writes free text, which has no labels.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public float[][] Score(IReadOnlyList<EncodedText> rows, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(rows);
        return Run(Batches(rows), rows.Count, Probabilities, cancellation);
    }

    /// <summary>Probabilities of the labels, of batches that were made before; they stay the caller's.</summary>
    /// <param name="batches">What <see cref="Batches"/> made, by this classifier or by one of the same encoder and device.</param>
    /// <param name="cancellation">Stops between batches.</param>
    /// <returns>For each row one probability per label.</returns>
    /// <exception cref="InvalidOperationException">The model writes free text, which has no labels.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public float[][] Score(IReadOnlyList<ScoringBatch> batches, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(batches);
        return Run(batches, Count(batches), Probabilities, cancellation, keep: true);
    }

    /// <summary>
    /// Of a model that writes the labels' answers, their probabilities by the first token in which they differ, after what they have in
    /// common: the confidence of cartography (methods, C.6). Where two answers differ later only, those of <see cref="Score(IReadOnlyList{EncodedText}, CancellationToken)"/>.
    /// </summary>
    /// <param name="rows">Encoded rows, any number and any lengths.</param>
    /// <param name="cancellation">Stops between batches.</param>
    /// <returns>For each row one probability per label.</returns>
    /// <exception cref="InvalidOperationException">The model writes no answers, or free text, which has no labels.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public float[][] ScoreAnswerTokens(IReadOnlyList<EncodedText> rows, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(rows);
        T5ForConditionalGeneration model = Writer;
        return Run(
            Batches(rows), rows.Count, batch => ByRow(F.softmax(((AnswerHead)Head).TokenScores(model, batch.Tokens).to(ScalarType.Float32), 1)), cancellation);
    }

    /// <summary>Groups rows of similar length and pads them, so that they can be scored more than once.</summary>
    /// <param name="rows">Encoded rows, any number and any lengths.</param>
    /// <returns>Batches one by one, which the caller disposes.</returns>
    public IEnumerable<ScoringBatch> Batches(IReadOnlyList<EncodedText> rows)
    {
        ArgumentNullException.ThrowIfNull(rows);
        return LengthBatches.Split([.. rows.Select(TokensOf)], LengthBatches.SuitableTokens(Backbone.Device))
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

    /// <summary>Puts a graft, and the head it may carry, into this classifier's base weights, in place.</summary>
    /// <param name="graft">The graft.</param>
    /// <param name="fingerprint">The backbone's fingerprint when the caller knows it; else it is computed.</param>
    /// <exception cref="InvalidDataException">The graft is for another base model, or another head.</exception>
    public void Apply(Graft graft, string? fingerprint = null)
    {
        ArgumentNullException.ThrowIfNull(graft);
        using Lifetime.Hold hold = Backbone.Hold();
        ApplyHead(graft);
        graft.ApplyTo(Backbone, fingerprint);
    }

    /// <summary>Puts the head that a graft carries, if it does, into this classifier's head: its rows by the names of their labels.</summary>
    /// <param name="graft">The graft.</param>
    /// <returns>What was taken over; null for a head without parameters of its own.</returns>
    /// <exception cref="InvalidDataException">The graft carries another head.</exception>
    public HeadMatch? ApplyHead(Graft graft)
    {
        ArgumentNullException.ThrowIfNull(graft);
        using Lifetime.Hold hold = Backbone.Hold();
        return Head.Take(graft.HeadParameters, LabelsOf(graft.Settings, "the graft's metadata"), "The graft");
    }

    /// <summary>Puts what a tuning method learnt into this classifier, which has the same method, in place.</summary>
    /// <param name="tuned">The tuned weights.</param>
    /// <exception cref="InvalidDataException">They are for another base model, another method, or another head.</exception>
    public void Apply(TunedWeights tuned)
    {
        ArgumentNullException.ThrowIfNull(tuned);
        using Lifetime.Hold hold = Backbone.Hold();
        if (Settings.Tuning != tuned.Options)
        {
            throw new InvalidDataException(
                $"The tuned weights are of {tuned.Options}, and this classifier is tuned with {Settings.Tuning?.ToString() ?? "nothing"}.");
        }

        IReadOnlyList<string>? labels = LabelsOf(tuned.Settings, "the tuned weights' metadata");
        if (Head.Parameters.Count > 0 && labels is not null && !HeadMatch.Between(Settings.Labels, labels).IsWhole)
        {
            throw new InvalidDataException(
                $"The tuned weights are for the labels {string.Join(", ", labels)}, and this classifier's are "
                + $"{string.Join(", ", Settings.Labels)}.");
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
                $"The tuned weights are for the base model with fingerprint {tuned.BaseFingerprint}, and this classifier's has {fingerprint}: "
                + "load the checkpoint that was tuned.");
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

    /// <summary>What the tuning method has learnt, without the base model.</summary>
    /// <returns>Copies of <see cref="TunedParameters"/>, with the settings.</returns>
    /// <exception cref="InvalidOperationException">There is no tuning method.</exception>
    public TunedWeights Tuned()
    {
        TuningOptions options = Settings.Tuning
            ?? throw new InvalidOperationException("This classifier has no tuning method: Save writes it as a whole.");
        using Lifetime.Hold hold = Backbone.Hold();
        using var scope = NewDisposeScope();
        return new()
        {
            BaseFingerprint = UntunedFingerprint(),
            Options = options,
            Settings = Settings.ToJson(),
            Tensors = new OrderedDictionary<string, (long[] Shape, float[] Values)>(
                TunedParameters.Select(pair => KeyValuePair.Create(
                    pair.Key, (pair.Value.shape, pair.Value.detach().to(ScalarType.Float32).cpu().contiguous().data<float>().ToArray()))),
                StringComparer.Ordinal),
        };
    }

    /// <summary>Writes what the tuning method has learnt as one safetensors file, which <see cref="LoadTuned"/> puts on the base again.</summary>
    /// <param name="path">The file; an older one is replaced when the new one is complete.</param>
    /// <exception cref="InvalidOperationException">There is no tuning method.</exception>
    /// <exception cref="IOException">It could not be written; what was there is untouched.</exception>
    public void SaveTuned(string path) => Tuned().Save(path);

    /// <summary>
    /// A copy that scores the same, with tuning folded in as far as it can be (<see cref="LanguageModel.FoldAdaptation"/>): after LoRA,
    /// low-rank biases and BitFit it has, as a rule, ordinary weights and no tuning method, and <see cref="Save"/> writes an ordinary
    /// checkpoint.
    /// </summary>
    /// <param name="shares">Backbone parameters whose storage is shared instead of copied, unless folding changes them; none by default.</param>
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
    /// Writes a Hugging Face checkpoint folder with these weights, the tokenizer's files and the settings. What no class of Python's has (a
    /// tuning method's parameters with the head that goes with them, and a head on one linear layer) lies in a file of its own,
    /// <c>skillloc.safetensors</c>, so that Python reads the model without it: after a tuning method the one that was tuned, as it was.
    /// </summary>
    /// <param name="folder">The folder; an older one of that name is replaced when the new one is complete.</param>
    /// <param name="storeAs">The type to store weights in; their own by default.</param>
    /// <exception cref="IOException">It could not be written; what was there is untouched.</exception>
    public void Save(string folder, ScalarType? storeAs = null) => Write(folder, storeAs, isChecked: false);

    /// <summary>The same where <see cref="CheckpointFolder.CheckWritable"/> was asked before.</summary>
    internal void SaveChecked(string folder) => Write(folder, storeAs: null, isChecked: true);

    /// <summary>The identity of the weights, the head's and a tuning method's included: see <see cref="CheckpointFingerprint"/>.</summary>
    /// <returns>A hexadecimal SHA-256.</returns>
    public string Fingerprint()
    {
        using Lifetime.Hold hold = Backbone.Hold();
        return CheckpointFingerprint.Compute(AllParameters());
    }

    /// <summary>A classifier of its own with the same weights.</summary>
    /// <param name="shares">Backbone parameters whose storage is shared instead of copied; none by default.</param>
    /// <param name="dtype">The type of the copy's own weights; this classifier's by default.</param>
    /// <returns>The copy; the caller disposes it.</returns>
    public TextClassifier Clone(Func<string, bool>? shares = null, ScalarType? dtype = null)
    {
        using Lifetime.Hold hold = Backbone.Hold();
        return new(Backbone.Clone(shares, dtype), Head.Clone(dtype), _tokenizer, Settings);
    }

    /// <summary>A classifier of its own whose model has another configuration: some parameters are new, the others copies.</summary>
    internal TextClassifier With(ModelConfig config, IReadOnlyDictionary<string, Tensor> changed)
    {
        using Lifetime.Hold hold = Backbone.Hold();
        return new(Backbone.With(config, changed), Head.Clone(), _tokenizer, Settings);
    }

    /// <summary>
    /// A classifier for another task over the same backbone: the weights of both lie in the same storage, so that what changes in place
    /// changes for both. The storage lives as long as either. A head of its own is initialised, or taken over from a checkpoint.
    /// </summary>
    /// <param name="settings">The other task.</param>
    /// <param name="seed">Seed of a head of its own.</param>
    /// <param name="stored">A checkpoint whose trained head is taken over, row by row, by the names of the labels; null takes none.</param>
    /// <returns>The classifier; the caller disposes it.</returns>
    /// <exception cref="ArgumentException">The settings do not fit the checkpoint, or need the language-model head and this backbone has none.</exception>
    /// <exception cref="InvalidOperationException">A tuning method is at work in one of the two, which could not share it.</exception>
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

    /// <summary>Releases the weights, now or with the end of the last pass that runs.</summary>
    public void Dispose() => Backbone.Dispose();

    /// <summary>The labels of a head that was saved with settings; null where there are none.</summary>
    private static IReadOnlyList<string>? LabelsOf(string settings, string source) =>
        settings.Length == 0 ? null : ClassifierSettings.FromJson(settings, source).Labels;

    /// <summary>What encodes and decodes answers.</summary>
    private TextToTextEncoder Answers => _encoder as TextToTextEncoder
        ?? throw new InvalidOperationException($"The model writes no answers: its head is {Head.Kind}.");

    /// <summary>The model that writes answers.</summary>
    private T5ForConditionalGeneration Writer => Backbone as T5ForConditionalGeneration
        ?? throw new InvalidOperationException($"The model writes no answers: it is {Backbone.Config.ModelType}, with the head {Head.Kind}.");

    private void Write(string folder, ScalarType? storeAs, bool isChecked)
    {
        using Lifetime.Hold hold = Backbone.Hold();
        IReadOnlyDictionary<string, Parameter> added = Backbone.Adaptation?.Parameters ?? NoParameters;
        IEnumerable<KeyValuePair<string, Parameter>> own = HasPythonHead ? [] : Head.Parameters.Concat(added);
        HashSet<string> names = [.. own.Select(pair => pair.Key)];
        CheckpointFolder.Write(
            folder, Config(), AllParameters().Where(pair => !names.Contains(pair.Name)), _tokenizer.Files, storeAs,
            new Dictionary<string, string>(StringComparer.Ordinal) { [ClassifierSettings.FileName] = Settings.ToJson() },
            [.. own.Select(pair => (pair.Key, (Tensor)pair.Value))],
            isChecked);
    }

    private static int Count(IEnumerable<ScoringBatch> batches) => batches.Sum(batch => batch.Rows.Count);

    /// <summary>Does something with each batch, and puts what it gave into the order of the rows.</summary>
    private T[] Run<T>(
        IEnumerable<ScoringBatch> batches, int rows, Func<ScoringBatch, T[]> work, CancellationToken cancellation, bool keep = false)
    {
        var results = new T[rows];
        using Lifetime.Hold hold = Backbone.Hold();
        using IDisposable inference = no_grad();
        foreach (ScoringBatch batch in batches)
        {
            using IDisposable? own = keep ? null : batch;
            cancellation.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            T[] values = work(batch);
            for (int i = 0; i < batch.Rows.Count; i++)
            {
                results[batch.Rows[i]] = values[i];
            }
        }

        return results;
    }

    private float[][] Probabilities(ScoringBatch batch) => ByRow(Task.Probabilities(Logits(batch.Tokens)));

    /// <summary>A tensor <c>[rows, labels]</c> as numbers.</summary>
    private float[][] ByRow(Tensor values) => [.. values.cpu().data<float>().ToArray().Chunk(Settings.Labels.Count)];

    private string[] Answer(ScoringBatch batch, CancellationToken cancellation) =>
        [.. Writer.Generate(batch.Tokens, Settings.TextToText!.MaxOutputLength, cancellation).Select(Answers.DecodeAnswer)];

    private IEnumerable<(string Name, Tensor Value)> AllParameters() => Parameters.Select(pair => (pair.Key, (Tensor)pair.Value));

    /// <summary>Whether a class of Python's is all of this: its language-model head, or its sequence classifier, and nothing added.</summary>
    private bool HasPythonHead => Backbone.Adaptation is null && Head.Kind is not (HeadKind.FirstTokenLinear or HeadKind.MaskTokenLinear);

    /// <summary>The identity of the backbone's weights that tuning leaves alone.</summary>
    private string UntunedFingerprint()
    {
        IReadOnlyDictionary<string, Parameter> tuned = TunedParameters;
        return CheckpointFingerprint.Compute(Backbone.Parameters.Where(pair => !tuned.ContainsKey(pair.Key)).Select(pair => (pair.Key, (Tensor)pair.Value)));
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
            ? config.WithArchitecture(family + "ForSequenceClassification").WithLabels(Settings.Labels)
                .With("problem_type", Settings.IsMultiLabel ? ConfigFields.MultiLabel : null)
            : config.WithArchitecture(family + "Model").With("id2label", null).With("label2id", null);
    }
}
