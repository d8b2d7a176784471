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

    private const int LongestLine = 1 << 16;

    private readonly Dictionary<string, JsonElement?> _read = new(StringComparer.Ordinal);
    private SerializedFile? _serialized;

    /// <summary>The paths of the tokenizer files that exist.</summary>
    public IReadOnlyList<string> Paths => [.. Names.Where(Has).Select(PathOf)];

    public string PathOf(string name) => Path.Combine(folder, name);

    public bool Has(string name) => contents?.ContainsKey(name) ?? File.Exists(PathOf(name));

    /// <summary>Returns a JSON object, read once; null if the file does not exist. Of <c>tokenizer.json</c> vocabulary and merges are
    /// empty.</summary>
    public JsonElement? ReadObject(string name)
    {
        if (_read.TryGetValue(name, out JsonElement? known))
        {
            return known;
        }

        JsonElement? root = null;
        if (Has(name))
        {
            // The documents live as long as what is read of them, and are not copied.
            root = ParseObject(name);
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

    /// <summary>The pieces of the unigram model of <c>tokenizer.json</c>, which <see cref="ReadSerialized"/> returned.</summary>
    /// <param name="scores">The score of each, in the order of the ids.</param>
    /// <exception cref="InvalidDataException">There are none, or a piece is invalid or occurs twice.</exception>
    public Dictionary<string, int> ReadPieces(out double[] scores)
    {
        scores = [];
        Dictionary<string, int>? pieces = Find(_serialized!.Document.RootElement, "model", "vocab") is { ValueKind: JsonValueKind.Array }
            ? Values(Serialized).Pieces(_serialized.Vocabulary.Span, out scores)
            : null;
        return pieces is { Count: > 0 }
            ? pieces
            : throw Malformed(Serialized, "its unigram model has no 'vocab', an array of pieces with their scores");
    }

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
        if (ReadSerialized() is { } serialized)
        {
            return SerializedVocabulary(serialized.Root);
        }

        byte[] bytes = Read(Vocabulary);
        try
        {
            JsonText.CheckUnicode(bytes);
        }
        catch (JsonException e)
        {
            throw Incomplete(Vocabulary, e);
        }

        return bytes.AsSpan().TrimStart(" \t\r\n"u8)[0] == (byte)'{'
            ? Values(Vocabulary).Vocabulary(bytes, LargestId)
            : throw Malformed(Vocabulary, "it holds no JSON object; it should be an object of token to id");
    }

    /// <summary>Pairs of tokens with a space between, best merge first: from <c>tokenizer.json</c>, else <c>merges.txt</c>.</summary>
    public List<string> ReadMerges(Dictionary<string, int> vocabulary)
    {
        (string file, IEnumerable<string> lines) = ReadSerialized() is not null
            ? (Serialized, SerializedMerges())
            : (Merges, ReadLines(Merges));
        string what = file == Merges ? "line" : "merge";
        int known = (lines as List<string>)?.Count ?? CountLines(Merges);
        var merges = new List<string>(known);
        var seen = new HashSet<string>(known, StringComparer.Ordinal);
        var made = new HashSet<int>(known);
        Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> ids = vocabulary.GetAlternateLookup<ReadOnlySpan<char>>();
        char[] both = [];
        int number = 0;
        foreach (string line in lines)
        {
            number++;
            if (line.Length == 0 || (number == 1 && line.StartsWith("#version", StringComparison.Ordinal)))
            {
                continue;
            }

            int space = line.IndexOf(' ');
            if (space <= 0 || space == line.Length - 1 || line.IndexOf(' ', space + 1) >= 0)
            {
                throw Malformed(file, $"{what} {number} is '{line}'; it should be two tokens with one space between");
            }

            ReadOnlySpan<char> token = Joined(line, ref both);
            if (
                !ids.TryGetValue(token, out int id)
                || !ids.ContainsKey(token = line.AsSpan(0, space))
                || !ids.ContainsKey(token = line.AsSpan(space + 1))
            )
            {
                throw Malformed(
                    file,
                    $"{what} {number} ('{line}') needs the token '{token}', which the vocabulary lacks; the two should belong together"
                );
            }

            if (!seen.Add(line))
            {
                throw Malformed(file, $"{what} {number} ('{line}') occurs twice");
            }

            made.Add(id);
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

    /// <summary>The token that a merge makes.</summary>
    /// <param name="merge">Two tokens with a space between.</param>
    /// <param name="letters">Where it is put, made longer where that is needed.</param>
    public static ReadOnlySpan<char> Joined(string merge, ref char[] letters)
    {
        int space = merge.IndexOf(' ');
        if (letters.Length < merge.Length)
        {
            letters = new char[2 * merge.Length];
        }

        merge.CopyTo(0, letters, 0, space);
        merge.CopyTo(space + 1, letters, space, merge.Length - space - 1);
        return letters.AsSpan(0, merge.Length - 1);
    }

    /// <summary>The vocabulary: from <c>tokenizer.json</c>, else <c>vocab.txt</c> with one token per line, whose id is the zero-based line
    /// number.</summary>
    public Dictionary<string, int> ReadWordPieces()
    {
        if (ReadSerialized() is { } serialized)
        {
            return SerializedVocabulary(serialized.Root);
        }

        var vocabulary = new Dictionary<string, int>(CountLines(WordPieces), StringComparer.Ordinal);
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
        HashSet<int>? ids = null;
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

            ids ??= [.. vocabulary.Values];
            if (vocabulary.TryAdd(token.Content, token.Id))
            {
                tokens[token.Content] = token with { IsNew = true };
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

    private Dictionary<string, int> SerializedVocabulary(JsonElement root) =>
        Find(root, "model", "vocab") is { ValueKind: JsonValueKind.Object }
            ? Values(Serialized).Vocabulary(_serialized!.Vocabulary.Span, LargestId)
            : throw Malformed(Serialized, "its model has no 'vocab'");

    private List<string> SerializedMerges() =>
        Find(_serialized!.Document.RootElement, "model", "merges") is { ValueKind: JsonValueKind.Array }
            ? Values(Serialized).Merges(_serialized.Merges.Span)
            : throw Malformed(Serialized, "its model has no 'merges'");

    private LongValues Values(string file) => new(problem => Malformed(file, problem));

    /// <summary>The number of lines that are not empty.</summary>
    private int CountLines(string name)
    {
        byte[] bytes = Read(name);
        int count = 0;
        bool isInLine = false;
        foreach (byte value in bytes)
        {
            bool ends = value is (byte)'\n' or (byte)'\r';
            count += isInLine && ends ? 1 : 0;
            isInLine = !ends;
        }

        return count + (isInLine ? 1 : 0);
    }

    private IEnumerable<string> ReadLines(string name)
    {
        using var reader = new StreamReader(
            new MemoryStream(Read(name)),
            new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true)
        );
        for (int number = 1; Next() is { } line; number++)
        {
            yield return line.Length <= LongestLine
                ? line
                : throw Malformed(name, $"line {number} has {line.Length} characters; tokens have at most {LongestLine}");
        }

        string? Next()
        {
            try
            {
                return reader.ReadLine();
            }
            catch (DecoderFallbackException e)
            {
                throw Malformed(name, "it is not UTF-8 text", e);
            }
        }
    }

    private JsonElement ParseObject(string name)
    {
        byte[] bytes = Read(name);
        try
        {
            JsonElement root =
                name == Serialized ? (_serialized = SerializedFile.Parse(bytes)).Document.RootElement : JsonText.Parse(bytes).RootElement;
            return root.ValueKind == JsonValueKind.Object
                ? root
                : throw Malformed(name, $"it holds a JSON {root.ValueKind}; it should be an object");
        }
        catch (JsonException e)
        {
            throw Incomplete(name, e);
        }
    }

    private InvalidDataException Incomplete(string name, JsonException e) =>
        Malformed(name, $"it is not complete JSON ({e.Message.TrimEnd('.')})", e);

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
