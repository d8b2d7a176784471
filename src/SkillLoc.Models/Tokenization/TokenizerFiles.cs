using System.Text;
using System.Text.Json;

namespace SkillLoc.Models.Tokenization;

/// <summary>Reads a checkpoint folder's tokenizer files; whatever is wrong with one is said with its path.</summary>
internal sealed class TokenizerFiles(string folder)
{
    public const string Vocabulary = "vocab.json";
    public const string Merges = "merges.txt";
    public const string WordPieces = "vocab.txt";

    private static readonly string[] Names =
        [Vocabulary, Merges, WordPieces, "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"];

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

    /// <summary><c>vocab.json</c>: token to id, all ids different.</summary>
    public Dictionary<string, int> ReadVocabulary()
    {
        using var document = ParseObject(Vocabulary);
        var vocabulary = new Dictionary<string, int>(StringComparer.Ordinal);
        var tokens = new Dictionary<int, string>();
        foreach (var property in document.RootElement.EnumerateObject())
        {
            if (property.Value.ValueKind != JsonValueKind.Number || !property.Value.TryGetInt32(out var id) || id < 0)
                throw Malformed(Vocabulary, $"token '{property.Name}' has the id {property.Value.GetRawText()}; ids are integers from 0 on");
            if (!vocabulary.TryAdd(property.Name, id))
                throw Malformed(Vocabulary, $"token '{property.Name}' occurs twice");
            if (!tokens.TryAdd(id, property.Name))
                throw Malformed(Vocabulary, $"tokens '{tokens[id]}' and '{property.Name}' both have the id {id}");
        }
        if (vocabulary.Count == 0)
            throw Malformed(Vocabulary, "it holds no tokens; it should be an object of token to id");
        return vocabulary;
    }

    /// <summary><c>merges.txt</c>: one pair of tokens a line, the best merge first.</summary>
    public List<string> ReadMerges(IReadOnlyDictionary<string, int> vocabulary)
    {
        var merges = new List<string>();
        var seen = new HashSet<string>(StringComparer.Ordinal);
        var made = new HashSet<string>(StringComparer.Ordinal);
        var number = 0;
        foreach (var line in ReadLines(Merges))
        {
            number++;
            if (line.Length == 0 || (number == 1 && line.StartsWith("#version", StringComparison.Ordinal)))
                continue;
            if (line.Split(' ') is not [{ Length: > 0 } left, { Length: > 0 } right])
                throw Malformed(Merges, $"line {number} is '{line}'; it should be two tokens with one space between");
            foreach (var token in new[] { left, right, left + right })
                if (!vocabulary.ContainsKey(token))
                    throw Malformed(Merges, $"line {number} ('{line}') needs the token '{token}', which {Vocabulary} lacks; the two files should belong together");
            if (!seen.Add(line))
                throw Malformed(Merges, $"line {number} ('{line}') occurs twice");
            made.Add(left + right);
            merges.Add(line);
        }

        var longer = vocabulary.Keys.Count(token => token.Length > 1);
        var unmade = longer - made.Count;
        if (unmade > UnmergedTokens + (longer / 10))
            throw Malformed(Merges, $"its {merges.Count} merges leave {unmade} of the {longer} longer tokens of {Vocabulary} unreachable; it looks cut off");
        return merges;
    }

    /// <summary><c>vocab.txt</c>: one token a line, its id the line's number from 0 on.</summary>
    public Dictionary<string, int> ReadWordPieces()
    {
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

    public InvalidDataException Malformed(string name, string problem, Exception? inner = null) => new($"{PathOf(name)}: {problem}.", inner);

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
        return File.Exists(path) ? path : throw new FileNotFoundException($"{path} is missing; a checkpoint folder should hold it.", path);
    }
}
