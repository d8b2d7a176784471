using System.Text.Json;

namespace SkillLoc.Models.Tokenization;

/// <summary>How a vocabulary spells its special tokens; null where it has none.</summary>
internal sealed record SpecialTokens(string? Cls, string? Sep, string? Mask, string? Pad, string? Unknown)
{
    private static readonly SpecialTokens Bert = new("[CLS]", "[SEP]", "[MASK]", "[PAD]", "[UNK]");
    private static readonly SpecialTokens Roberta = new("<s>", "</s>", "<mask>", "<pad>", "<unk>");
    private static readonly SpecialTokens T5 = new(null, "</s>", null, "<pad>", "<unk>");
    private const string EndOfText = "<|endoftext|>";

    /// <summary>The spelling that the files give, else the model family's.</summary>
    public static SpecialTokens Find(TokenizerFiles files, IReadOnlyDictionary<string, int> vocabulary, TokenizerKind kind)
    {
        var family = kind == TokenizerKind.Unigram ? T5
            : vocabulary.ContainsKey(Roberta.Cls!) ? Roberta
            : vocabulary.ContainsKey(EndOfText) ? new SpecialTokens(null, null, null, EndOfText, EndOfText)
            : Bert;
        JsonElement?[] maps = [files.ReadObject("special_tokens_map.json"), files.ReadObject(TokenizerFiles.Settings)];

        return new SpecialTokens(
            Spelling("cls_token", family.Cls),
            Spelling("sep_token", family.Sep),
            Spelling("mask_token", family.Mask),
            Spelling("pad_token", family.Pad),
            Spelling("unk_token", family.Unknown));

        string? Spelling(string name, string? usual)
        {
            foreach (var map in maps)
                if (map?.TryGetProperty(name, out var value) == true && TextOf(value) is { } text && vocabulary.ContainsKey(text))
                    return text;
            return usual is not null && vocabulary.ContainsKey(usual) ? usual : null;
        }
    }

    /// <summary>The spellings that there are.</summary>
    public IEnumerable<string> All => new[] { Cls, Sep, Mask, Pad, Unknown }.OfType<string>();

    // Either "<mask>" or { "content": "<mask>", … }.
    private static string? TextOf(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => value.GetString(),
        JsonValueKind.Object when value.TryGetProperty("content", out var content) && content.ValueKind == JsonValueKind.String => content.GetString(),
        _ => null,
    };
}
