using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tokenization;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Embeddings;

/// <summary>
/// Pooled hidden states of one layer of a checkpoint: of RoBERTa, BERT and GPT-2, and of T5's encoder. Special tokens are those of the
/// checkpoint's tokenizer (<see cref="SpecialTokenLayout.Checkpoint"/>) and are pooled as well.
/// </summary>
public sealed class TextEmbedder : IDisposable
{
    private readonly LanguageModel _model;
    private readonly CheckpointTokenizer _tokenizer;
    private readonly ITextEncoder _encoder;

    /// <summary>Loads a checkpoint without its head, including the adaptation of a tuning method.</summary>
    /// <param name="folder">A Hugging Face checkpoint folder.</param>
    /// <param name="layer">The pooled layer: 0 for the embeddings, i for layer i from 1; null (default) for the last.</param>
    /// <param name="pooling">How hidden states are pooled into one vector.</param>
    /// <param name="template">A prompt template; null for plain text.</param>
    /// <param name="maxLength">The maximum length of a row in tokens; at most the model's.</param>
    /// <param name="device">The device of the weights; the CPU by default.</param>
    /// <exception cref="FileNotFoundException">The folder or one of its files is missing.</exception>
    /// <exception cref="InvalidDataException">A file is damaged.</exception>
    /// <exception cref="NotSupportedException">The checkpoint was tuned with a soft prompt.</exception>
    /// <exception cref="ArgumentException">The model has no such layer, or pooling at the mask has no template with a mask.</exception>
    public TextEmbedder(
        string folder, int? layer = null, TextPooling pooling = TextPooling.Mean, string? template = null, int maxLength = 128, Device? device = null)
    {
        PromptTemplate? prompt = template is null ? null : PromptTemplate.Parse(template);
        if (pooling == TextPooling.Mask && prompt is null)
        {
            throw new ArgumentException($"{nameof(TextPooling)}.{nameof(TextPooling.Mask)} needs a template with a mask.", nameof(template));
        }

        using CheckpointFolder checkpoint = CheckpointFolder.Open(folder);
        LanguageModel.CheckArchitecture(checkpoint.Config);
        int layers = checkpoint.Config.Layers;
        if (layer is < 0 || layer > layers)
        {
            throw new ArgumentOutOfRangeException(nameof(layer), layer, $"The model of {folder} has the layers 1 to {layers}, and 0 for its embeddings.");
        }

        Layer = layer ?? layers;
        Pooling = pooling;
        _tokenizer = CheckpointTokenizer.Load(folder);
        _tokenizer.CheckVocabulary(checkpoint.Config.VocabularySize);
        if (prompt is not null && !_tokenizer.HasMask)
        {
            throw new ArgumentException(
                $"The template '{prompt}' has a mask, and the vocabulary of {folder} ({checkpoint.Config.ModelType}) has none; leave the template out.", nameof(template));
        }

        _model = LanguageModel.LoadReader(checkpoint, device);
        try
        {
            if (_model.Adaptation?.PromptSize > 0)
            {
                throw new NotSupportedException(
                    $"{folder} was tuned with a soft prompt, whose slots would be among the hidden states; embed texts with the checkpoint "
                    + "that was tuned.");
            }

            int length = Math.Min(maxLength, _model.MaxLength);
            _encoder = prompt is null
                ? new SequenceEncoder(_tokenizer, length, SpecialTokenLayout.Checkpoint)
                : new TemplateEncoder(prompt, _tokenizer, [], length);
        }
        catch
        {
            _model.Dispose();
            throw;
        }
    }

    /// <summary>0 for the embeddings, i for the output of layer i, counted from 1.</summary>
    public int Layer { get; }

    /// <summary>How hidden states are pooled into one vector.</summary>
    public TextPooling Pooling { get; }

    /// <summary>The size of a vector.</summary>
    public int Size => _model.Config.HiddenSize;

    /// <summary>Encodes the texts of a row.</summary>
    /// <param name="text">The text.</param>
    /// <param name="textPair">The second text of a pair.</param>
    /// <returns>Ids and the position of the mask.</returns>
    public EncodedText Encode(string text, string? textPair = null) => _encoder.Encode(text, textPair);

    /// <summary>Embeds rows, in groups of similar length.</summary>
    /// <param name="rows">Encoded rows, any number and any lengths.</param>
    /// <param name="cancellation">Stops between batches.</param>
    /// <returns>A vector of <see cref="Size"/> for each row.</returns>
    /// <exception cref="OperationCanceledException">The operation was cancelled.</exception>
    public float[][] Embed(IReadOnlyList<EncodedText> rows, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(rows);
        var vectors = new float[rows.Count][];
        using Lifetime.Hold hold = _model.Hold();
        using IDisposable inference = no_grad();
        foreach (int[] group in LengthBatches.Split([.. rows.Select(row => row.Ids.Length)], LengthBatches.SuitableTokens(_model.Device)))
        {
            cancellation.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            using TokenBatch batch = TokenBatch.Create([.. group.Select(i => rows[i])], _tokenizer.PadId, _model.Device);
            var pool = new Pool(this, batch, scope);
            _model.Encode(batch, observer: pool);
            float[] values = pool.Vectors!.to(ScalarType.Float32).cpu().data<float>().ToArray();
            for (int i = 0; i < group.Length; i++)
            {
                vectors[group[i]] = values[(i * Size)..((i + 1) * Size)];
            }
        }

        return vectors;
    }

    /// <summary>Releases the weights, now or at the end of the last running <see cref="Embed"/>.</summary>
    public void Dispose() => _model.Dispose();

    private sealed class Pool(TextEmbedder owner, TokenBatch batch, DisposeScope scope) : IForwardObserver
    {
        public Tensor? Vectors { get; private set; }

        public void OnHidden(int layer, Tensor hidden)
        {
            if (layer == owner.Layer)
            {
                using var inner = NewDisposeScope();
                Vectors = (owner.Pooling switch
                {
                    TextPooling.FirstToken => hidden.select(1, 0).clone(),
                    TextPooling.Mask => hidden.gather(1, batch.Positions.view(-1, 1, 1).expand(-1, 1, hidden.size(2))).squeeze(1),
                    _ => Mean(hidden),
                }).MoveToOtherDisposeScope(scope);
            }
        }

        public void OnFeedForward(int layer, Tensor activations)
        {
        }

        private Tensor Mean(Tensor hidden)
        {
            if (batch.Mask is null)
            {
                return hidden.mean([1]);
            }

            Tensor counts = batch.Mask.view(hidden.size(0), -1, 1).to(hidden.dtype);
            return (hidden * counts).sum(dim: 1) / counts.sum(dim: 1);
        }
    }
}
