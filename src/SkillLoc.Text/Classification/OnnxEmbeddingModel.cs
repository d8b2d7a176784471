using System.Text.Json;
using SkillLoc.Models.Json;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tokenization;

namespace SkillLoc.Models.Classification;

/// <summary>What an exported embedder says of itself: how its rows become tokens, and how long its vectors are.</summary>
internal sealed record OnnxEmbeddingModel
{
    private const int MostSize = 1 << 16;

    /// <summary>The prompt template; null for plain text.</summary>
    public string? Template { get; init; }

    /// <summary>What stands before each row's first text; null for nothing.</summary>
    public string? Prompt { get; init; }

    /// <summary>The most tokens of a row.</summary>
    public required int MaxLength { get; init; }

    /// <summary>Whether a row's last token is the scored one, as in causal models.</summary>
    public bool ScoresLast { get; init; }

    /// <summary>The size of a vector.</summary>
    public required int Size { get; init; }

    /// <summary>Reads the JSON of <see cref="ToJson"/>.</summary>
    /// <exception cref="InvalidDataException">It is damaged.</exception>
    public static OnnxEmbeddingModel FromJson(string json, string source)
    {
        OnnxEmbeddingModel model = JsonText.Read<OnnxEmbeddingModel>(json, source, JsonText.OwnFiles);
        string? wrong =
            model.Size is < 1 or > MostSize ? $"the size is {model.Size}"
            : model.MaxLength < 1 ? $"the most tokens are {model.MaxLength}"
            : null;
        return wrong is null ? model : throw new InvalidDataException($"{source} is damaged: {wrong}.");
    }

    /// <summary>The record as JSON.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, JsonText.OwnFiles);

    /// <summary>What turns texts into tokens.</summary>
    /// <exception cref="ArgumentException">The template is damaged.</exception>
    public ITextEncoder CreateEncoder(CheckpointTokenizer tokenizer) =>
        Template is null
            ? new SequenceEncoder(tokenizer, MaxLength, SpecialTokenLayout.Checkpoint) { ScoresLast = ScoresLast }
            : new TemplateEncoder(PromptTemplate.Parse(Template), tokenizer, [], MaxLength);
}
