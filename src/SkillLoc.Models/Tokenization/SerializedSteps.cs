using System.Text;
using System.Text.Json;

namespace SkillLoc.Models.Tokenization;

/// <summary>How a text becomes words: normalizers, then pre-tokenizers, as <c>tokenizer.json</c> lists them or as a model's family has them.</summary>
internal sealed class SerializedSteps
{
    private readonly List<Func<string, string>> _normalizers = [];
    private readonly List<WordSplitters.Splitter> _splitters = [];

    /// <summary>The steps of a <c>tokenizer.json</c>.</summary>
    /// <param name="root">The file.</param>
    /// <param name="source">What error messages call it.</param>
    /// <exception cref="InvalidDataException">A step lacks a setting.</exception>
    /// <exception cref="NotSupportedException">A step is of another kind, or has a setting that is not known.</exception>
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

    /// <summary>The normalizers as the file has them.</summary>
    public IReadOnlyList<SerializedStep> Normalizers { get; } = [];

    /// <summary>The pre-tokenizers as the file has them.</summary>
    public IReadOnlyList<SerializedStep> Splitters { get; } = [];

    /// <summary>No steps: the model takes a text as it is.</summary>
    public static SerializedSteps None { get; } = new([], []);

    /// <summary>BERT's steps.</summary>
    public static SerializedSteps Bert(bool splitsIdeographs, bool stripsAccents, bool lowers) =>
        new([TextNormalizers.Bert(cleans: true, splitsIdeographs, stripsAccents, lowers)], [WordSplitters.Bert]);

    /// <summary>GPT-2's and RoBERTa's steps.</summary>
    public static SerializedSteps ByteLevel(bool addsPrefixSpace) => new([], [WordSplitters.ByteLevel(addsPrefixSpace, splits: true)]);

    /// <summary>A text as the pre-tokenizers take it.</summary>
    public string Normalize(string text)
    {
        foreach (var normalize in _normalizers)
            text = normalize(text);
        return text;
    }

    /// <summary>How many letters of a normalized text were made of its first character, which a step asks for that marks first words only.</summary>
    public int FirstOf(string text, string normalized)
    {
        if (text.Length == 0 || !Splitters.Any(step => step.Type == "Metaspace" && step.Text("prepend_scheme") == "first"))
            return 1;
        Rune.DecodeFromUtf16(text, out _, out var length);
        var rest = Normalize(text[length..]);
        return normalized.EndsWith(rest, StringComparison.Ordinal) ? normalized.Length - rest.Length : 1;
    }

    /// <summary>The words of a normalized text, or of a part of one.</summary>
    /// <param name="text">The letters.</param>
    /// <param name="first">How many of them were made of the whole text's first character.</param>
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
