using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using TorchSharp.Modules;

namespace SkillLoc.Models.Architectures;

/// <summary>GPT-2.</summary>
internal sealed record Gpt2Architecture() : Architecture("gpt2", "GPT-2", "GPT2")
{
    /// <inheritdoc/>
    public override string LanguageModelClass => "GPT2LMHeadModel";

    /// <inheritdoc/>
    public override string ActivationKey => "activation_function";

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, string> SharedNames { get; } =
        new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["n_embd"] = "hidden_size",
            ["n_layer"] = "num_hidden_layers",
            ["n_head"] = "num_attention_heads",
            ["n_positions"] = "max_position_embeddings",
        };

    /// <inheritdoc/>
    public override (int? Pad, int? Bos, int? Eos) DefaultTokenIds => (null, 50256, 50256);

    /// <inheritdoc/>
    public override ClassifierForm Classifier { get; } = new("", "score");

    /// <inheritdoc/>
    public override ModelSizes Read(ConfigJson json)
    {
        int hidden = json.Size("n_embd");
        double dropout = json.Probability("resid_pdrop", 0.1);
        return new()
        {
            HiddenSize = hidden,
            Layers = json.Size("n_layer"),
            Heads = json.Size("n_head"),
            FeedForwardSize = json.Size("n_inner", (int)Math.Min(int.MaxValue, 4L * hidden)),
            MaxPositions = json.Size("n_positions"),
            LayerNormEpsilon = json.Positive("layer_norm_epsilon", 1e-5),
            InitializerRange = json.Positive("initializer_range", 0.02),
            HiddenDropout = dropout,
            EmbeddingDropout = json.Probability("embd_pdrop", 0.1),
            AttentionDropout = json.Probability("attn_pdrop", 0.1),
            ClassifierDropout = json.Probability("summary_first_dropout", dropout),
            HiddenActivation = json.Text("activation_function") ?? "gelu_new",
        };
    }

    /// <inheritdoc/>
    public override IEnumerable<(string Name, long[] Shape)> Shapes(ModelConfig config, bool withHead) =>
        Gpt2ForCausalLM.Shapes(config, withHead);

    /// <inheritdoc/>
    public override Gpt2ForCausalLM Make(ModelConfig config, OrderedDictionary<string, Parameter> parameters) => new(config, parameters);

    /// <inheritdoc/>
    public override ModelConfig Settle(CheckpointFolder checkpoint) => Gpt2ForCausalLM.Settle(checkpoint);

    /// <inheritdoc/>
    public override double InitialDeviation(ModelConfig config, string name) => Gpt2ForCausalLM.InitialDeviation(config, name);
}
