using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using TorchSharp.Modules;

namespace SkillLoc.Models.Architectures;

/// <summary>T5, versions 1.0 and 1.1.</summary>
internal sealed record T5Architecture() : Architecture("t5", "T5", "T5")
{
    /// <inheritdoc/>
    public override string LanguageModelClass => "T5ForConditionalGeneration";

    /// <inheritdoc/>
    public override string ActivationKey => "feed_forward_proj";

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, string> SharedNames { get; } =
        new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["d_model"] = "hidden_size",
            ["num_layers"] = "num_hidden_layers",
            ["num_heads"] = "num_attention_heads",
            ["d_kv"] = "head_dim",
        };

    /// <inheritdoc/>
    public override (int? Pad, int? Bos, int? Eos) DefaultTokenIds => (0, null, 1);

    /// <inheritdoc/>
    public override ClassifierForm Classifier =>
        throw new NotSupportedException("T5 writes its answers and has no classification head here.");

    /// <inheritdoc/>
    public override ModelSizes Read(ConfigJson json)
    {
        int layers = json.Size("num_layers");
        double dropout = json.Probability("dropout_rate", 0.1);
        (string activation, bool gated) = FeedForwardProjection(json);
        return new()
        {
            HiddenSize = json.Size("d_model"),
            Layers = layers,
            Heads = json.Size("num_heads"),
            HeadSize = json.Size("d_kv", 64),
            FeedForwardSize = json.Size("d_ff"),
            LayerNormEpsilon = json.Positive("layer_norm_epsilon", 1e-6),
            InitializerRange = json.Positive("initializer_factor", 1),
            HiddenDropout = dropout,
            EmbeddingDropout = dropout,
            AttentionDropout = dropout,
            ClassifierDropout = json.Probability("classifier_dropout", dropout),
            HiddenActivation = activation,
            HasGatedFeedForward = gated,
            DecoderLayers = json.Integer("num_decoder_layers") is 0 ? 0 : json.Size("num_decoder_layers", layers),
            RelativeAttentionBuckets = json.Size("relative_attention_num_buckets", 32),
            RelativeAttentionMaxDistance = json.Size("relative_attention_max_distance", 128),
        };
    }

    /// <inheritdoc/>
    public override IEnumerable<(string Name, long[] Shape)> Shapes(ModelConfig config, bool withHead) =>
        T5Parameters.Shapes(config, withHead);

    /// <inheritdoc/>
    public override T5ForConditionalGeneration Make(ModelConfig config, OrderedDictionary<string, Parameter> parameters) =>
        new(config, parameters);

    /// <inheritdoc/>
    public override void Check(ModelConfig config) => T5Parameters.Check(config);

    /// <inheritdoc/>
    public override ModelConfig Settle(CheckpointFolder checkpoint) => T5Parameters.Settle(checkpoint);

    /// <inheritdoc/>
    public override double InitialDeviation(ModelConfig config, string name) => T5Parameters.InitialDeviation(config, name);

    // transformers writes what it made of feed_forward_proj as two keys more, and heeds these when it reads.
    private static (string Activation, bool Gated) FeedForwardProjection(ConfigJson json)
    {
        const string Gate = "gated-";
        string projection = json.Text("feed_forward_proj") ?? "relu";
        bool gated = projection.StartsWith(Gate, StringComparison.Ordinal);
        // The checkpoints of T5 1.1 say gated-gelu and mean the tanh approximation.
        string activation =
            !gated ? projection
            : projection is "gated-gelu" ? "gelu_new"
            : projection[Gate.Length..];
        return (json.Text("dense_act_fn") ?? activation, json.Flag("is_gated_act", gated));
    }
}
