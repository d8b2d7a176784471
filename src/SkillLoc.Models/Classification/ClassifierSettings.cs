using System.Text.Json;
using System.Text.Json.Serialization;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tokenization;
using SkillLoc.Models.Tuning;

namespace SkillLoc.Models.Classification;

/// <summary>Everything beside weights that a classifier needs to score text; saved with it as <c>skillloc.json</c>.</summary>
public sealed record ClassifierSettings
{
    /// <summary>The file's name in a checkpoint folder.</summary>
    public const string FileName = "skillloc.json";

    private static readonly JsonSerializerOptions Json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        WriteIndented = true,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower) },
    };

    /// <summary>The task's name, for people; may be empty.</summary>
    public string Task { get; init; } = "";

    /// <summary>What makes logits of hidden states.</summary>
    public HeadKind Head { get; init; }

    /// <summary>The prompt template; null for heads on the first token.</summary>
    public string? Template { get; init; }

    /// <summary>The labels in the order of the probabilities; for a regression the two ends of its range.</summary>
    public required IReadOnlyList<string> Labels { get; init; }

    /// <summary>For each label its word, for <see cref="HeadKind.LabelWords"/> and for <c>*label_i*</c> in templates.</summary>
    public IReadOnlyList<string>? Words { get; init; }

    /// <summary>
    /// The range of the scores that a regression predicts, with <see cref="HeadKind.LabelWords"/> and two labels; null for classes.
    /// </summary>
    public ScoreRange? ScoreRange { get; init; }

    /// <summary>True when rows have two texts.</summary>
    public bool HasTextPair { get; init; }

    /// <summary>The longest row in tokens.</summary>
    public int MaxLength { get; init; } = 128;

    /// <summary>The first text is cut to this many tokens; null does not cut.</summary>
    public int? FirstSentenceLimit { get; init; }

    /// <summary>Other texts are cut to this many tokens; null does not cut.</summary>
    public int? OtherSentenceLimit { get; init; }

    /// <summary>What gives way when a row is too long.</summary>
    public Truncation Truncation { get; init; }

    /// <summary>How predictions are judged when a best epoch is chosen.</summary>
    public PromptMetric Metric { get; init; }

    /// <summary>Which parameters fine-tuning could change; a graft considers the same. Null when that is not known.</summary>
    public ParameterSelection? Trained { get; init; }

    /// <summary>Reads settings.</summary>
    /// <param name="json">What <see cref="ToJson"/> gave.</param>
    /// <param name="source">Where it came from, for error messages.</param>
    /// <returns>The settings.</returns>
    /// <exception cref="InvalidDataException">It is not the JSON of settings.</exception>
    public static ClassifierSettings FromJson(string json, string source)
    {
        try
        {
            return JsonSerializer.Deserialize<ClassifierSettings>(json, Json)
                ?? throw new InvalidDataException($"{source} is empty; it must hold a classifier's settings.");
        }
        catch (Exception error) when (error is JsonException or ArgumentException)
        {
            throw new InvalidDataException($"{source} does not hold a classifier's settings: {error.Message}", error);
        }
    }

    /// <summary>Writes the settings as JSON.</summary>
    /// <returns>The text.</returns>
    public string ToJson() => JsonSerializer.Serialize(this, Json);

    /// <summary>The encoder that these settings describe.</summary>
    /// <param name="tokenizer">The checkpoint's tokenizer.</param>
    /// <returns>A template encoder, or a plain one where there is no template.</returns>
    public ITextEncoder CreateEncoder(CheckpointTokenizer tokenizer) => Template is null
        ? new SequenceEncoder(tokenizer, MaxLength) { Truncation = Truncation }
        : new TemplateEncoder(PromptTemplate.Parse(Template), tokenizer, Words is null ? [] : LabelWords().Resolve(tokenizer), MaxLength)
        {
            FirstSentenceLimit = FirstSentenceLimit,
            OtherSentenceLimit = OtherSentenceLimit,
            Truncation = Truncation,
        };

    /// <summary>The verbalizer, in the order of the labels.</summary>
    /// <returns>Label to word.</returns>
    /// <exception cref="InvalidOperationException">There are no label words.</exception>
    public Verbalizer LabelWords() => Words is null
        ? throw new InvalidOperationException("These settings have no label words.")
        : new Verbalizer(Labels.Zip(Words, KeyValuePair.Create));
}
