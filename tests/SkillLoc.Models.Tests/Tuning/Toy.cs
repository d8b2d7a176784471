using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Tuning;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Tuning;

/// <summary>Two-layer models with weights large enough that everything matters, and each method with options that differ from the
/// defaults.</summary>
internal static class Toy
{
    public const TargetModules AllMaps =
        TargetModules.Query | TargetModules.Key | TargetModules.Value | TargetModules.AttentionOutput | TargetModules.Up | TargetModules.Down;

    /// <summary>Those that a bias makes a difference to.</summary>
    public const TargetModules Biased = AllMaps & ~TargetModules.Key;

    private static readonly string[] SameLength =
    [
        "pfeiffer",
        "pfeiffer_no_bias",
        "houlsby",
        "houlsby_swish",
        "lora",
        "lora_all",
        "lora_bias",
        "lora_mlp",
        "lora_mlp_bias",
        "low_rank_bias",
        "low_rank_bias_mlp",
        "prefix",
        "prefix_direct",
    ];

    /// <summary>Those that change nothing at first.</summary>
    public static IEnumerable<string> StartingFromTheModel =>
        SameLength.Where(method => !method.StartsWith("prefix", StringComparison.Ordinal));

    public static IEnumerable<string> Names => ["soft_prompt", .. SameLength];

    public static TheoryData<string> Methods => [.. Names];

    public static TheoryData<string> MethodsOfTheSameLength => [.. SameLength];

    public static TuningOptions Options(string method) =>
        method switch
        {
            "soft_prompt" => new SoftPromptOptions { Size = 4, MaskTokenId = 4 },
            "pfeiffer" => new AdapterOptions { BottleneckSize = 7 },
            "pfeiffer_no_bias" => new AdapterOptions { Bias = false, Activation = AdapterActivation.Gelu },
            "houlsby" => new AdapterOptions { Placement = AdapterPlacement.Houlsby, BottleneckSize = 5 },
            "houlsby_swish" => new AdapterOptions
            {
                Placement = AdapterPlacement.Houlsby,
                Bias = false,
                Activation = AdapterActivation.Swish,
            },
            "lora" => new LoraOptions { Rank = 3, Alpha = 4 },
            "lora_all" => new LoraOptions { Rank = 2, Targets = AllMaps },
            "lora_bias" => new LoraOptions
            {
                Rank = 2,
                Alpha = 3,
                Targets = Biased,
                Bias = true,
            },
            "lora_mlp" => new LoraOptions
            {
                Rank = 3,
                Alpha = 4,
                Targets = AllMaps,
                Mlp = true,
            },
            "lora_mlp_bias" => new LoraOptions
            {
                Rank = 2,
                Bias = true,
                Mlp = true,
            },
            "low_rank_bias" => new LowRankBiasOptions { Rank = 3, Alpha = 4 },
            "low_rank_bias_mlp" => new LowRankBiasOptions
            {
                Rank = 2,
                Alpha = 3,
                Targets = Biased,
                ShareR = true,
                Mlp = true,
            },
            "prefix" => new PrefixOptions { Length = 3, ProjectionSize = 6 },
            _ => new PrefixOptions { Length = 2, ProjectionSize = null },
        };

    public static LanguageModel Model(string type, int seed = 1)
    {
        ModelConfig config = type switch
        {
            "bert" => ModelConfig.Bert(8, 2, 2, 12, 30, 20),
            "gpt2" => ModelConfig.Parse(
                """{"model_type":"gpt2","n_embd":8,"n_layer":2,"n_head":2,"n_positions":20,"vocab_size":30,"eos_token_id":2,"bos_token_id":2}"""
            ),
            "t5" or "t5_gated" => T5(2, 3, type == "t5_gated"),
            _ => ModelConfig.Roberta(8, 2, 2, 12, 30, 20),
        };
        var model = LanguageModel.Create(config.With("initializer_range", 0.5), seed);
        string shaken = model is T5ForConditionalGeneration ? "norm.weight" : "bias";
        Shake(model.Parameters.Where(pair => pair.Key.EndsWith(shaken, StringComparison.Ordinal)).Select(pair => pair.Value), seed);
        return model;
    }

    /// <summary>A small T5, whose heads together are narrower than its hidden states.</summary>
    public static ModelConfig T5(int layers, int decoderLayers, bool gated) =>
        ModelConfig
            .Parse("""{"model_type":"t5","d_model":8,"d_kv":3,"num_heads":2,"num_layers":1,"d_ff":12,"vocab_size":30}""")
            .With("num_layers", layers)
            .With("num_decoder_layers", decoderLayers)
            .With("feed_forward_proj", gated ? "gated-gelu" : "relu");

    /// <summary>Adds N(0, 0.3) noise, so that nothing is zero.</summary>
    public static void Shake(IEnumerable<Tensor> parameters, int seed = 5)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable noGradients = no_grad();
        using var generator = new Generator((ulong)seed);
        foreach (Tensor parameter in parameters)
        {
            parameter.add_(randn(parameter.shape, generator: generator) * 0.3);
        }
    }

    /// <summary>Rows of different lengths; each position is the last token's in GPT-2.</summary>
    public static TokenBatch Batch(LanguageModel model) =>
        model switch
        {
            Gpt2ForCausalLM => TokenBatch.Create([new([7, 4, 9, 11, 3], null, 4), new([5, 6], null, 1)], 0),
            T5ForConditionalGeneration => TokenBatch.Create([new([7, 4, 9, 11, 1], null, 0), new([5, 6, 1], null, 0)], 0),
            BertForMaskedLM => TokenBatch.Create([new([2, 7, 4, 9, 3], [0, 0, 0, 1, 1], 2), new([2, 5, 3], [0, 0, 0], 0)], 0),
            _ => TokenBatch.Create([new([0, 7, 4, 9, 2], null, 2), new([0, 5, 2], null, 0)], 1),
        };

    public static void AssertClose(Tensor expected, Tensor actual, double tolerance, string what = "")
    {
        using DisposeScope scope = NewDisposeScope();
        Assert.Equal(expected.shape, actual.shape);
        double distance = (actual - expected).abs().max().ToDouble();
        Assert.True(distance <= tolerance, $"{what}: {distance:E2}");
    }
}
