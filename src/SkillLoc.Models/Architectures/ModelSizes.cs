namespace SkillLoc.Models.Architectures;

/// <summary>What an architecture reads from its <c>config.json</c>, by the names that <see cref="Checkpoints.ModelConfig"/> has for
/// it.</summary>
internal sealed record ModelSizes
{
    /// <summary>Of an architecture that is not known.</summary>
    public static ModelSizes None { get; } =
        new()
        {
            HiddenSize = 0,
            Layers = 0,
            Heads = 0,
        };

    public required int HiddenSize { get; init; }

    public required int Layers { get; init; }

    public required int Heads { get; init; }

    /// <summary>The size of a head where the keys say it; else a part of the hidden size.</summary>
    public int? HeadSize { get; init; }

    public int FeedForwardSize { get; init; }

    /// <summary>The width of the embeddings where it may differ from the hidden size.</summary>
    public int? EmbeddingSize { get; init; }

    public int MaxPositions { get; init; }

    public int TypeVocabularySize { get; init; }

    public double LayerNormEpsilon { get; init; }

    public double InitializerRange { get; init; }

    public double HiddenDropout { get; init; }

    public double EmbeddingDropout { get; init; }

    public double AttentionDropout { get; init; }

    public double ClassifierDropout { get; init; }

    public string HiddenActivation { get; init; } = "";

    public bool HasGatedFeedForward { get; init; }

    public int DecoderLayers { get; init; }

    public int RelativeAttentionBuckets { get; init; }

    public int RelativeAttentionMaxDistance { get; init; }
}
