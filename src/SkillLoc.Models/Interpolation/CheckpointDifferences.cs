using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;

namespace SkillLoc.Models.Interpolation;

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
        ("padding id", config => config.PadTokenId ?? -1),
        ("decoder's start id", config => config.DecoderStartTokenId ?? -1),
        ("farthest relative position", config => config.RelativeAttentionMaxDistance),

        // What T5 alone reads.
        ("scaling of the decoder's output", config => config.IsEncoderDecoder && T5ForConditionalGeneration.ScalesHead(config)),
        ("end id", config => config.IsEncoderDecoder ? config.EosTokenId ?? -1 : -1),
    ];

    /// <summary>Throws unless two classifiers can be endpoints of a path.</summary>
    /// <param name="first">One endpoint.</param>
    /// <param name="second">The other endpoint.</param>
    /// <param name="mixed">The parameters that both must have with the same shape.</param>
    /// <exception cref="ArgumentException">They cannot; the message names the first differences.</exception>
    public static void Check(TextClassifier first, TextClassifier second, Func<string, bool> mixed)
    {
        string[] found = [.. Between(first, second, mixed).Take(Named + 1)];
        if (found.Length > 0)
        {
            throw new ArgumentException(
                $"The two checkpoints are no ends of one path: {string.Join("; ", found.Take(Named))}{(found.Length > Named ? "; and more" : "")}. "
                + "Take checkpoints of one architecture, vocabulary and tuning method.",
                nameof(second));
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
                $"The two checkpoints have different tensors: {string.Join("; ", found.Take(Named))}{(found.Length > Named ? "; and more" : "")}.",
                nameof(second));
        }
    }

    private static IEnumerable<string> Between(TextClassifier first, TextClassifier second, Func<string, bool> mixed)
    {
        IEnumerable<string> architecture =
            from property in Architecture
            let one = property.Value(first.Backbone.Config)
            let other = property.Value(second.Backbone.Config)
            where !one.Equals(other)
            select $"the {property.Name} is {one} and {other}";
        IEnumerable<string> parts =
        [
            .. Unequal("head", first.Head.Kind, second.Head.Kind),
            .. Unequal("tuning", first.Settings.Tuning?.WithoutDraws(), second.Settings.Tuning?.WithoutDraws()),
            .. Unequal("device", $"{first.Backbone.Device}", $"{second.Backbone.Device}"),
        ];
        IEnumerable<string> tokens = first.Tokenizer.Differences(second.Tokenizer).Select(token =>
            $"token {token.Id} is {Token(token.Own)} and {Token(token.Other)}");
        return architecture.Concat(parts).Concat(Between(Shapes(first), Shapes(second))).Concat(tokens);

        Dictionary<string, long[]> Shapes(TextClassifier classifier) =>
            classifier.Parameters.Where(pair => mixed(pair.Key)).ToDictionary(pair => pair.Key, pair => pair.Value.shape, StringComparer.Ordinal);

        static string Token(string? token) => token is null ? "missing" : $"'{token}'";
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
