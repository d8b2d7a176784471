using System.Text.Json.Nodes;

namespace SkillLoc.Models.Embeddings;

/// <summary>The prompts of a sentence-transformers folder, texts that stand before each text: <c>config_sentence_transformers.json</c>.</summary>
/// <param name="Texts">The prompts by name.</param>
/// <param name="DefaultName">The name of the one that is taken where none is named; null for none.</param>
internal sealed record SentencePrompts(IReadOnlyDictionary<string, string> Texts, string? DefaultName)
{
    /// <summary>The file that names them.</summary>
    public const string ConfigFile = "config_sentence_transformers.json";

    private const string All = "prompts",
        Default = "default_prompt_name";

    /// <summary>No prompts.</summary>
    public static SentencePrompts None { get; } = new(new Dictionary<string, string>(StringComparer.Ordinal), null);

    /// <summary>Reads a folder's prompts.</summary>
    /// <param name="folder">The folder.</param>
    /// <returns>The prompts; none where the file is missing or names none.</returns>
    /// <exception cref="InvalidDataException">The file is damaged; the message says where.</exception>
    public static SentencePrompts Read(string folder)
    {
        string file = Path.Join(folder, ConfigFile);
        if (!File.Exists(file))
        {
            return None;
        }

        if (SentenceModules.Parse(file) is not JsonObject fields)
        {
            throw new InvalidDataException($"{file}: it should be an object.");
        }

        var texts = new Dictionary<string, string>(StringComparer.Ordinal);
        if (fields[All] is { } prompts)
        {
            foreach ((string name, JsonNode? text) in prompts as JsonObject ?? throw Wrong(All, prompts, "an object of names and texts"))
            {
                texts.Add(name, TextOf(text, $"{All}.{name}"));
            }
        }

        string? chosen = fields[Default] is { } value ? TextOf(value, Default) : null;
        return chosen is null || texts.ContainsKey(chosen)
            ? new(texts, chosen)
            : throw new InvalidDataException($"{file}: {Default} is '{chosen}', and {All} has {Names(texts.Keys)}.");

        string TextOf(JsonNode? node, string place) =>
            node is JsonValue leaf && leaf.TryGetValue(out string? text) ? text : throw Wrong(place, node, "a text");

        InvalidDataException Wrong(string place, JsonNode? node, string right) =>
            new($"{file}: {place} is {(node is null ? "null" : node.ToJsonString())}, and should be {right}.");
    }

    /// <summary>The name of the prompt to take.</summary>
    /// <param name="name">The name that is asked for; null for the default, empty for none.</param>
    /// <returns>It; null for none.</returns>
    /// <exception cref="ArgumentException">There is none of that name.</exception>
    public string? Find(string? name)
    {
        name ??= DefaultName;
        if (string.IsNullOrEmpty(name))
        {
            return null;
        }

        return Texts.ContainsKey(name)
            ? name
            : throw new ArgumentException($"There is no prompt '{name}'; the folder has {Names(Texts.Keys)}.", nameof(name));
    }

    /// <summary>The prompts as the file holds them.</summary>
    /// <param name="chosen">The name of the default; null for none.</param>
    public JsonObject ToJson(string? chosen)
    {
        var texts = new JsonObject();
        foreach ((string name, string text) in Texts)
        {
            texts[name] = text;
        }

        return new() { [All] = texts, [Default] = chosen };
    }

    private static string Names(IEnumerable<string> names) => string.Join(", ", names.Select(name => $"'{name}'").DefaultIfEmpty("none"));
}
