using System.Text.Json;

namespace SkillLoc.Models.Tokenization;

/// <summary>The special tokens of a vocabulary; null for none.</summary>
internal sealed record SpecialTokens(string? Cls, string? Sep, string? Mask, string? Pad, string? Unknown)
{
    private static readonly SpecialTokens Bert = new("[CLS]", "[SEP]", "[MASK]", "[PAD]", "[UNK]");
    private static readonly SpecialTokens Roberta = new("<s>", "</s>", "<mask>", "<pad>", "<unk>");
    private static readonly SpecialTokens T5 = new(null, "</s>", null, "<pad>", "<unk>");
    private const string EndOfText = "<|endoftext|>";

    private static readonly string[] Roles = ["cls_token", "sep_token", "mask_token", "pad_token", "unk_token", "bos_token", "eos_token"];
    private static readonly string[] Lists = ["additional_special_tokens", "extra_special_tokens"];

    /// <summary>The token at the start of a text, if <c>tokenizer_config.json</c> adds one.</summary>
    public string? Bos { get; private init; }

    /// <summary>The token at the end of a text, if <c>tokenizer_config.json</c> adds one.</summary>
    public string? Eos { get; private init; }

    /// <summary>The token in the files, else the default of the model family.</summary>
    public static SpecialTokens Find(TokenizerFiles files, IReadOnlyDictionary<string, int> vocabulary, TokenizerKind kind)
    {
        var family = kind == TokenizerKind.Unigram ? T5
            : vocabulary.ContainsKey(Roberta.Cls!) ? Roberta
            : vocabulary.ContainsKey(EndOfText) ? new SpecialTokens(null, null, null, EndOfText, EndOfText)
            : Bert;
        return new SpecialTokens(
            Spelling("cls_token", family.Cls),
            Spelling("sep_token", family.Sep),
            Spelling("mask_token", family.Mask),
            Spelling("pad_token", family.Pad),
            Spelling("unk_token", family.Unknown))
        {
            Bos = Spelling("bos_token", null),
            Eos = Spelling("eos_token", null),
        };

        string? Spelling(string name, string? usual)
        {
            foreach (var map in Maps(files))
                if (map.TryGetProperty(name, out var value) && TextOf(value) is { } text && vocabulary.ContainsKey(text))
                    return text;
            return usual is not null && vocabulary.ContainsKey(usual) ? usual : null;
        }
    }

    /// <summary>The special tokens in the files, whether the vocabulary has them or not.</summary>
    public static HashSet<string> Named(TokenizerFiles files)
    {
        var named = new HashSet<string>(StringComparer.Ordinal);
        foreach (var map in Maps(files))
        {
            named.UnionWith(Roles.Select(role => map.TryGetProperty(role, out var value) ? TextOf(value) : null).OfType<string>());
            foreach (var list in Lists)
            {
                if (map.TryGetProperty(list, out var values))
                    named.UnionWith(Texts(values));
            }
        }
        return named;
    }

    /// <summary>The existing special tokens.</summary>
    public IEnumerable<string> All => new[] { Cls, Sep, Mask, Pad, Unknown, Bos, Eos }.OfType<string>();

    private static IEnumerable<JsonElement> Maps(TokenizerFiles files) =>
        new[] { files.ReadObject(TokenizerFiles.SpecialMap), files.ReadObject(TokenizerFiles.Settings) }.OfType<JsonElement>();

    // A list, or, of named ones, an object.
    private static IEnumerable<string> Texts(JsonElement values) => values.ValueKind switch
    {
        JsonValueKind.Array => values.EnumerateArray().Select(TextOf).OfType<string>(),
        JsonValueKind.Object => values.EnumerateObject().Select(entry => TextOf(entry.Value)).OfType<string>(),
        _ => [],
    };

    // Either "<mask>" or { "content": "<mask>", … }.
    private static string? TextOf(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => value.GetString(),
        JsonValueKind.Object when value.TryGetProperty("content", out var content) && content.ValueKind == JsonValueKind.String => content.GetString(),
        _ => null,
    };
}
