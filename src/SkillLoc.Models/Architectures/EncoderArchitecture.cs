using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using TorchSharp.Modules;

namespace SkillLoc.Models.Architectures;

/// <summary>An encoder of post-norm layers with a masked-language-model head (<see cref="MaskedLanguageModel"/>): its names, and where its
/// arithmetic differs from BERT's.</summary>
internal abstract record EncoderArchitecture(string ModelType, string Name, string ClassPrefix, EncoderNames Names)
    : Architecture(ModelType, Name, ClassPrefix)
{
    /// <inheritdoc/>
    public override string HeadPrefix => Names.Head.Prefix;

    /// <summary>Whether the head's activation is GELU, whatever that of the layers.</summary>
    public virtual bool HasGeluHead => false;

    /// <summary>Whether there is dropout after the attention's output projection.</summary>
    public virtual bool DropsAttentionOutput => true;

    /// <summary>Whether positions are counted from the padding id of the configuration.</summary>
    public virtual bool CountsFromPadding => false;

    /// <summary>A padding token within a text: it has the position before the first, and positions after it do not count it. Null where
    /// positions count every token.</summary>
    public virtual int? UncountedToken(ModelConfig config) => null;

    /// <inheritdoc/>
    public override ModelSizes Read(ConfigJson json)
    {
        double dropout = json.Probability("hidden_dropout_prob", 0.1);
        return new()
        {
            HiddenSize = json.Size("hidden_size"),
            Layers = json.Size("num_hidden_layers"),
            Heads = json.Size("num_attention_heads"),
            FeedForwardSize = json.Size("intermediate_size"),
            MaxPositions = json.Size("max_position_embeddings"),
            TypeVocabularySize = Names.TokenTypes is null ? 0 : json.Size("type_vocab_size", 2),
            LayerNormEpsilon = json.Positive("layer_norm_eps", 1e-12),
            InitializerRange = json.Positive("initializer_range", 0.02),
            HiddenDropout = dropout,
            EmbeddingDropout = dropout,
            AttentionDropout = json.Probability("attention_probs_dropout_prob", 0.1),
            ClassifierDropout = json.Probability("classifier_dropout", dropout),
            HiddenActivation = json.Text("hidden_act") ?? "gelu",
        };
    }

    /// <inheritdoc/>
    public override IEnumerable<(string Name, long[] Shape)> Shapes(ModelConfig config, bool withHead) => Names.Shapes(config, withHead);

    /// <inheritdoc/>
    public override MaskedLanguageModel Make(ModelConfig config, OrderedDictionary<string, Parameter> parameters) =>
        new(config, parameters, this);

    /// <inheritdoc/>
    /// <remarks><c>transformers</c> does not tie a head whose stored weights differ from the word embeddings, whatever the file
    /// says.</remarks>
    public override ModelConfig Settle(CheckpointFolder checkpoint) =>
        StoredTensor.HasOwnHead(checkpoint, Names.Head.Decoder + ".weight", Names.Words)
            ? checkpoint.Config.With("tie_word_embeddings", false)
            : checkpoint.Config;
}
