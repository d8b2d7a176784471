using System.Globalization;
using System.Text.Json.Nodes;

namespace SkillLoc.Models.Checkpoints;

/// <summary>The values of a <c>config.json</c>, each checked when it is read; errors name the file and the key.</summary>
/// <param name="json">The file.</param>
/// <param name="source">Its name in error messages.</param>
internal sealed class ConfigJson(JsonObject json, string source)
{
    /// <summary>The shared names of an architecture's own keys (<c>n_embd</c> is a <c>hidden_size</c>), which go before them.</summary>
    public IReadOnlyDictionary<string, string> SharedNames { get; set; } = new Dictionary<string, string>(StringComparer.Ordinal);

    /// <summary>A whole number above 0; the fallback itself may be less.</summary>
    public int Size(string key, int? fallback = null)
    {
        int value = Integer(key) ?? fallback ?? throw Invalid(key, "is missing", "a whole number above 0");
        return value > 0 || value == fallback ? value : throw Invalid(key, $"is {value}", "a whole number above 0");
    }

    /// <summary>The id of a token; null for none.</summary>
    /// <param name="key">The key.</param>
    /// <param name="fallback">The id where the key is absent. A key that is there and null says that there is no such token.</param>
    /// <param name="vocabularySize">The number of tokens that the model embeds, if it embeds this one.</param>
    public int? TokenId(string key, int? fallback, int? vocabularySize = null)
    {
        int? value = json.ContainsKey(key) ? FirstInteger(key) : fallback;
        // Older configurations write -1 for none.
        if (value is null or -1)
        {
            return null;
        }

        if (value < 0 || (value >= vocabularySize && json.ContainsKey(key)))
        {
            throw Invalid(
                key,
                $"is {value}",
                vocabularySize is null ? "a token id" : $"a token id below the vocabulary size {vocabularySize}"
            );
        }

        return value;
    }

    /// <summary>A number above 0.</summary>
    public double Positive(string key, double fallback)
    {
        double value = Number(key) ?? fallback;
        return value > 0 ? value : throw Invalid(key, $"is {value.ToString(CultureInfo.InvariantCulture)}", "a number above 0");
    }

    /// <summary>A number from 0 to below 1.</summary>
    public double Probability(string key, double fallback)
    {
        double value = Number(key) ?? fallback;
        return value is >= 0 and < 1
            ? value
            : throw Invalid(key, $"is {value.ToString(CultureInfo.InvariantCulture)}", "a probability, at least 0 and below 1");
    }

    /// <summary>A boolean.</summary>
    public bool Flag(string key, bool fallback)
    {
        if (json[key] is not { } node)
        {
            return fallback;
        }

        return node is JsonValue value && value.TryGetValue(out bool flag)
            ? flag
            : throw Invalid(key, $"is {node.ToJsonString()}", "true or false");
    }

    /// <summary>A text, or null.</summary>
    public string? Text(string key)
    {
        if (json[key] is not { } node)
        {
            return null;
        }

        return node is JsonValue value && value.TryGetValue(out string? text)
            ? text
            : throw Invalid(key, $"is {node.ToJsonString()}", "a text");
    }

    /// <summary>Texts; none where the key is absent.</summary>
    public List<string> Texts(string key)
    {
        if (json[key] is not { } node)
        {
            return [];
        }

        var texts = new List<string>();
        foreach (JsonNode? item in node as JsonArray ?? throw Invalid(key, $"is {node.ToJsonString()}", "an array of texts"))
        {
            texts.Add(
                item is JsonValue value && value.TryGetValue(out string? text)
                    ? text
                    : throw Invalid(key, $"is {node.ToJsonString()}", "an array of texts")
            );
        }

        return texts;
    }

    /// <summary>A whole number, or null.</summary>
    public int? Integer(string key)
    {
        if (SharedNames.TryGetValue(key, out string? shared) && json[shared] is not null)
        {
            key = shared;
        }

        if (json[key] is not { } node)
        {
            return null;
        }

        return node is JsonValue value && value.TryGetValue(out int integer)
            ? integer
            : throw Invalid(key, $"is {node.ToJsonString()}", "a whole number");
    }

    /// <summary>The error for a key with a wrong value.</summary>
    public InvalidDataException Invalid(string key, string problem, string right) => new($"{source}: {key} {problem}; expected {right}.");

    private int? FirstInteger(string key) =>
        json[key] is JsonArray { Count: > 0 } ids && ids[0] is JsonValue first && first.TryGetValue(out int id) ? id : Integer(key);

    private double? Number(string key)
    {
        if (json[key] is not { } node)
        {
            return null;
        }

        return node is JsonValue value && value.TryGetValue(out double number) && double.IsFinite(number)
            ? number
            : throw Invalid(key, $"is {node.ToJsonString()}", "a number");
    }
}
