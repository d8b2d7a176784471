using System.Text;
using System.Text.Json;

namespace SkillLoc.Models.Tokenization;

/// <summary>The steps from a text to words: normalizers, then pre-tokenizers, from <c>tokenizer.json</c> or the default of a
/// family.</summary>
internal sealed class SerializedSteps
{
    private (bool Cleans, bool SplitsIdeographs, bool StripsAccents, bool Lowers)? _bert;
    private bool _isByteLevel;
    private readonly List<Func<string, string>> _normalizers = [];
    private readonly List<WordSplitters.Splitter> _splitters = [];

    /// <summary>Reads the steps of a <c>tokenizer.json</c>.</summary>
    /// <param name="root">The file.</param>
    /// <param name="source">Its name in error messages.</param>
    /// <exception cref="InvalidDataException">A step lacks a setting.</exception>
    /// <exception cref="NotSupportedException">A step or one of its settings is not supported.</exception>
    public SerializedSteps(JsonElement root, string source)
    {
        Normalizers = Flatten(root, "normalizer", "normalizers", source);
        Splitters = Flatten(root, "pre_tokenizer", "pretokenizers", source);
        _normalizers.AddRange(Normalizers.Select(TextNormalizers.Of));
        _splitters.AddRange(Splitters.Select(WordSplitters.Of));
    }

    private SerializedSteps(IEnumerable<Func<string, string>> normalizers, IEnumerable<WordSplitters.Splitter> splitters)
    {
        _normalizers.AddRange(normalizers);
        _splitters.AddRange(splitters);
    }

    /// <summary>The normalizers of the file.</summary>
    public IReadOnlyList<SerializedStep> Normalizers { get; } = [];

    /// <summary>The pre-tokenizers of the file.</summary>
    public IReadOnlyList<SerializedStep> Splitters { get; } = [];

    /// <summary>No steps.</summary>
    public static SerializedSteps None { get; } = new([], []);

    /// <summary>BERT's steps.</summary>
    public static SerializedSteps OfBert(bool splitsIdeographs, bool stripsAccents, bool lowers) =>
        new([TextNormalizers.Bert(cleans: true, splitsIdeographs, stripsAccents, lowers)], [WordSplitters.Bert])
        {
            _bert = (true, splitsIdeographs, stripsAccents, lowers),
        };

    /// <summary>GPT-2's and RoBERTa's steps.</summary>
    public static SerializedSteps ByteLevel(bool addsPrefixSpace) =>
        new([], [WordSplitters.ByteLevel(addsPrefixSpace, splits: true)]) { _isByteLevel = !addsPrefixSpace };

    /// <summary>The settings of BERT's steps, where these are all; else null.</summary>
    public (bool Cleans, bool SplitsIdeographs, bool StripsAccents, bool Lowers)? Bert
    {
        get
        {
            if (
                _bert is not null
                || Normalizers.Count != 1
                || Normalizers[0].Type != "BertNormalizer"
                || Splitters.Count != 1
                || Splitters[0].Type != "BertPreTokenizer"
            )
            {
                return _bert;
            }

            SerializedStep step = Normalizers[0];
            bool lowers = step.Flag("lowercase", true);
            return (
                step.Flag("clean_text", true),
                step.Flag("handle_chinese_chars", true),
                step.OptionalFlag("strip_accents") ?? lowers,
                lowers
            );
        }
    }

    /// <summary>Whether they are GPT-2's, without a space put before the text.</summary>
    public bool IsByteLevel =>
        _isByteLevel
        || (
            Normalizers.Count == 0
            && Splitters is [{ Type: "ByteLevel" } step]
            && !step.Flag("add_prefix_space", true)
            && step.Flag("use_regex", true)
        );

    /// <summary>Normalizes a text.</summary>
    public string Normalize(string text)
    {
        foreach (Func<string, string> normalize in _normalizers)
        {
            text = normalize(text);
        }

        return text;
    }

    /// <summary>The number of letters of a normalized text that come from its first character, needed by steps that mark the first word
    /// only.</summary>
    public int FirstOf(string text, string normalized)
    {
        if (text.Length == 0 || !Splitters.Any(step => step.Type == "Metaspace" && step.Text("prepend_scheme") == "first"))
        {
            return 1;
        }

        Rune.DecodeFromUtf16(text, out _, out int length);
        string rest = Normalize(text[length..]);
        return normalized.EndsWith(rest, StringComparison.Ordinal) ? normalized.Length - rest.Length : 1;
    }

    /// <summary>Splits a normalized text, or a part of one, into words.</summary>
    /// <param name="text">The letters.</param>
    /// <param name="first">The number of letters that come from the first character of the whole text.</param>
    public IEnumerable<string> Split(string text, int first)
    {
        IEnumerable<WordSplitters.Word> words = [new(text, first)];
        foreach (WordSplitters.Splitter split in _splitters)
        {
            words = words.Where(word => word.Text.Length > 0).SelectMany(word => split(word));
        }

        return words.Where(word => word.Text.Length > 0).Select(word => word.Text);
    }

    private static IReadOnlyList<SerializedStep> Flatten(JsonElement root, string name, string inner, string source)
    {
        if (!root.TryGetProperty(name, out JsonElement step) || step.ValueKind == JsonValueKind.Null)
        {
            return [];
        }

        return step.ValueKind == JsonValueKind.Object
            ? [.. new SerializedStep(step, $"{source}, {name}").Flatten(inner)]
            : throw new InvalidDataException($"{source}: its {name} is a JSON {step.ValueKind}; it should be an object or null.");
    }
}

/// <summary>A step of <c>tokenizer.json</c>, or its model: an object whose settings must all be read.</summary>
/// <param name="json">The step.</param>
/// <param name="source">The file and the position in it.</param>
internal readonly struct SerializedStep(JsonElement json, string source)
{
    /// <summary>The step's type; empty if it has none.</summary>
    public string Type => TokenizerFiles.Text(json, "type") ?? "";

    /// <summary>Its name in error messages.</summary>
    public string Source => source;

    /// <summary>Throws if there are unknown settings.</summary>
    /// <exception cref="NotSupportedException">There is an unknown setting.</exception>
    public SerializedStep Only(params ReadOnlySpan<string> settings)
    {
        foreach (JsonProperty property in json.EnumerateObject())
        {
            if (property.Name != "type" && !settings.Contains(property.Name))
            {
                throw new NotSupportedException($"{source}: the step '{Type}' has the setting '{property.Name}', which is not supported.");
            }
        }
        return this;
    }

    /// <summary>Returns a string, or null if missing or null.</summary>
    /// <exception cref="InvalidDataException">It has another type.</exception>
    public string? Text(string setting) =>
        Find(setting) switch
        {
            null => null,
            { ValueKind: JsonValueKind.String } value => value.GetString(),
            _ => throw Lacks(setting),
        };

    /// <summary>Returns a boolean.</summary>
    /// <exception cref="InvalidDataException">It has another type.</exception>
    public bool Flag(string setting, bool fallback) => OptionalFlag(setting) ?? fallback;

    /// <summary>Returns a boolean, or null if missing or null.</summary>
    /// <exception cref="InvalidDataException">It has another type.</exception>
    public bool? OptionalFlag(string setting) =>
        Find(setting) switch
        {
            null => null,
            { ValueKind: JsonValueKind.True or JsonValueKind.False } value => value.GetBoolean(),
            _ => throw Lacks(setting),
        };

    /// <summary>Returns an integer, or null if missing or null.</summary>
    /// <exception cref="InvalidDataException">It has another type, or is below the minimum.</exception>
    public int? Whole(string setting, int least) =>
        Find(setting) switch
        {
            null => null,
            { ValueKind: JsonValueKind.Number } value when value.TryGetInt32(out int number) && number >= least => number,
            _ => throw Lacks(setting),
        };

    /// <summary>Returns a character.</summary>
    /// <exception cref="InvalidDataException">It is missing or has another type.</exception>
    public char Letter(string setting) => Text(setting) is [var letter] ? letter : throw Lacks(setting);

    /// <summary>Returns an object or array, or null if missing or null.</summary>
    public JsonElement? Find(string setting) =>
        json.TryGetProperty(setting, out JsonElement value) && value.ValueKind != JsonValueKind.Null ? value : null;

    /// <summary>Returns the steps of a sequence, with nested sequences flattened; the step itself if it is not a sequence.</summary>
    /// <param name="inner">The setting with the steps.</param>
    /// <exception cref="InvalidDataException">A sequence has no steps, or an invalid one.</exception>
    public IEnumerable<SerializedStep> Flatten(string inner)
    {
        if (Type != "Sequence")
        {
            return [this];
        }

        Only(inner);
        if (Find(inner) is not { ValueKind: JsonValueKind.Array } steps)
        {
            throw Lacks(inner);
        }

        var all = new List<SerializedStep>();
        foreach (JsonElement step in steps.EnumerateArray())
        {
            all.AddRange(step.ValueKind == JsonValueKind.Object ? new SerializedStep(step, source).Flatten(inner) : throw Lacks(inner));
        }

        return all;
    }

    /// <summary>Creates the exception for a missing or invalid setting.</summary>
    public InvalidDataException Lacks(string setting) => new($"{source}: a step of type '{Type}' has no valid '{setting}'.");
}
