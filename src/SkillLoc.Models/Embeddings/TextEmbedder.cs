using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Hooks;
using SkillLoc.Models.Hub;
using SkillLoc.Models.Prompts;
using static TorchSharp.torch;

namespace SkillLoc.Models.Embeddings;

/// <summary>
/// Pooled hidden states of one layer of a checkpoint: of encoders and GPT-2, and of T5's encoder. Special tokens are those of the
/// checkpoint's tokenizer (<see cref="SpecialTokenLayout.Checkpoint"/>) and are pooled as well.
/// </summary>
public sealed class TextEmbedder : IDisposable
{
    private const int DefaultMaxLength = 128;

    /// <summary>Reads the hook point of the layer.</summary>
    internal ActivationReader Reader { get; }

    /// <summary>Loads a checkpoint without its head, including the adaptation of a tuning method.</summary>
    /// <param name="folder">A Hugging Face checkpoint folder, or a name that <see cref="SkillLoc.Models.Hub.CheckpointHub"/>
    /// resolves.</param>
    /// <param name="layer">The pooled layer: 0 for the embeddings, i for layer i from 1; null (default) for the last.</param>
    /// <param name="pooling">How hidden states are pooled into one vector; null (default) as the folder's <c>modules.json</c> says, with its
    /// dense layers and its normalisation, where it has one (sentence-transformers), the last layer is pooled and there is no template; else
    /// the mean.</param>
    /// <param name="template">A prompt template; null for plain text.</param>
    /// <param name="maxLength">The maximum length of a row in tokens, above 0; null (default) as the folder's
    /// <c>sentence_bert_config.json</c> says where its <c>modules.json</c> says the pooling, else 128. At most the model's in any case.</param>
    /// <param name="device">The device of the weights; the CPU by default.</param>
    /// <param name="isNormalised">Whether vectors are divided by their Euclidean length; null (default) as the folder's <c>modules.json</c>
    /// says where that says the pooling, else they are not.</param>
    /// <param name="promptName">The prompt that stands before each row's first text, by its name in the folder's
    /// <c>config_sentence_transformers.json</c>; null (default) takes that file's <c>default_prompt_name</c> where <c>modules.json</c> says the
    /// pooling, and an empty name none.</param>
    /// <exception cref="FileNotFoundException">The folder or one of its files is missing.</exception>
    /// <exception cref="InvalidDataException">A file is damaged.</exception>
    /// <exception cref="NotSupportedException">The checkpoint was tuned with a soft prompt, or its <c>modules.json</c> names what is not
    /// known.</exception>
    /// <exception cref="ArgumentException">The model has no such layer, or pooling at the mask has no template with a mask, or
    /// the folder has no such prompt.</exception>
    public TextEmbedder(
        string folder,
        int? layer = null,
        TextPooling? pooling = null,
        string? template = null,
        int? maxLength = null,
        Device? device = null,
        bool? isNormalised = null,
        string? promptName = null
    )
    {
        bool asksFolder = pooling is null && layer is null && template is null;
        SentenceModules? modules = asksFolder ? SentenceModules.Read(CheckpointHub.Resolve(folder)) : null;
        if (modules is null && !string.IsNullOrEmpty(promptName))
        {
            throw new ArgumentException(
                $"The prompt '{promptName}' is one of {folder} only where its modules.json says the pooling: there must be such a file, and "
                    + "neither a layer nor a pooling nor a template.",
                nameof(promptName)
            );
        }

        if (modules is null && isNormalised == true)
        {
            modules = SentenceModules.Normalised(pooling ?? TextPooling.Mean);
        }

        try
        {
            if (asksFolder && modules is not null)
            {
                modules.IsNormalised = isNormalised ?? modules.IsNormalised;
                modules.Choose(promptName);
            }

            Reader = new(
                folder,
                PointOf,
                modules?.Pooling ?? pooling ?? TextPooling.Mean,
                template,
                maxLength ?? modules?.MaxLength ?? DefaultMaxLength,
                device,
                modules
            );
        }
        catch
        {
            modules?.Dispose();
            throw;
        }

        string PointOf(ModelConfig config)
        {
            if (layer is < 0 || layer > config.Layers)
            {
                throw new ArgumentOutOfRangeException(
                    nameof(layer),
                    layer,
                    $"The model of {folder} has the layers 1 to {config.Layers}, and 0 for its embeddings."
                );
            }

            Layer = layer ?? config.Layers;
            return LanguageModel.HiddenPoint(config, Layer);
        }
    }

    /// <summary>0 for the embeddings, i for the output of layer i, counted from 1.</summary>
    public int Layer { get; private set; }

    /// <summary>How hidden states are pooled into one vector.</summary>
    public TextPooling Pooling => Reader.Pooling;

    /// <summary>Whether vectors are divided by their Euclidean length.</summary>
    public bool IsNormalised => Reader.Modules?.IsNormalised == true;

    /// <summary>What stands before each row's first text; null for nothing.</summary>
    public string? Prompt => Reader.Modules?.Prompt;

    /// <summary>The most tokens of a row; what is longer is cut.</summary>
    public int MaxLength => Reader.MaxLength;

    /// <summary>The size of a vector.</summary>
    public int Size => Reader.Size;

    /// <summary>Encodes the texts of a row.</summary>
    /// <param name="text">The text.</param>
    /// <param name="textPair">The second text of a pair.</param>
    /// <returns>Ids and the position of the mask.</returns>
    public EncodedText Encode(string text, string? textPair = null) => Reader.Encode(text, textPair);

    /// <summary>Embeds rows, in groups of similar length.</summary>
    /// <param name="rows">Encoded rows, any number and any lengths.</param>
    /// <param name="cancellation">Stops between batches.</param>
    /// <returns>A vector of <see cref="Size"/> for each row.</returns>
    /// <exception cref="OperationCanceledException">The operation was cancelled.</exception>
    public float[][] Embed(IReadOnlyList<EncodedText> rows, CancellationToken cancellation = default) => Reader.Read(rows, cancellation);

    /// <summary>Releases the weights, now or at the end of the last running <see cref="Embed"/>.</summary>
    public void Dispose() => Reader.Dispose();
}

/// <summary>How the hidden states of a text are pooled into one vector.</summary>
public enum TextPooling
{
    /// <summary>The mean over the row's tokens, without padding.</summary>
    Mean,

    /// <summary>The hidden state of the first token.</summary>
    FirstToken,

    /// <summary>The position that a head reads: the mask's where a template has one, the last token's of a causal model (GPT-2), else the
    /// first token's. With a soft prompt it is the slot that is scored, and in T5's decoder the first step.</summary>
    ScoredPosition,

    /// <summary>The largest value of each dimension over the row's tokens, without padding.</summary>
    Max,
}
