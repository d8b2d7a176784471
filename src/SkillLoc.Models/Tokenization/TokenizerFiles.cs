using System.Text;
using System.Text.Json;

namespace SkillLoc.Models.Tokenization;

/// <summary>Reads a checkpoint folder's tokenizer files; whatever is wrong with one is said with its path.</summary>
internal sealed class TokenizerFiles(string folder)
{
    public const string Vocabulary = "vocab.json";
    public const string Merges = "merges.txt";
    public const string WordPieces = "vocab.txt";
    public const string SentencePiece = "spiece.model";
    public const string Serialized = "tokenizer.json";
    public const string Settings = "tokenizer_config.json";

    private static readonly string[] Names =
        [Vocabulary, Merges, WordPieces, SentencePiece, Serialized, Settings, "special_tokens_map.json", "added_tokens.json"];

    // A byte-level vocabulary may hold a few tokens that no merge makes: special and placeholder ones.
    private const int UnmergedTokens = 32;

    /// <summary>The paths of the tokenizer files that exist.</summary>
    public IReadOnlyList<string> Paths => [.. Names.Select(PathOf).Where(File.Exists)];

    public string PathOf(string name) => Path.Combine(folder, name);

    public bool Has(string name) => File.Exists(PathOf(name));

    /// <summary>A small JSON object, or null when the file is not there.</summary>
    public JsonElement? ReadObject(string name)
    {
        if (!Has(name))
            return null;
        using var document = ParseObject(name);
        return document.RootElement.Clone();
    }

    /// <summary>What <c>tokenizer.json</c> holds, or null when it is not there or holds something else than these three.</summary>
    public (TokenizerKind Kind, JsonElement Root)? ReadSerialized()
    {
        if (ReadObject(Serialized) is not { } root || Find(root, "model", "type") is not { ValueKind: JsonValueKind.String } type)
            return null;
        return type.GetString() switch
        {
            "BPE" when Find(root, "pre_tokenizer", "type") is { ValueKind: JsonValueKind.String } splitter && splitter.ValueEquals("ByteLevel") => (TokenizerKind.BytePairs, root),
            "WordPiece" => (TokenizerKind.WordPieces, root),
            "Unigram" => (TokenizerKind.Unigram, root),
            _ => null,
        };
    }

    /// <summary>A property of a property, or null.</summary>
    public static JsonElement? Find(JsonElement? root, string outer, string inner) =>
        root?.TryGetProperty(outer, out var value) == true && value.ValueKind == JsonValueKind.Object && value.TryGetProperty(inner, out var found)
            ? found
            : null;

    /// <summary>Token to id, all ids different: <c>vocab.json</c>, else what <c>tokenizer.json</c> holds.</summary>
    public Dictionary<string, int> ReadVocabulary()
    {
        if (!Has(Vocabulary) && ReadSerialized() is (TokenizerKind.BytePairs, var root))
            return SerializedVocabulary(root);
        using var document = ParseObject(Vocabulary);
        return Tokens(Vocabulary, document.RootElement);
    }

    /// <summary>Pairs of tokens with a space between, the best merge first: the lines of <c>merges.txt</c>, else what <c>tokenizer.json</c> holds.</summary>
    public List<string> ReadMerges(IReadOnlyDictionary<string, int> vocabulary)
    {
        var merges = new List<string>();
        var seen = new HashSet<string>(StringComparer.Ordinal);
        var made = new HashSet<string>(StringComparer.Ordinal);
        var number = 0;
        var (file, lines) = !Has(Merges) && ReadSerialized() is (TokenizerKind.BytePairs, var root) ? (Serialized, SerializedMerges(root)) : (Merges, ReadLines(Merges));
        foreach (var line in lines)
        {
            number++;
            if (line.Length == 0 || (number == 1 && line.StartsWith("#version", StringComparison.Ordinal)))
                continue;
            if (line.Split(' ') is not [{ Length: > 0 } left, { Length: > 0 } right])
                throw Malformed(file, $"{(file == Merges ? "line" : "merge")} {number} is '{line}'; it should be two tokens with one space between");
            foreach (var token in new[] { left, right, left + right })
                if (!vocabulary.ContainsKey(token))
                    throw Malformed(file, $"{(file == Merges ? "line" : "merge")} {number} ('{line}') needs the token '{token}', which the vocabulary lacks; the two should belong together");
            if (!seen.Add(line))
                throw Malformed(file, $"{(file == Merges ? "line" : "merge")} {number} ('{line}') occurs twice");
            made.Add(left + right);
            merges.Add(line);
        }

        var longer = vocabulary.Keys.Count(token => token.Length > 1);
        var unmade = longer - made.Count;
        if (unmade > UnmergedTokens + (longer / 10))
            throw Malformed(file, $"its {merges.Count} merges leave {unmade} of the {longer} longer tokens of the vocabulary unreachable; it looks cut off");
        return merges;
    }

    /// <summary>Token to id: <c>vocab.txt</c>, one token a line, its id the line's number from 0 on; else what <c>tokenizer.json</c> holds.</summary>
    public Dictionary<string, int> ReadWordPieces()
    {
        if (!Has(WordPieces) && ReadSerialized() is (TokenizerKind.WordPieces, var root))
            return SerializedVocabulary(root);

        var vocabulary = new Dictionary<string, int>(StringComparer.Ordinal);
        var id = 0;
        foreach (var line in ReadLines(WordPieces))
        {
            if (line.Length > 0 && !vocabulary.TryAdd(line, id))
                throw Malformed(WordPieces, $"token '{line}' stands on lines {vocabulary[line] + 1} and {id + 1}; every token should stand once");
            id++;
        }
        if (vocabulary.Count == 0)
            throw Malformed(WordPieces, "it holds no tokens; it should have one token a line");
        return vocabulary;
    }

    /// <summary>Adds what <c>tokenizer.json</c> holds as added tokens to a vocabulary.</summary>
    /// <returns>The ids of those that it calls special.</returns>
    public HashSet<int> AddTokens(JsonElement root, Dictionary<string, int> vocabulary)
    {
        var special = new HashSet<int>();
        if (!root.TryGetProperty("added_tokens", out var added) || added.ValueKind != JsonValueKind.Array)
            return special;
        var ids = vocabulary.Values.ToHashSet();
        foreach (var entry in added.EnumerateArray())
        {
            if (entry.ValueKind != JsonValueKind.Object
                || !entry.TryGetProperty("content", out var content) || content.ValueKind != JsonValueKind.String
                || !entry.TryGetProperty("id", out var number) || number.ValueKind != JsonValueKind.Number || !number.TryGetInt32(out var id) || id < 0)
                throw Malformed(Serialized, $"the added token {entry.GetRawText()} should have a 'content' and an 'id' from 0 on");
            if (vocabulary.TryAdd(content.GetString()!, id) && !ids.Add(id))
                throw Malformed(Serialized, $"the added token '{content.GetString()}' has the id {id} of another token");
            if (entry.TryGetProperty("special", out var flag) && flag.ValueKind == JsonValueKind.True)
                special.Add(id);
        }
        return special;
    }

    public InvalidDataException Malformed(string name, string problem, Exception? inner = null) => new($"{PathOf(name)}: {problem}.", inner);

    private Dictionary<string, int> SerializedVocabulary(JsonElement root)
    {
        if (Find(root, "model", "vocab") is not { ValueKind: JsonValueKind.Object } entries)
            throw Malformed(Serialized, "its model has no 'vocab'");
        var vocabulary = Tokens(Serialized, entries);
        AddTokens(root, vocabulary);
        return vocabulary;
    }

    // Either "a b" or ["a", "b"].
    private string[] SerializedMerges(JsonElement root) => Find(root, "model", "merges") is { ValueKind: JsonValueKind.Array } merges
        ? [.. merges.EnumerateArray().Select(merge => merge.ValueKind == JsonValueKind.Array ? string.Join(' ', merge.EnumerateArray()) : merge.ToString())]
        : throw Malformed(Serialized, "its model has no 'merges'");

    private Dictionary<string, int> Tokens(string file, JsonElement entries)
    {
        var vocabulary = new Dictionary<string, int>(StringComparer.Ordinal);
        var tokens = new Dictionary<int, string>();
        foreach (var property in entries.EnumerateObject())
        {
            if (property.Value.ValueKind != JsonValueKind.Number || !property.Value.TryGetInt32(out var id) || id < 0)
                throw Malformed(file, $"token '{property.Name}' has the id {property.Value.GetRawText()}; ids are integers from 0 on");
            if (!vocabulary.TryAdd(property.Name, id))
                throw Malformed(file, $"token '{property.Name}' occurs twice");
            if (!tokens.TryAdd(id, property.Name))
                throw Malformed(file, $"tokens '{tokens[id]}' and '{property.Name}' both have the id {id}");
        }
        return vocabulary.Count > 0 ? vocabulary : throw Malformed(file, "it holds no tokens; it should be an object of token to id");
    }

    private string[] ReadLines(string name)
    {
        try
        {
            return File.ReadAllLines(Existing(name), new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true));
        }
        catch (DecoderFallbackException e)
        {
            throw Malformed(name, "it is not UTF-8 text", e);
        }
    }

    private JsonDocument ParseObject(string name)
    {
        JsonDocument? document = null;
        try
        {
            document = JsonDocument.Parse(File.ReadAllBytes(Existing(name)).AsMemory());
            return document.RootElement.ValueKind == JsonValueKind.Object
                ? document
                : throw Malformed(name, $"it holds a JSON {document.RootElement.ValueKind}; it should be an object");
        }
        catch (JsonException e)
        {
            throw Malformed(name, $"it is not complete JSON ({e.Message.TrimEnd('.')})", e);
        }
        catch
        {
            document?.Dispose();
            throw;
        }
    }

    private string Existing(string name)
    {
        var path = PathOf(name);
        return File.Exists(path) ? path : throw new FileNotFoundException($"{path} is missing; a checkpoint folder should hold it, or a {Serialized} of the same kind.", path);
    }
}
