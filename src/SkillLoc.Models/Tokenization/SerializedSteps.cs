using System.Text;
using System.Text.Json;

namespace SkillLoc.Models.Tokenization;

/// <summary>The steps from a text to words: normalizers, then pre-tokenizers, from <c>tokenizer.json</c> or the default of a
/// family.</summary>
internal sealed class SerializedSteps
{
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
    public static SerializedSteps Bert(bool splitsIdeographs, bool stripsAccents, bool lowers) =>
        new([TextNormalizers.Bert(cleans: true, splitsIdeographs, stripsAccents, lowers)], [WordSplitters.Bert]);

    /// <summary>GPT-2's and RoBERTa's steps.</summary>
    public static SerializedSteps ByteLevel(bool addsPrefixSpace) => new([], [WordSplitters.ByteLevel(addsPrefixSpace, splits: true)]);

    /// <summary>Normalizes a text.</summary>
    public string Normalize(string text)
    {
        foreach (var normalize in _normalizers)
            text = normalize(text);
        return text;
    }

    /// <summary>The number of letters of a normalized text that come from its first character, needed by steps that mark the first word
    /// only.</summary>
    public int FirstOf(string text, string normalized)
    {
        if (text.Length == 0 || !Splitters.Any(step => step.Type == "Metaspace" && step.Text("prepend_scheme") == "first"))
            return 1;
        Rune.DecodeFromUtf16(text, out _, out var length);
        var rest = Normalize(text[length..]);
        return normalized.EndsWith(rest, StringComparison.Ordinal) ? normalized.Length - rest.Length : 1;
    }

    /// <summary>Splits a normalized text, or a part of one, into words.</summary>
    /// <param name="text">The letters.</param>
    /// <param name="first">The number of letters that come from the first character of the whole text.</param>
    public IEnumerable<string> Split(string text, int first)
    {
        IEnumerable<WordSplitters.Word> words = [new(text, first)];
        foreach (var split in _splitters)
            words = words.Where(word => word.Text.Length > 0).SelectMany(word => split(word));
        return words.Where(word => word.Text.Length > 0).Select(word => word.Text);
    }

    private static IReadOnlyList<SerializedStep> Flatten(JsonElement root, string name, string inner, string source)
    {
        if (!root.TryGetProperty(name, out var step) || step.ValueKind == JsonValueKind.Null)
            return [];
        return step.ValueKind == JsonValueKind.Object
            ? [.. new SerializedStep(step, $"{source}, {name}").Flatten(inner)]
            : throw new InvalidDataException($"{source}: its {name} is a JSON {step.ValueKind}; it should be an object or null.");
    }
}
