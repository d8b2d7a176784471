using SkillLoc.Models.Checkpoints;

namespace SkillLoc.Models.Architectures;

/// <summary>The Hugging Face names of an encoder's parameters.</summary>
/// <param name="Prefix">What the encoder's names begin with, without the dot.</param>
/// <param name="Layer">The parts of a layer.</param>
/// <param name="Head">The masked-language-model head.</param>
internal sealed record EncoderNames(string Prefix, LayerNames Layer, HeadNames Head)
{
    /// <summary>BERT's embeddings, and its layers in <c>encoder.layer</c>.</summary>
    private string Embeddings => Prefix + ".embeddings";

    /// <summary>What the names of the layers begin with, up to the number.</summary>
    public string Layers => $"{Prefix}.{Stack}.";

    /// <summary>The stack of layers.</summary>
    public string Stack { get; init; } = "encoder.layer";

    /// <summary>The word embeddings.</summary>
    public string Words => Embeddings + ".word_embeddings.weight";

    /// <summary>The position embeddings.</summary>
    public string Positions => Embeddings + ".position_embeddings.weight";

    /// <summary>The token-type embeddings; null if there are none.</summary>
    public string? TokenTypes => HasTokenTypes ? Embeddings + ".token_type_embeddings.weight" : null;

    /// <summary>The norm of the embeddings.</summary>
    public string EmbeddingNorm => Embeddings + ".LayerNorm";

    /// <summary>The linear map from the embeddings to the hidden size, which exists where they differ.</summary>
    public string EmbeddingProjection => Prefix + ".embeddings_project";

    /// <summary>Biases of attention by relative position, which all layers share.</summary>
    public string RelativePositions => Prefix + ".encoder.relative_attention_bias.weight";

    /// <summary>Whether there are token-type embeddings.</summary>
    public bool HasTokenTypes { get; init; } = true;

    /// <summary>Names and shapes of the parameters, in the order of <c>transformers</c>.</summary>
    public IEnumerable<(string Name, long[] Shape)> Shapes(ModelConfig config, bool withHead)
    {
        long hidden = config.HiddenSize,
            width = config.EmbeddingSize;
        yield return (Words, [config.VocabularySize, width]);
        yield return (Positions, [config.MaxPositions, width]);
        if (TokenTypes is { } types)
        {
            yield return (types, [config.TypeVocabularySize, width]);
        }

        yield return (EmbeddingNorm + ".weight", [width]);
        yield return (EmbeddingNorm + ".bias", [width]);
        if (width != hidden)
        {
            yield return (EmbeddingProjection + ".weight", [hidden, width]);
            yield return (EmbeddingProjection + ".bias", [hidden]);
        }

        for (int i = 0; i < config.Layers; i++)
        {
            long inner = config.FeedForwardSizes[i];
            (string Name, long Out, long In)[] parts =
            [
                (Layer.Query, hidden, hidden),
                (Layer.Key, hidden, hidden),
                (Layer.Value, hidden, hidden),
                (Layer.AttentionOutput, hidden, hidden),
                (Layer.AttentionNorm, hidden, 0),
                (Layer.Up, inner, hidden),
                (Layer.Down, hidden, inner),
                (Layer.OutputNorm, hidden, 0),
            ];
            foreach ((string part, long rows, long columns) in parts)
            {
                string name = $"{Layers}{i}.{part}";
                yield return (name + ".weight", columns == 0 ? [rows] : [rows, columns]);
                yield return (name + ".bias", [rows]);
            }
        }

        if (config.RelativeAttentionBuckets > 0)
        {
            yield return (RelativePositions, [config.RelativeAttentionBuckets, config.Heads]);
        }

        if (!withHead)
        {
            yield break;
        }

        foreach ((string name, long[] shape) in Head.Shapes(config))
        {
            yield return (name, shape);
        }
    }
}

/// <summary>The names of the parts of an encoder's layer.</summary>
internal sealed record LayerNames(
    string Query,
    string Key,
    string Value,
    string AttentionOutput,
    string AttentionNorm,
    string Up,
    string Down,
    string OutputNorm
)
{
    /// <summary>BERT's.</summary>
    public static LayerNames Bert { get; } =
        new(
            "attention.self.query",
            "attention.self.key",
            "attention.self.value",
            "attention.output.dense",
            "attention.output.LayerNorm",
            "intermediate.dense",
            "output.dense",
            "output.LayerNorm"
        );
}

/// <summary>The names of a masked-language-model head: dense layer, activation, norm, and the decoder with one bias.</summary>
/// <param name="Prefix">What the names of a required part begin with.</param>
/// <param name="Dense">The dense layer.</param>
/// <param name="Norm">The norm.</param>
/// <param name="Decoder">The decoder, whose weights are the word embeddings if they are tied.</param>
internal sealed record HeadNames(string Prefix, string Dense, string Norm, string Decoder)
{
    /// <summary>RoBERTa's.</summary>
    public static HeadNames Roberta { get; } =
        new("lm_head.", "lm_head.dense", "lm_head.layer_norm", "lm_head.decoder") { TiedBias = "lm_head.bias" };

    /// <summary>The name of the bias where the decoder is tied; null if it is the decoder's in any case. It comes first then.</summary>
    public string? TiedBias { get; init; }

    /// <summary>Whether the norm comes before the dense layer in <c>transformers</c>' list.</summary>
    public bool ListsNormFirst { get; init; }

    /// <summary>The name of the bias.</summary>
    public string Bias(ModelConfig config) => config.TieWordEmbeddings && TiedBias is not null ? TiedBias : Decoder + ".bias";

    /// <summary>Names and shapes of the parameters, in the order of <c>transformers</c>.</summary>
    public IEnumerable<(string Name, long[] Shape)> Shapes(ModelConfig config)
    {
        long width = config.EmbeddingSize;
        (string, long[])[] dense = [(Dense + ".weight", [width, config.HiddenSize]), (Dense + ".bias", [width])];
        (string, long[])[] norm = [(Norm + ".weight", [width]), (Norm + ".bias", [width])];
        (string, long[])[] decoder = config.TieWordEmbeddings ? [] : [(Decoder + ".weight", [config.VocabularySize, width])];
        (string, long[]) bias = (Bias(config), [config.VocabularySize]);
        IEnumerable<(string, long[])> parts = ListsNormFirst ? norm.Concat(dense) : dense.Concat(norm);
        return bias.Item1 == TiedBias ? parts.Prepend(bias).Concat(decoder) : parts.Concat(decoder).Append(bias);
    }
}
