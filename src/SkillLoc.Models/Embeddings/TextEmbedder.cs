using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Hooks;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tokenization;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Embeddings;

/// <summary>
/// Pooled hidden states of one layer of a checkpoint: of RoBERTa, BERT and GPT-2, and of T5's encoder. Texts have the special tokens around
/// them that the checkpoint's own tokenizer puts there (<see cref="SpecialTokenLayout.Checkpoint"/>), which are pooled with them.
/// </summary>
public sealed class TextEmbedder : IDisposable
{
    private readonly LanguageModel _model;
    private readonly CheckpointTokenizer _tokenizer;
    private readonly ITextEncoder _encoder;

    /// <summary>Loads a checkpoint, without its head; of one that was tuned by a method, with what that added.</summary>
    /// <param name="folder">A Hugging Face checkpoint folder.</param>
    /// <param name="layer">Whose output is pooled: 0 for the embeddings, i for layer i, counted from 1; null for the last.</param>
    /// <param name="pooling">How hidden states become one vector.</param>
    /// <param name="template">A prompt template; null for plain text.</param>
    /// <param name="maxLength">The most tokens of a row; lowered to what the model can take.</param>
    /// <param name="device">Where the weights go; the CPU by default.</param>
    /// <exception cref="FileNotFoundException">The folder or one of its files is missing.</exception>
    /// <exception cref="InvalidDataException">A file is damaged.</exception>
    /// <exception cref="NotSupportedException">The checkpoint was tuned with a soft prompt.</exception>
    /// <exception cref="ArgumentException">The model has no such layer, or the mask is asked for without a template that has one.</exception>
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

    /// <summary>How hidden states become one vector.</summary>
    public TextPooling Pooling { get; }

    /// <summary>The length of a vector.</summary>
    public int Size => _model.Config.HiddenSize;

    /// <summary>Turns a row's texts into token ids.</summary>
    /// <param name="text">The text.</param>
    /// <param name="textPair">The second text of a pair.</param>
    /// <returns>Ids and the position of the mask.</returns>
    public EncodedText Encode(string text, string? textPair = null) => _encoder.Encode(text, textPair);

    /// <summary>Embeds rows, in groups of similar length.</summary>
    /// <param name="rows">Encoded rows, any number and any lengths.</param>
    /// <param name="cancellation">Stops between batches.</param>
    /// <returns>For each row a vector of <see cref="Size"/>.</returns>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
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
            Tensor? pooled = null;
            var hooks = new ActivationHooks(_model);
            hooks.Add([_model.HiddenPoint(Layer)], (hidden, _) =>
            {
                pooled = Pooled(hidden, batch).MoveToOtherDisposeScope(scope);
                return null;
            });
            _model.Encode(batch, hooks: hooks);
            float[] values = pooled!.to(ScalarType.Float32).cpu().data<float>().ToArray();
            for (int i = 0; i < group.Length; i++)
            {
                vectors[group[i]] = values[(i * Size)..((i + 1) * Size)];
            }
        }

        return vectors;
    }

    /// <summary>Releases the weights, now or with the end of the last <see cref="Embed"/> that runs.</summary>
    public void Dispose() => _model.Dispose();

    private Tensor Pooled(Tensor hidden, TokenBatch batch)
    {
        return Pooling switch
        {
            TextPooling.FirstToken => hidden.select(1, 0).clone(),
            TextPooling.Mask => hidden.gather(1, batch.Positions.view(-1, 1, 1).expand(-1, 1, hidden.size(2))).squeeze(1),
            _ => Mean(),
        };

        Tensor Mean()
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
