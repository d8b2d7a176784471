using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Embeddings;
using SkillLoc.Models.NativeCalls;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tokenization;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Hooks;

/// <summary>
/// Reads the activation at one hook point, pooled into a vector a text. It may be disposed while other threads read: what runs finishes.
/// </summary>
public sealed class ActivationReader : IDisposable
{
    /// <summary>What the largest values of tokens that are not pooled are taken for, as in sentence-transformers.</summary>
    internal const float Lowest = -1e9f;

    private readonly LanguageModel _model;
    private readonly IDisposable _owned;
    private readonly int _padId;
    private readonly Func<string, string?, EncodedText> _encode;
    private readonly SentenceModules? _modules;

    /// <summary>Loads a checkpoint, without its head; of one that was tuned by a method, with what that added. Texts have the special
    /// tokens around them that the checkpoint's own tokenizer puts there (<see cref="SpecialTokenLayout.Checkpoint"/>), which are pooled
    /// with them.
    /// </summary>
    /// <param name="folder">A Hugging Face checkpoint folder, or a name that <see cref="SkillLoc.Models.Hub.CheckpointHub"/>
    /// resolves.</param>
    /// <param name="point">The hook point's name, such as <c>blocks.3.mlp.hook_post</c>; <see cref="LanguageModel.HookPoints"/> lists
    /// them.</param>
    /// <param name="pooling">How a text's activations become one vector.</param>
    /// <param name="template">A prompt template; null for plain text.</param>
    /// <param name="maxLength">The most tokens of a row; lowered to what the model can take.</param>
    /// <param name="device">The device of the weights; the CPU by default.</param>
    /// <exception cref="FileNotFoundException">The folder or one of its files is missing.</exception>
    /// <exception cref="InvalidDataException">A file is damaged.</exception>
    /// <exception cref="NotSupportedException">The checkpoint was tuned with a soft prompt, which a classifier's reader reads
    /// with.</exception>
    /// <exception cref="ArgumentException">The model has no such point; the message lists those that it has. Or T5's decoder is to be
    /// pooled otherwise than at its <see cref="TextPooling.ScoredPosition"/>, or the template has a mask and the vocabulary
    /// none.</exception>
    public ActivationReader(
        string folder,
        string point,
        TextPooling pooling = TextPooling.Mean,
        string? template = null,
        int maxLength = 128,
        Device? device = null
    )
        : this(folder, _ => point, pooling, template, maxLength, device)
    {
        ArgumentNullException.ThrowIfNull(point);
    }

    /// <summary>Reads what a classifier computes, with its prompt or soft prompt. It shares the classifier's weights, but not its hooks,
    /// and may outlive it.</summary>
    /// <param name="classifier">The classifier; the caller keeps it.</param>
    /// <param name="point">The hook point's name, such as <c>blocks.3.mlp.hook_post</c>; <see cref="LanguageModel.HookPoints"/> lists
    /// them.</param>
    /// <param name="pooling">How a text's activations become one vector; the slots of a soft prompt are no tokens of it.</param>
    /// <exception cref="ArgumentException">The model has no such point; the message lists those that it has. Or T5's decoder is to be
    /// pooled otherwise than at its <see cref="TextPooling.ScoredPosition"/>.</exception>
    public ActivationReader(TextClassifier classifier, string point, TextPooling pooling = TextPooling.Mean)
    {
        ArgumentNullException.ThrowIfNull(classifier);
        ArgumentNullException.ThrowIfNull(point);
        Check(classifier.Backbone.Points, point, pooling);
        TextClassifier own = classifier.Clone(_ => true);
        (_model, _owned, _padId, _encode) = (own.Backbone, own, own.Tokenizer.PadId, own.Encode);
        Point = _model.Points.Of(point);
        Pooling = pooling;
    }

    /// <param name="folder">A checkpoint folder.</param>
    /// <param name="point">A point's name, by the configuration.</param>
    /// <param name="pooling">How activations become one vector.</param>
    /// <param name="template">A prompt template.</param>
    /// <param name="maxLength">The most tokens of a row.</param>
    /// <param name="device">Where the weights go.</param>
    /// <param name="modules">What is computed from pooled vectors, which the reader takes over; null for nothing.</param>
    internal ActivationReader(
        string folder,
        Func<ModelConfig, string> point,
        TextPooling pooling,
        string? template,
        int maxLength,
        Device? device,
        SentenceModules? modules = null
    )
    {
        _modules = modules;
        PromptTemplate? prompt = template is null ? null : PromptTemplate.Parse(template);
        using var checkpoint = CheckpointFolder.Open(folder);
        LanguageModel.CheckArchitecture(checkpoint.Config);
        string name = point(checkpoint.Config);
        var tokenizer = CheckpointTokenizer.Load(checkpoint.Path);
        tokenizer.CheckVocabulary(checkpoint.Config.VocabularySize);
        if (prompt is not null && !tokenizer.HasMask)
        {
            throw new ArgumentException(
                $"The template '{prompt}' has a mask, and the vocabulary of {folder} ({checkpoint.Config.ModelType}) has none; leave "
                    + "the template out.",
                nameof(template)
            );
        }

        Check(LanguageModel.HookPointsOf(checkpoint), name, pooling);
        var model = LanguageModel.LoadReader(checkpoint, device, withDecoder: name.StartsWith("decoder", StringComparison.Ordinal));
        try
        {
            if (model.PeftModule?.PromptSize > 0)
            {
                throw new NotSupportedException(
                    $"{folder} was tuned with a soft prompt, whose slots would be among the hidden states; embed texts with the checkpoint "
                        + "that was tuned, or read the activations of the model that it is loaded as (LoadTextScorer)."
                );
            }

            Point = model.Points.Of(name);
            Pooling = pooling;
            modules?.CheckFits(Point.Size);
            int length = Math.Min(maxLength, model.MaxLength);
            ITextEncoder encoder = prompt is null
                ? new SequenceEncoder(tokenizer, length, SpecialTokenLayout.Checkpoint) { ScoresLast = checkpoint.Config.IsCausal }
                : new TemplateEncoder(prompt, tokenizer, [], length);
            (_model, _owned, _padId, _encode) = (model, model, tokenizer.PadId, encoder.Encode);
            if (modules?.Prompt is { } before)
            {
                _encode = (text, pair) => encoder.Encode(before + text, pair);
                bool ends = tokenizer.Format.Single is [.., { Id: not null }];
                UnpooledTokens = modules.IncludesPrompt ? 0 : encoder.Encode(before, null).Ids.Length - (ends ? 1 : 0);
            }

            (Tokenizer, Template, MaxLength) = (tokenizer, template, length);
            if (modules is not null)
            {
                model.DisposeWith(modules);
            }
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <summary>The point that is read.</summary>
    public HookPoint Point { get; }

    /// <summary>How a text's activations become one vector.</summary>
    public TextPooling Pooling { get; }

    /// <summary>The size of a vector.</summary>
    internal int Size => _modules?.SizeOf(Point.Size) ?? Point.Size;

    /// <summary>What is computed from pooled vectors; null for nothing.</summary>
    internal SentenceModules? Modules => _modules;

    /// <summary>The model that is read.</summary>
    internal LanguageModel Model => _model;

    /// <summary>A checkpoint's tokenizer; null for a classifier's reader.</summary>
    internal CheckpointTokenizer? Tokenizer { get; }

    /// <summary>The prompt template of a checkpoint's reader; null for plain text.</summary>
    internal string? Template { get; }

    /// <summary>The most tokens of a row of a checkpoint's reader.</summary>
    internal int MaxLength { get; }

    /// <summary>How many of a row's first tokens are not pooled: those of a prompt, where the folder says so.</summary>
    internal int UnpooledTokens { get; }

    /// <summary>Turns a row's texts into token ids.</summary>
    /// <param name="text">The text.</param>
    /// <param name="textPair">The second text of a pair.</param>
    /// <returns>Ids and the position that is scored.</returns>
    public EncodedText Encode(string text, string? textPair = null) => _encode(text, textPair);

    /// <summary>Reads rows, in groups of similar length.</summary>
    /// <param name="rows">Encoded rows, any number and any lengths.</param>
    /// <param name="cancellation">Stops between batches.</param>
    /// <returns>For each row a vector of the point's size, or of that of a sentence-transformers folder's dense layer.</returns>
    /// <exception cref="OperationCanceledException">The operation was cancelled.</exception>
    public float[][] Read(IReadOnlyList<EncodedText> rows, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(rows);
        float[][] vectors = new float[rows.Count][];
        using Lifetime.Hold hold = _model.Hold();
        using IDisposable inference = no_grad();
        int prompt = _model.PeftModule?.PromptSize ?? 0,
            size = Size;
        foreach (int[] group in ScoringBatch.Split([.. rows.Select(row => row.Ids.Length + prompt)], _model.Device))
        {
            cancellation.ThrowIfCancellationRequested();
            using DisposeScope scope = NewDisposeScope();
            using var batch = TokenBatch.Create([.. group.Select(i => rows[i])], _padId, _model.Device);
            Tensor pooled = Read(batch).to(ScalarType.Float32).cpu();
            float[] values = (_modules?.Finish(pooled) ?? pooled).data<float>().ToArray();
            for (int i = 0; i < group.Length; i++)
            {
                vectors[group[i]] = values[(i * size)..((i + 1) * size)];
            }
        }

        return vectors;
    }

    /// <summary>Releases what it owns, now or with the end of the last <see cref="Read(IReadOnlyList{EncodedText}, CancellationToken)"/>
    /// that runs.</summary>
    public void Dispose() => _owned.Dispose();

    private static void Check(HookPoints points, string name, TextPooling pooling)
    {
        if (!points.Of(name).IsOfText && pooling != TextPooling.ScoredPosition)
        {
            throw new ArgumentException(
                $"In '{name}', of T5's decoder, a text has one position, the first step: the pooling must be "
                    + $"{TextPooling.ScoredPosition}, not {pooling}.",
                nameof(pooling)
            );
        }
    }

    /// <summary>One vector a row.</summary>
    private Tensor Read(TokenBatch batch)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor? pooled = null;
        var hooks = new ActivationHooks(_model);
        hooks.Add(
            [Point],
            (activation, context) =>
            {
                pooled = Pool(activation, context).MoveToOtherDisposeScope(scope);
                return null;
            }
        );

        // For one position the last layer need not be computed at the others.
        bool isOne = Point.IsDecoder || (Pooling == TextPooling.ScoredPosition && !_model.Config.IsEncoderDecoder);
        _ = isOne ? _model.EncodeAt(batch, hooks: hooks) : _model.Encode(batch, hooks: hooks);
        return pooled!.MoveToOuterDisposeScope();
    }

    private Tensor Pool(Tensor activation, HookContext context)
    {
        if (!Point.IsOfText || context.Positions is not null)
        {
            return activation.select(1, 0).clone();
        }

        // A causal model's soft prompt stands behind the text, another's before it.
        TokenBatch batch = context.Batch;
        int prompt = _model.PeftModule?.PromptSize ?? 0;
        Tensor text = activation.narrow(1, _model.Config.IsCausal ? 0 : prompt, batch.Ids.size(1));
        Tensor? isToken = batch.Mask?.view(text.size(0), -1, 1);
        if (UnpooledTokens > 0)
        {
            Tensor isPooled = ones(1, text.size(1), 1, dtype: ScalarType.Bool, device: text.device);
            isPooled.narrow(1, 0, Math.Min(UnpooledTokens, text.size(1))).zero_();
            isToken = isToken is null ? isPooled.expand(text.size(0), -1, 1) : isToken.logical_and(isPooled);
        }

        return Pooling switch
        {
            TextPooling.FirstToken => text.select(1, 0).clone(),
            TextPooling.ScoredPosition => At(_model.PeftModule?.ScoredPositions(batch) ?? batch.Positions),
            TextPooling.Max => (isToken is null ? text : text.MaskedFill(isToken.logical_not(), Lowest)).amax(1),
            _ when isToken is null => text.mean([1]),
            _ => Mean(isToken.to(text.dtype)),
        };

        Tensor At(Tensor positions) => activation.gather(1, positions.view(-1, 1, 1).expand(-1, 1, activation.size(2))).squeeze(1);

        // Of a row that is nothing but a prompt there is no token left, and the sum is 0.
        Tensor Mean(Tensor counts)
        {
            Tensor count = counts.sum(dim: 1);
            return (text * counts).sum(dim: 1) / (UnpooledTokens > 0 ? maximum(count, ones_like(count)) : count);
        }
    }
}
