using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Tokenization;
using SkillLoc.Models.Tuning;
using static TorchSharp.torch;

namespace SkillLoc.Models.Connectivity;

/// <summary>Differences that prevent two checkpoints from being endpoints of a path.</summary>
internal static class CheckpointDifferences
{
    private const int Named = 5;

    // What the forward pass, and T5 when it writes, reads beside weights, whose names and shapes tell the rest.
    private static readonly (string Name, Func<ModelConfig, object> Value)[] Architecture =
    [
        ("architecture", config => config.ModelType),
        ("number of layers", config => config.Layers),
        ("number of attention heads", config => config.Heads),
        ("activation", config => config.HiddenActivation),
        ("epsilon of layer norms", config => config.LayerNormEpsilon),
        ("farthest relative position", config => config.RelativeAttentionMaxDistance),
        // What T5 alone reads.
        ("scaling of the decoder's output", config => config.IsEncoderDecoder && T5Parameters.ScalesHead(config)),
    ];

    // Compared by what they stand for.
    private static readonly (string Name, Func<ModelConfig, int?> Id)[] Ids =
    [
        ("padding id", config => config.PadTokenId),
        ("decoder's start id", config => config.DecoderStartTokenId),
        ("end id", config => config.IsEncoderDecoder ? config.EosTokenId : null),
    ];

    /// <summary>Throws unless two classifiers can be endpoints of a path.</summary>
    /// <param name="first">One endpoint.</param>
    /// <param name="second">The other endpoint.</param>
    /// <param name="mixed">The parameters that both must have with the same shape.</param>
    /// <param name="words">Matches the tokens of one with those of the other; null where both have the same.</param>
    /// <exception cref="ArgumentException">They cannot; the message names the first differences.</exception>
    public static void Check(TextClassifier first, TextClassifier second, Func<string, bool> mixed, VocabularyMatch? words)
    {
        string[] found = [.. Between(first, second, mixed, words).Take(Named + 1)];
        if (found.Length > 0)
        {
            throw new ArgumentException(
                $"The two checkpoints are no ends of one path: "
                    + $"{string.Join("; ", found.Take(Named))}{(found.Length > Named ? "; and more" : "")}. "
                    + "Take checkpoints of one architecture, kind of tokenizer and tuning method.",
                nameof(second)
            );
        }
    }

    /// <summary>Throws unless two sets of tensors have the same names and shapes.</summary>
    /// <exception cref="ArgumentException">They differ; the message names the first differences.</exception>
    public static void Check(IReadOnlyDictionary<string, long[]> first, IReadOnlyDictionary<string, long[]> second)
    {
        string[] found = [.. Between(first, second).Take(Named + 1)];
        if (found.Length > 0)
        {
            throw new ArgumentException(
                $"The two checkpoints have different tensors: "
                    + $"{string.Join("; ", found.Take(Named))}{(found.Length > Named ? "; and more" : "")}.",
                nameof(second)
            );
        }
    }

    private static IEnumerable<string> Between(
        TextClassifier first,
        TextClassifier second,
        Func<string, bool> mixed,
        VocabularyMatch? words
    )
    {
        IEnumerable<string> architecture =
            from property in Architecture
            let one = property.Value(first.Backbone.Config)
            let other = property.Value(second.Backbone.Config)
            where !one.Equals(other)
            select $"the {property.Name} is {one} and {other}";
        IEnumerable<string> vocabulary =
            words is null ? []
            : first.Tokenizer.Kind != second.Tokenizer.Kind
                ? [$"the tokenizer's kind is {Spelled(first)} and {Spelled(second)}, whose tokens cannot be matched"]
            : [];
        IEnumerable<string> parts =
        [
            .. Ids.SelectMany(id => Unequal(id.Name, Token(first, id.Id), Token(second, id.Id))),
            .. words is not null
            && first.Backbone is MaskedLanguageModel { CountsFromPadding: true }
            && second.Backbone is MaskedLanguageModel { CountsFromPadding: true }
                ? Unequal("id that positions are counted from", first.Backbone.Config.PadTokenId, second.Backbone.Config.PadTokenId)
                : [],
            .. Unequal("head", first.Head.Kind, second.Head.Kind),
            .. Unequal("tuning", Tuning(first), Tuning(second)),
            .. Unequal("device", $"{first.Backbone.Device}", $"{second.Backbone.Device}"),
        ];
        return architecture.Concat(vocabulary).Concat(parts).Concat(Between(Shapes(first), Shapes(second)));

        // Tables of tokens have the first's rows once they are matched.
        Dictionary<string, long[]> Shapes(TextClassifier classifier) =>
            classifier
                .Parameters.Where(pair => mixed(pair.Key))
                .ToDictionary(
                    pair => pair.Key,
                    pair =>
                        words?.Holds(pair.Key) == true
                            ? [first.Backbone.Config.VocabularySize, .. pair.Value.shape[1..]]
                            : pair.Value.shape,
                    StringComparer.Ordinal
                );

        object? Token(TextClassifier classifier, Func<ModelConfig, int?> id) =>
            id(classifier.Backbone.Config) is not { } place ? null
            : words is not null && classifier.Tokenizer.Find(place) is { } token ? $"'{token}'"
            : place;

        // Where vocabularies differ, so does the id of one mask.
        TuningOptions? Tuning(TextClassifier classifier)
        {
            TuningOptions? tuning = classifier.Settings.Tuning?.WithoutDraws();
            return
                words is not null
                && classifier.Tokenizer.HasMask
                && tuning is SoftPromptOptions prompt
                && prompt.MaskTokenId == classifier.Tokenizer.MaskId
                ? prompt with
                {
                    MaskTokenId = null,
                }
                : tuning;
        }

        static string Spelled(TextClassifier classifier) =>
            classifier.Tokenizer.Kind switch
            {
                TokenizerKind.BytePairs => "byte pairs",
                TokenizerKind.WordPieces => "WordPiece",
                _ => "SentencePiece's unigrams",
            };
    }

    private static IEnumerable<string> Between(IReadOnlyDictionary<string, long[]> first, IReadOnlyDictionary<string, long[]> second) =>
        from name in first.Keys.Union(second.Keys, StringComparer.Ordinal)
        let one = first.GetValueOrDefault(name)
        let other = second.GetValueOrDefault(name)
        where one is null || other is null || !one.SequenceEqual(other)
        select one is null || other is null
            ? $"'{name}' is in the {(one is null ? "second" : "first")} only"
            : $"'{name}' has the shape [{string.Join(", ", one)}] and [{string.Join(", ", other)}]";

    private static string[] Unequal(string what, object? one, object? other) =>
        Equals(one, other) ? [] : [$"the {what} is {one ?? "none"} and {other ?? "none"}"];
}

/// <summary>
/// Matches the rows of two models' word embeddings and language-model heads by the text of their tokens, never by position. The vocabulary
/// is that of the model for which texts are encoded; a token that the other model lacks keeps its row, and tokens that only the other has
/// are dropped.
/// </summary>
internal sealed class VocabularyMatch
{
    private readonly HashSet<string> _parameters;
    private readonly long[] _own;
    private readonly long[] _others;

    private VocabularyMatch(LanguageModel own, (long Own, long Other)[] rows)
    {
        _parameters = [.. own.TokenParameters];
        _own = [.. rows.Select(row => row.Own)];
        _others = [.. rows.Select(row => row.Other)];
    }

    /// <summary>Matches two models; null if all rows have the same positions.</summary>
    /// <param name="own">The model whose vocabulary is used.</param>
    /// <param name="other">The other model.</param>
    public static VocabularyMatch? Between(TextClassifier own, TextClassifier other)
    {
        CheckpointTokenizer tokens = own.Tokenizer,
            others = other.Tokenizer;
        int rows = own.Backbone.Config.VocabularySize,
            otherRows = other.Backbone.Config.VocabularySize;
        if (rows == otherRows && tokens.HasVocabularyOf(others))
        {
            return null;
        }

        // Rows behind the vocabulary, which fill tables up to a round number, go by their places.
        (long Own, long Other)[] known =
        [
            .. from row in Enumerable.Range(0, rows)
            let token = tokens.Find(row)
            let match = token is not null ? others.TokenId(token)
            : row < otherRows && others.Find(row) is null ? row
            : null
            where match is not null
            select ((long)row, (long)match.Value),
        ];
        return new(own.Backbone, known);
    }

    /// <summary>Whether a parameter has one row per token.</summary>
    public bool Holds(string name) => _parameters.Contains(name);

    /// <summary>Reorders the other model's rows to the vocabulary.</summary>
    /// <param name="own">The model's own rows, used for tokens that the other lacks.</param>
    /// <param name="other">The other model's rows.</param>
    /// <returns>A new tensor of the model's shape and the other model's type.</returns>
    public Tensor Take(Tensor own, Tensor other)
    {
        Tensor found = other.index_select(0, tensor(_others, device: other.device));
        return own.detach().to(other.dtype, copy: true).index_copy_(0, tensor(_own, device: other.device), found);
    }
}
