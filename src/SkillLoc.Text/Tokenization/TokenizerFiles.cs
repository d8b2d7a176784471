using System.Globalization;
using System.Text;
using System.Text.Json;
using SkillLoc.Models.Json;

namespace SkillLoc.Models.Tokenization;

/// <summary>Reads a checkpoint's tokenizer files; errors name the path.</summary>
/// <param name="folder">The folder.</param>
/// <param name="contents">The files by name, for a checkpoint that lies in no folder, which <paramref name="folder"/> then names in errors;
/// null reads the folder.</param>
internal sealed class TokenizerFiles(string folder, IReadOnlyDictionary<string, byte[]>? contents = null)
{
    public const string Vocabulary = "vocab.json";
    public const string Merges = "merges.txt";
    public const string WordPieces = "vocab.txt";
    public const string SentencePiece = "spiece.model";
    public const string FairseqSentencePiece = "sentencepiece.bpe.model";
    public const string Serialized = "tokenizer.json";
    public const string Settings = "tokenizer_config.json";
    public const string Added = "added_tokens.json";
    public const string SpecialMap = "special_tokens_map.json";

    private static readonly string[] Names =
    [
        Vocabulary,
        Merges,
        WordPieces,
        SentencePiece,
        FairseqSentencePiece,
        Serialized,
        Settings,
        SpecialMap,
        Added,
    ];

    // A byte-level vocabulary may hold a few tokens that no merge makes: special and placeholder ones.
    private const int UnmergedTokens = 32;

    private const int LargestId = 1 << 24;

    private readonly Dictionary<string, JsonElement?> _read = new(StringComparer.Ordinal);

    /// <summary>The paths of the tokenizer files that exist.</summary>
    public IReadOnlyList<string> Paths => [.. Names.Where(Has).Select(PathOf)];

    public string PathOf(string name) => Path.Combine(folder, name);

    public bool Has(string name) => contents?.ContainsKey(name) ?? File.Exists(PathOf(name));

    /// <summary>Returns a JSON object, read once; null if the file does not exist.</summary>
    public JsonElement? ReadObject(string name)
    {
        if (_read.TryGetValue(name, out JsonElement? known))
        {
            return known;
        }

        JsonElement? root = null;
        if (Has(name))
        {
            using JsonDocument document = ParseObject(name);
            root = document.RootElement.Clone();
        }
        _read.Add(name, root);
        return root;
    }

    /// <summary>Returns the kind of <c>tokenizer.json</c>; null if the file does not exist or has no model.</summary>
    /// <exception cref="NotSupportedException">The model is of another kind.</exception>
    public (TokenizerKind Kind, JsonElement Root)? ReadSerialized()
    {
        if (
            ReadObject(Serialized) is not { } root
            || !root.TryGetProperty("model", out JsonElement model)
            || model.ValueKind != JsonValueKind.Object
        )
        {
            return null;
        }

        // Files of older versions do not name the kind.
        string type =
            Text(root, "model", "type")
            ?? (
                Find(root, "model", "vocab") is { ValueKind: JsonValueKind.Array } ? "Unigram"
                : Find(root, "model", "merges") is not null ? "BPE"
                : Find(root, "model", "max_input_chars_per_word") is not null ? "WordPiece"
                : "of no type"
            );
        return type switch
        {
            "BPE" => (TokenizerKind.BytePairs, root),
            "WordPiece" => (TokenizerKind.WordPieces, root),
            "Unigram" => (TokenizerKind.Unigram, root),
            _ => throw new NotSupportedException($"{PathOf(Serialized)}: its model is '{type}'; supported are BPE, WordPiece and Unigram."),
        };
    }

    /// <summary>The model of <c>tokenizer.json</c>, for its settings.</summary>
    public SerializedStep ModelOf(JsonElement root) => new(root.GetProperty("model"), $"{PathOf(Serialized)}, model");

    /// <summary>Returns a nested property, or null.</summary>
    public static JsonElement? Find(JsonElement? root, string outer, string inner) =>
        root?.TryGetProperty(outer, out JsonElement value) == true
        && value.ValueKind == JsonValueKind.Object
        && value.TryGetProperty(inner, out JsonElement found)
            ? found
            : null;

    /// <summary>Returns a string property, or null.</summary>
    public static string? Text(JsonElement? root, string name) =>
        root is { ValueKind: JsonValueKind.Object } owner
        && owner.TryGetProperty(name, out JsonElement value)
        && value.ValueKind == JsonValueKind.String
            ? value.GetString()
            : null;

    /// <summary>Returns a nested string property, or null.</summary>
    public static string? Text(JsonElement? root, string outer, string inner) =>
        Find(root, outer, inner) is { ValueKind: JsonValueKind.String } value ? value.GetString() : null;

    /// <summary>The vocabulary with unique ids: from <c>tokenizer.json</c>, else <c>vocab.json</c>.</summary>
    public Dictionary<string, int> ReadVocabulary()
    {
        if (ReadSerialized() is (TokenizerKind.BytePairs, var root))
        {
            return SerializedVocabulary(root);
        }

        using JsonDocument document = ParseObject(Vocabulary);
        return Tokens(Vocabulary, document.RootElement);
    }

    /// <summary>Pairs of tokens with a space between, best merge first: from <c>tokenizer.json</c>, else <c>merges.txt</c>.</summary>
    public List<string> ReadMerges(IReadOnlyDictionary<string, int> vocabulary)
    {
        var merges = new List<string>();
        var seen = new HashSet<string>(StringComparer.Ordinal);
        var made = new HashSet<string>(StringComparer.Ordinal);
        int number = 0;
        (string? file, string[]? lines) = ReadSerialized() is (TokenizerKind.BytePairs, var root)
            ? (Serialized, SerializedMerges(root))
            : (Merges, ReadLines(Merges));
        foreach (string line in lines)
        {
            number++;
            if (line.Length == 0 || (number == 1 && line.StartsWith("#version", StringComparison.Ordinal)))
            {
                continue;
            }

            if (line.Split(' ') is not [{ Length: > 0 } left, { Length: > 0 } right])
            {
                throw Malformed(
                    file,
                    $"{(file == Merges ? "line" : "merge")} {number} is '{line}'; it should be two tokens with one space between"
                );
            }

            foreach (string? token in new[] { left, right, left + right })
            {
                if (!vocabulary.ContainsKey(token))
                {
                    throw Malformed(
                        file,
                        $"{(file == Merges ? "line" : "merge")} {number} ('{line}') needs the token '{token}', which the vocabulary "
                            + "lacks; the two should belong together"
                    );
                }
            }

            if (!seen.Add(line))
            {
                throw Malformed(file, $"{(file == Merges ? "line" : "merge")} {number} ('{line}') occurs twice");
            }

            made.Add(left + right);
            merges.Add(line);
        }

        int longer = vocabulary.Keys.Count(token => token.Length > 1);
        int unmade = longer - made.Count;
        if (unmade > UnmergedTokens + (longer / 10))
        {
            throw Malformed(
                file,
                $"its {merges.Count} merges leave {unmade} of the {longer} longer tokens of the vocabulary unreachable; it looks cut off"
            );
        }

        return merges;
    }

    /// <summary>The vocabulary: from <c>tokenizer.json</c>, else <c>vocab.txt</c> with one token per line, whose id is the zero-based line
    /// number.</summary>
    public Dictionary<string, int> ReadWordPieces()
    {
        if (ReadSerialized() is (TokenizerKind.WordPieces, var root))
        {
            return SerializedVocabulary(root);
        }

        var vocabulary = new Dictionary<string, int>(StringComparer.Ordinal);
        int id = 0;
        foreach (string line in ReadLines(WordPieces))
        {
            if (line.Length > 0 && !vocabulary.TryAdd(line, id))
            {
                throw Malformed(
                    WordPieces,
                    $"token '{line}' stands on lines {vocabulary[line] + 1} and {id + 1}; every token should stand once"
                );
            }

            id++;
        }
        if (vocabulary.Count == 0)
        {
            throw Malformed(WordPieces, "it holds no tokens; it should have one token a line");
        }

        return vocabulary;
    }

    /// <summary>
    /// Adds the added tokens to a vocabulary and returns them: those of <c>tokenizer.json</c>, and additional ones of
    /// <c>tokenizer_config.json</c> (<c>added_tokens_decoder</c>) and <c>added_tokens.json</c>.
    /// </summary>
    /// <param name="vocabulary">Token to id.</param>
    /// <param name="special">Tokens that are special regardless of the files.</param>
    /// <param name="withoutSpecial">Whether the special tokens of <c>tokenizer.json</c> belong to another vocabulary.</param>
    /// <exception cref="InvalidDataException">A token is invalid, or its id is taken.</exception>
    public List<AddedToken> ReadAdded(Dictionary<string, int> vocabulary, IReadOnlySet<string> special, bool withoutSpecial = false)
    {
        var tokens = new OrderedDictionary<string, AddedToken>(StringComparer.Ordinal);
        var ids = vocabulary.Values.ToHashSet();
        if (
            ReadObject(Serialized) is { } root
            && root.TryGetProperty("added_tokens", out JsonElement added)
            && added.ValueKind != JsonValueKind.Null
        )
        {
            if (added.ValueKind != JsonValueKind.Array)
            {
                throw Malformed(Serialized, $"its added_tokens are a JSON {added.ValueKind}; they should be an array");
            }

            foreach (JsonElement entry in added.EnumerateArray())
            {
                Add(
                    Serialized,
                    entry,
                    entry.ValueKind == JsonValueKind.Object && entry.TryGetProperty("id", out JsonElement id) ? id : default
                );
            }
        }
        if (Find(ReadObject(Settings), "added_tokens_decoder") is { ValueKind: JsonValueKind.Object } decoder)
        {
            foreach (JsonProperty entry in decoder.EnumerateObject())
            {
                if (
                    entry.Value.ValueKind != JsonValueKind.Object
                    || !int.TryParse(entry.Name, NumberStyles.None, CultureInfo.InvariantCulture, out int id)
                    || id > LargestId
                )
                {
                    throw Malformed(Settings, $"the entry '{entry.Name}' of added_tokens_decoder should be an id with an object");
                }

                AddNew(Settings, Read(Settings, entry.Value, id));
            }
        }
        if (ReadObject(Added) is { } extra)
        {
            foreach (JsonProperty entry in extra.EnumerateObject())
            {
                if (entry.Value.ValueKind != JsonValueKind.Number || !entry.Value.TryGetInt32(out int id) || id is < 0 or > LargestId)
                {
                    throw Malformed(Added, $"token '{entry.Name}' has the id {entry.Value.GetRawText()}; ids are integers from 0 on");
                }

                AddNew(Added, new AddedToken(entry.Name, id) { IsSpecial = special.Contains(entry.Name), IsNormalized = true });
            }
        }
        return [.. tokens.Values];

        void Add(string file, JsonElement entry, JsonElement number)
        {
            if (
                entry.ValueKind != JsonValueKind.Object
                || number.ValueKind != JsonValueKind.Number
                || !number.TryGetInt32(out int id)
                || id is < 0 or > LargestId
            )
            {
                throw Malformed(file, $"the added token {entry.GetRawText()} should have a 'content' and an 'id' from 0 on");
            }

            AddedToken token = Read(file, entry, id);
            if (!withoutSpecial || !token.IsSpecial)
            {
                AddNew(file, token);
            }
        }

        AddedToken Read(string file, JsonElement entry, int id)
        {
            string content =
                Text(entry, "content")
                ?? throw Malformed(file, $"the added token {entry.GetRawText()} should have a 'content' and an 'id' from 0 on");
            bool isSpecial = Flag("special", false) || special.Contains(content);
            return new AddedToken(content, id)
            {
                IsSpecial = isSpecial,
                IsSingleWord = Flag("single_word", false),
                StripsLeft = Flag("lstrip", false),
                StripsRight = Flag("rstrip", false),
                IsNormalized = Flag("normalized", !isSpecial),
            };

            bool Flag(string name, bool fallback) =>
                !entry.TryGetProperty(name, out JsonElement value) || value.ValueKind == JsonValueKind.Null ? fallback
                : value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean()
                : throw Malformed(file, $"the added token '{content}' has the {name} {value.GetRawText()}; it should be true or false");
        }

        void AddNew(string file, AddedToken token)
        {
            if (!tokens.TryAdd(token.Content, token))
            {
                return;
            }

            if (vocabulary.TryAdd(token.Content, token.Id))
            {
                if (!ids.Add(token.Id))
                {
                    throw Malformed(file, $"the added token '{token.Content}' has the id {token.Id} of another token");
                }
            }
            else if (vocabulary[token.Content] != token.Id)
            {
                throw Malformed(
                    file,
                    $"the added token '{token.Content}' has the id {token.Id}, and the vocabulary has {vocabulary[token.Content]} for it"
                );
            }
        }
    }

    /// <summary>Returns a property, or null.</summary>
    public static JsonElement? Find(JsonElement? root, string name) =>
        root is { ValueKind: JsonValueKind.Object } owner
        && owner.TryGetProperty(name, out JsonElement value)
        && value.ValueKind != JsonValueKind.Null
            ? value
            : null;

    public InvalidDataException Malformed(string name, string problem, Exception? inner = null) =>
        new($"{PathOf(name)}: {problem}.", inner);

    private Dictionary<string, int> SerializedVocabulary(JsonElement root)
    {
        if (Find(root, "model", "vocab") is not { ValueKind: JsonValueKind.Object } entries)
        {
            throw Malformed(Serialized, "its model has no 'vocab'");
        }

        return Tokens(Serialized, entries);
    }

    // Either "a b" or ["a", "b"].
    private string[] SerializedMerges(JsonElement root) =>
        Find(root, "model", "merges") is { ValueKind: JsonValueKind.Array } merges
            ?
            [
                .. merges
                    .EnumerateArray()
                    .Select(merge => merge.ValueKind == JsonValueKind.Array ? string.Join(' ', merge.EnumerateArray()) : merge.ToString()),
            ]
            : throw Malformed(Serialized, "its model has no 'merges'");

    private Dictionary<string, int> Tokens(string file, JsonElement entries)
    {
        var vocabulary = new Dictionary<string, int>(StringComparer.Ordinal);
        var tokens = new Dictionary<int, string>();
        foreach (JsonProperty property in entries.EnumerateObject())
        {
            if (property.Value.ValueKind != JsonValueKind.Number || !property.Value.TryGetInt32(out int id) || id is < 0 or > LargestId)
            {
                throw Malformed(
                    file,
                    $"token '{property.Name}' has the id {property.Value.GetRawText()}; ids are integers from 0 on, and no vocabulary "
                        + "is so large"
                );
            }

            if (!vocabulary.TryAdd(property.Name, id))
            {
                throw Malformed(file, $"token '{property.Name}' occurs twice");
            }

            if (!tokens.TryAdd(id, property.Name))
            {
                throw Malformed(file, $"tokens '{tokens[id]}' and '{property.Name}' both have the id {id}");
            }
        }
        return vocabulary.Count > 0 ? vocabulary : throw Malformed(file, "it holds no tokens; it should be an object of token to id");
    }

    private string[] ReadLines(string name)
    {
        try
        {
            using var reader = new StreamReader(
                new MemoryStream(Read(name)),
                new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true)
            );
            var lines = new List<string>();
            while (reader.ReadLine() is { } line)
            {
                lines.Add(line);
            }

            return [.. lines];
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
            document = JsonText.Parse(Read(name));
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

    /// <summary>The bytes of a file.</summary>
    /// <exception cref="FileNotFoundException">It does not exist.</exception>
    public byte[] Read(string name)
    {
        string path = PathOf(name);
        return Has(name)
            ? contents?[name] ?? File.ReadAllBytes(path)
            : throw new FileNotFoundException(
                $"{path} is missing; a checkpoint folder should hold it, or a {Serialized} of the same kind.",
                path
            );
    }
}
