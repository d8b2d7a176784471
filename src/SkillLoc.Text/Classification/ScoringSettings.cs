using System.Text.Json;
using System.Text.Json.Serialization;
using SkillLoc.Models.Generation;
using SkillLoc.Models.Json;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tokenization;

namespace SkillLoc.Models.Classification;

/// <summary>The settings of a classifier that scoring needs beside the weights: how rows become tokens, and what is predicted.</summary>
public record ScoringSettings
{
    // What a causal model reads where it is given no prompt.
    private protected const string PlainText = "{0}",
        PlainPair = "{0}\n{1}";

    private readonly int? _maxLength;

    /// <summary>Display name of the task; may be empty.</summary>
    public string Task { get; init; } = "";

    /// <summary>The kind of classification head.</summary>
    public HeadKind Head { get; init; }

    /// <summary>The prompt template; null for heads on the first token, for a soft prompt, and when label words are scored at the first
    /// token (methods, B.4).</summary>
    public string? Template { get; init; }

    /// <summary>
    /// The prompt that a causal model continues, with <c>{0}</c> and <c>{1}</c> for the sentences (see
    /// <see cref="Prompts.AutoregressiveTemplate"/>); null for masked language models. If it is null, a causal model's
    /// <see cref="HeadKind.SequenceClassification"/> reads plain text, the texts of a pair on two lines.
    /// </summary>
    public string? AutoregressiveTemplate { get; init; }

    /// <summary>How a causal model scores its options.</summary>
    public OptionScoring OptionScoring { get; init; }

    /// <summary>
    /// The text-to-text task, for <see cref="HeadKind.Generation"/>: the prefix of each row, the maximum length of answers, and the metric
    /// of generated text. <see cref="MaxLength"/> limits rows, by default to the task's maximum.
    /// </summary>
    public TextToTextTask? TextToText { get; init; }

    /// <summary>The labels in the order of the probabilities; for a regression the two ends of its range; empty for free text.</summary>
    public required IReadOnlyList<string> Labels { get; init; }

    /// <summary>
    /// The word of each label, for <see cref="HeadKind.LabelWords"/> and for <c>*label_i*</c> in templates; with an
    /// <see cref="AutoregressiveTemplate"/> its option, including the leading space; with <see cref="HeadKind.Generation"/> its answer, by
    /// default the label itself.
    /// </summary>
    public IReadOnlyList<string>? Words { get; init; }

    /// <summary>
    /// The range of a regression's scores, with <see cref="HeadKind.LabelWords"/> and two labels; null for classes.
    /// </summary>
    public ScoreRange? ScoreRange { get; init; }

    /// <summary>
    /// The probability at or above which each label of a multi-label task is predicted; null for tasks with exactly one label per row.
    /// </summary>
    public IReadOnlyList<float>? Thresholds { get; init; }

    /// <summary>Whether a row may have any number of labels.</summary>
    [JsonIgnore]
    public bool IsMultiLabel => Thresholds is not null;

    /// <summary>Whether rows have two texts.</summary>
    public bool HasTextPair { get; init; }

    /// <summary>The maximum length of a row in tokens; by default 128, or the <see cref="TextToTextTask.MaxInputLength"/> of a
    /// <see cref="TextToText"/> task.</summary>
    public int MaxLength
    {
        get => _maxLength ?? TextToText?.MaxInputLength ?? PromptTask.DefaultMaxLength;
        init => _maxLength = value;
    }

    /// <summary>Maximum number of tokens of the first text; null for no separate limit.</summary>
    public int? FirstSentenceLimit { get; init; }

    /// <summary>Maximum number of tokens of other texts; null for no separate limit.</summary>
    public int? OtherSentenceLimit { get; init; }

    /// <summary>How rows that exceed the limit are truncated.</summary>
    public Truncation Truncation { get; init; }

    /// <summary>The special tokens around texts without a template; those of a Hugging Face classifier are the checkpoint's.</summary>
    public SpecialTokenLayout SpecialTokens { get; init; }

    /// <summary>The metric by which the best epoch is chosen.</summary>
    public PromptMetric Metric { get; init; }

    /// <summary>Reads settings of a classifier without what only its weights need.</summary>
    /// <param name="json">The settings as JSON.</param>
    /// <param name="source">Its name in error messages.</param>
    /// <returns>The settings.</returns>
    /// <exception cref="InvalidDataException">The text is not valid settings JSON.</exception>
    internal static ScoringSettings Read(string json, string source) =>
        Valid(
            JsonText.Read<ScoringSettings>(
                json,
                source,
                new(JsonText.OwnFiles) { UnmappedMemberHandling = JsonUnmappedMemberHandling.Skip }
            ),
            source
        );

    /// <summary>Creates the text encoder for these settings.</summary>
    /// <param name="tokenizer">The checkpoint's tokenizer.</param>
    /// <returns>The encoder of the text-to-text task, template or autoregressive template; a plain one if there is none.</returns>
    /// <exception cref="ArgumentException">The longest option leaves no room for text, or the settings do not fit the
    /// tokenizer.</exception>
    internal ITextEncoder CreateEncoder(CheckpointTokenizer tokenizer)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        if (TextToText is not null)
        {
            return new TextToTextEncoder(TextToText, tokenizer, MaxLength) { Truncation = Truncation };
        }

        if (
            SpecialTokens == SpecialTokenLayout.Checkpoint
            && Template is null
            && (AutoregressiveTemplate is null or PlainText or PlainPair)
        )
        {
            return new SequenceEncoder(tokenizer, MaxLength, SpecialTokens)
            {
                Truncation = Truncation,
                ScoresLast = AutoregressiveTemplate is not null,
            };
        }

        if (AutoregressiveTemplate is not null)
        {
            int room = MaxLength - (Words is null ? 0 : Words.Max(option => tokenizer.Encode(option).Length));
            return room > 0
                ? new AutoregressiveEncoder(Prompts.AutoregressiveTemplate.Parse(AutoregressiveTemplate), tokenizer, room)
                {
                    Truncation = Truncation,
                }
                : throw new ArgumentException(
                    $"A limit of {MaxLength} tokens leaves no room for text before the longest option; raise MaxLength."
                );
        }

        return Template is null
            ? new SequenceEncoder(tokenizer, MaxLength) { Truncation = Truncation }
            : new TemplateEncoder(
                PromptTemplate.Parse(Template),
                tokenizer,
                Words is null ? [] : LabelWords().Resolve(tokenizer),
                MaxLength
            )
            {
                FirstSentenceLimit = FirstSentenceLimit,
                OtherSentenceLimit = OtherSentenceLimit,
                Truncation = Truncation,
            };
    }

    /// <summary>The verbalizer, in the order of the labels.</summary>
    /// <returns>The label words.</returns>
    /// <exception cref="InvalidOperationException">There are no label words.</exception>
    public Verbalizer LabelWords() =>
        Words is null
            ? throw new InvalidOperationException("These settings have no label words.")
            : new Verbalizer(Labels.Zip(Words, KeyValuePair.Create));

    /// <summary>Whether the language-model head is used.</summary>
    internal bool NeedsWords => Head.ReadsVocabulary();

    /// <summary>Settings that were read, if they are valid.</summary>
    private protected static T Valid<T>(T settings, string source)
        where T : ScoringSettings => settings.Problem() is { } problem ? throw new InvalidDataException($"{source}: {problem}.") : settings;

    /// <summary>Error message for settings that no model supports, naming the field as in the file; null if they are valid.</summary>
    private string? Problem()
    {
        if (Labels.Count < 2 && !(Labels.Count == 0 && TextToText is not null))
        {
            return $"'labels' are {Labels.Count}; there must be 2 or more, and none only where a 'text_to_text' task writes free text";
        }

        if (Labels.GroupBy(label => label, StringComparer.Ordinal).FirstOrDefault(same => same.Count() > 1) is { } twice)
        {
            return $"'labels' has '{twice.Key}' twice";
        }

        if (Words is not null && Words.Count != Labels.Count)
        {
            return $"'words' are {Words.Count}, and 'labels' {Labels.Count}";
        }

        if (Head == HeadKind.LabelWords && Words is null)
        {
            return "'words' is missing, which the head 'label_words' reads";
        }

        if (Thresholds is not null)
        {
            if (NeedsWords)
            {
                return $"'thresholds' are of a multi-label task, which the head "
                    + $"'{JsonNamingPolicy.SnakeCaseLower.ConvertName(Head.ToString())}' does not do";
            }

            if (Thresholds.Count != Labels.Count || Thresholds.Any(threshold => !(threshold >= 0 && threshold <= 1)))
            {
                return $"'thresholds' must be one number in [0, 1] for each of the {Labels.Count} labels";
            }
        }

        foreach (
            (string name, int? value) in new[]
            {
                ("max_length", MaxLength),
                ("first_sentence_limit", FirstSentenceLimit),
                ("other_sentence_limit", OtherSentenceLimit),
            }
        )
        {
            if (value < 1)
            {
                return $"'{name}' is {value}; it must be 1 or more";
            }
        }

        return Unreadable("template", Template, text => PromptTemplate.Parse(text))
            ?? Unreadable("autoregressive_template", AutoregressiveTemplate, text => Prompts.AutoregressiveTemplate.Parse(text));

        static string? Unreadable(string name, string? text, Action<string> parse)
        {
            try
            {
                if (text is not null)
                {
                    parse(text);
                }

                return null;
            }
            catch (Exception error) when (error is FormatException or ArgumentException)
            {
                return $"'{name}': {error.Message.TrimEnd('.')}";
            }
        }
    }
}
