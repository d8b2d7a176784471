using SkillLoc.Models.Checkpoints;
using TorchSharp;

namespace SkillLoc.Models.Architectures;

/// <summary>DistilBERT: BERT's layers without token types and pooler, under names of its own.</summary>
internal sealed record DistilBertArchitecture()
    : EncoderArchitecture(
        "distilbert",
        "DistilBERT",
        "DistilBert",
        new(
            "distilbert",
            new(
                "attention.q_lin",
                "attention.k_lin",
                "attention.v_lin",
                "attention.out_lin",
                "sa_layer_norm",
                "ffn.lin1",
                "ffn.lin2",
                "output_layer_norm"
            ),
            new("vocab_transform.", "vocab_transform", "vocab_layer_norm", "vocab_projector")
        )
        {
            Stack = "transformer.layer",
            HasTokenTypes = false,
        }
    )
{
    /// <inheritdoc/>
    public override string ActivationKey => "activation";

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, string> SharedNames { get; } =
        new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["dim"] = "hidden_size",
            ["n_layers"] = "num_hidden_layers",
            ["n_heads"] = "num_attention_heads",
        };

    /// <inheritdoc/>
    public override (int? Pad, int? Bos, int? Eos) DefaultTokenIds => (0, null, null);

    /// <inheritdoc/>
    public override bool DropsAttentionOutput => false;

    /// <inheritdoc/>
    public override ClassifierForm Classifier { get; } = new("pre_classifier", "classifier") { DropsInput = false, Activation = "relu" };

    /// <inheritdoc/>
    public override ModelSizes Read(ConfigJson json)
    {
        double dropout = json.Probability("dropout", 0.1);
        return new()
        {
            HiddenSize = json.Size("dim"),
            Layers = json.Size("n_layers"),
            Heads = json.Size("n_heads"),
            FeedForwardSize = json.Size("hidden_dim"),
            MaxPositions = json.Size("max_position_embeddings"),
            LayerNormEpsilon = 1e-12,
            InitializerRange = json.Positive("initializer_range", 0.02),
            HiddenDropout = dropout,
            EmbeddingDropout = dropout,
            AttentionDropout = json.Probability("attention_dropout", 0.1),
            ClassifierDropout = json.Probability("seq_classif_dropout", 0.2),
            HiddenActivation = json.Text("activation") ?? "gelu",
        };
    }
}
