namespace SkillLoc.Models.Merging;

/// <summary>The vocabulary of a merged model. The rows of each model's embeddings, of its output layer and of that layer's bias are put into
/// this order before they are merged; a token that a model lacks has the row of the base, else of the only model that has it, else the mean
/// of those that have it.</summary>
public sealed record MergeTokenizer
{
    /// <summary>The model whose tokenizer the result has; null for the base, or else the first model. Of a union, the one that keeps its
    /// ids.</summary>
    public MergeModel? Source { get; init; }

    /// <summary>Whether the tokens of all other models are added to it: word pieces as such, and added tokens. Byte pairs and unigrams must
    /// be the same but for added tokens. False by default.</summary>
    public bool IsUnion { get; init; }

    /// <summary>Where the rows of some tokens come from, instead of the rule; tokens that no tokenizer has are added. None by
    /// default.</summary>
    public IReadOnlyDictionary<string, MergeToken> Tokens { get; init; } = new Dictionary<string, MergeToken>(StringComparer.Ordinal);

    /// <summary>The number of rows is a multiple of this, the last being zeros; 0, the default, for as many rows as tokens.</summary>
    public int PadToMultipleOf { get; init; }

    internal int Line { get; init; }

    /// <summary>Takes a model's tokenizer.</summary>
    /// <param name="source">The model.</param>
    public static implicit operator MergeTokenizer(MergeModel source) => new() { Source = source };

    /// <summary>Takes a model's tokenizer.</summary>
    /// <param name="path">The path, as in <see cref="MergeModel.At"/>.</param>
    public static implicit operator MergeTokenizer(string path) => new() { Source = path };
}

/// <summary>Where the rows of a token come from in models that lack it. Without a source, from the rule.</summary>
public sealed record MergeToken
{
    /// <summary>The model whose row it is, one of those that are merged; null for none.</summary>
    public MergeModel? Source { get; init; }

    /// <summary>The token of <see cref="Source"/> whose row it is; null for the same token.</summary>
    public string? SourceToken { get; init; }

    /// <summary>The id in <see cref="Source"/> of the token whose row it is; null for that of the token.</summary>
    public int? SourceId { get; init; }

    /// <summary>Whether the row is zeros.</summary>
    public bool IsZero { get; init; }

    /// <summary>Whether the models that have the token get this row too. False by default.</summary>
    public bool Forces { get; init; }

    internal int Line { get; init; }
}
