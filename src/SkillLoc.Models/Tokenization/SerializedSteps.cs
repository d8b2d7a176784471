using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace SkillLoc.Models.Tokenization;

/// <summary>The normalizer and the pre-tokenizer of a unigram model's <c>tokenizer.json</c>: those kinds that T5's checkpoints have.</summary>
/// <remarks>Our own since Microsoft.ML.Tokenizers 2.0.1 does not read <c>tokenizer.json</c>.</remarks>
internal sealed class SerializedSteps
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);
    private readonly string _source;
    private readonly List<Func<string, string>> _normalizers = [];
    private readonly List<Func<string, IEnumerable<string>>> _splitters = [];

    /// <exception cref="InvalidDataException">A step lacks a setting.</exception>
    /// <exception cref="NotSupportedException">A step is of another kind.</exception>
    public SerializedSteps(JsonElement root, string source)
    {
        _source = source;
        foreach (var step in Flatten(root, "normalizer", "normalizers"))
            _normalizers.Add(Normalizer(step));
        foreach (var step in Flatten(root, "pre_tokenizer", "pretokenizers"))
            _splitters.Add(Splitter(step));
    }

    /// <summary>The words of a text as pieces spell them.</summary>
    public IEnumerable<string> Prepare(string text)
    {
        foreach (var normalize in _normalizers)
            text = normalize(text);
        IEnumerable<string> words = [text];
        foreach (var split in _splitters)
            words = words.Where(word => word.Length > 0).SelectMany(split);
        return words.Where(word => word.Length > 0);
    }

    private static IEnumerable<JsonElement> Flatten(JsonElement owner, string name, string inner)
    {
        if (!owner.TryGetProperty(name, out var step) || step.ValueKind != JsonValueKind.Object)
            return [];
        return Flatten(step, inner);
    }

    private static IEnumerable<JsonElement> Flatten(JsonElement step, string inner) =>
        Text(step, "type") == "Sequence" && step.TryGetProperty(inner, out var steps) && steps.ValueKind == JsonValueKind.Array
            ? steps.EnumerateArray().SelectMany(one => Flatten(one, inner))
            : [step];

    private Func<string, string> Normalizer(JsonElement step)
    {
        switch (Text(step, "type"))
        {
            case "NFKC":
                return CompatibilityForm.Of;
            case "Nmt":
                return CleanForTranslation;
            case "Lowercase":
                return text => text.ToLowerInvariant();
            case "Strip":
                var (left, right) = (Flag(step, "strip_left"), Flag(step, "strip_right"));
                return text => (left, right) switch { (true, true) => text.Trim(), (true, _) => text.TrimStart(), (_, true) => text.TrimEnd(), _ => text };
            case "Replace":
                var content = Text(step, "content") ?? throw Lacks(step, "content");
                if (TokenizerFiles.Find(step, "pattern", "String") is { } literal)
                    return literal.GetString() is { Length: > 0 } old ? text => text.Replace(old, content, StringComparison.Ordinal) : throw Lacks(step, "pattern");
                var pattern = TokenizerFiles.Find(step, "pattern", "Regex")?.GetString() ?? throw Lacks(step, "pattern");
                var regex = new Regex(pattern, RegexOptions.CultureInvariant, Patience);
                return text => regex.Replace(text, _ => content);
            case "Precompiled":
                var blob = new byte[(Text(step, "precompiled_charsmap") ?? throw Lacks(step, "precompiled_charsmap")).Length];
                if (!Convert.TryFromBase64String(Text(step, "precompiled_charsmap")!, blob, out var length))
                    throw Lacks(step, "precompiled_charsmap");
                var rules = new CharsMap(blob.AsSpan(0, length), _source);
                return text => Apply(rules, text);
            case var other:
                throw new NotSupportedException($"{_source} has a normalizer of type '{other}'; supported are NFKC, Nmt, Lowercase, Strip, Replace and Precompiled.");
        }
    }

    private Func<string, IEnumerable<string>> Splitter(JsonElement step)
    {
        switch (Text(step, "type"))
        {
            case "WhitespaceSplit":
                return text => text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
            case "Metaspace":
                var space = Text(step, "replacement") is { Length: 1 } replacement ? replacement[0] : throw Lacks(step, "replacement");
                var prefixed = Text(step, "prepend_scheme") is { } scheme ? scheme != "never" : !step.TryGetProperty("add_prefix_space", out _) || Flag(step, "add_prefix_space");
                if (Text(step, "prepend_scheme") == "first" && _splitters.Count > 0)
                    throw new NotSupportedException($"{_source} has a Metaspace step that marks the first of several words only, which is not supported.");
                var splits = !step.TryGetProperty("split", out _) || Flag(step, "split");
                return text =>
                {
                    var word = text.Replace(' ', space);
                    if (prefixed && word[0] != space)
                        word = space + word;
                    return splits ? SplitBefore(word, space) : [word];
                };
            case var other:
                throw new NotSupportedException($"{_source} has a pre-tokenizer of type '{other}'; supported are WhitespaceSplit and Metaspace.");
        }
    }

    /// <summary>Hugging Face's <c>Nmt</c>: control characters go, and what counts as white space in translation becomes a space.</summary>
    private static string CleanForTranslation(string text)
    {
        var result = new StringBuilder(text.Length);
        foreach (var letter in text)
        {
            if (letter is (>= '\u0001' and <= '\u0008') or '\u000B' or (>= '\u000E' and <= '\u001F') or '\u007F' or '\u008F' or '\u009F')
                continue;
            result.Append(letter is '\t' or '\n' or '\f' or '\r' or '\u1680' or (>= '\u200B' and <= '\u200F') or '\u2028' or '\u2029' or '\u2581' or '\uFEFF' or '\uFFFD'
                ? ' '
                : letter);
        }
        return result.ToString();
    }

    /// <summary>Replaces as Hugging Face's <c>Precompiled</c> does: short grapheme clusters whole where a rule begins them, else each character.</summary>
    private static string Apply(CharsMap rules, string text)
    {
        const int LongestCluster = 6;
        var result = new StringBuilder(text.Length);
        var buffer = new ArrayBufferWriter<byte>();
        for (var start = 0; start < text.Length;)
        {
            var cluster = text.AsSpan(start, StringInfo.GetNextTextElementLength(text, start));
            start += cluster.Length;
            if (Encoding.UTF8.GetByteCount(cluster) < LongestCluster && Replace(cluster))
                continue;
            foreach (var letter in cluster.EnumerateRunes())
            {
                if (!Replace(letter.ToString()))
                    result.Append(letter);
            }
        }
        return result.ToString();

        bool Replace(ReadOnlySpan<char> letters)
        {
            buffer.ResetWrittenCount();
            Encoding.UTF8.GetBytes(letters, buffer);
            var (length, replacement) = rules.Match(buffer.WrittenSpan);
            result.Append(replacement);
            return length > 0;
        }
    }

    private static IEnumerable<string> SplitBefore(string word, char space)
    {
        for (var start = 0; start < word.Length;)
        {
            var end = word.IndexOf(space, start + 1);
            end = end < 0 ? word.Length : end;
            yield return word[start..end];
            start = end;
        }
    }

    private static string? Text(JsonElement step, string name) =>
        step.ValueKind == JsonValueKind.Object && step.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static bool Flag(JsonElement step, string name) => step.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.True;

    private InvalidDataException Lacks(JsonElement step, string setting) =>
        new($"{_source}: a step of type '{Text(step, "type")}' has no valid '{setting}'.");
}
