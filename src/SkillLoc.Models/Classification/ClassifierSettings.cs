using System.Text.Json;
using System.Text.Json.Serialization;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Generation;
using SkillLoc.Models.Json;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tokenization;
using SkillLoc.Models.Tuning;

namespace SkillLoc.Models.Classification;

/// <summary>The settings that, with the weights, define a classifier; saved beside them as <c>skillloc.json</c>.</summary>
public sealed record ClassifierSettings
{
    /// <summary>The file's name in a checkpoint folder.</summary>
    public const string FileName = "skillloc.json";

    // What a causal model reads where it is given no prompt.
    private const string PlainText = "{0}",
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

    /// <summary>The special tokens around texts without a template; <see cref="Load"/> sets those of a Hugging Face classifier.</summary>
    public SpecialTokenLayout SpecialTokens { get; init; }

    /// <summary>The metric by which the best epoch is chosen.</summary>
    public PromptMetric Metric { get; init; }

    /// <summary>The parameter-efficient tuning method; null if the model's own weights are trained. A soft prompt excludes a
    /// <see cref="Template"/>.</summary>
    public TuningOptions? Tuning { get; init; }

    /// <summary>The parameters that fine-tuning trained, which are those that a graft considers; null if unknown.</summary>
    public ParameterSelection? Trained { get; init; }

    /// <summary>Reads settings.</summary>
    /// <param name="json">The output of <see cref="ToJson"/>.</param>
    /// <param name="source">Its name in error messages.</param>
    /// <returns>The settings.</returns>
    /// <exception cref="InvalidDataException">The text is not valid settings JSON.</exception>
    public static ClassifierSettings FromJson(string json, string source)
    {
        ArgumentNullException.ThrowIfNull(json);
        ClassifierSettings settings = JsonText.Read<ClassifierSettings>(json, source, JsonText.OwnFiles);
        return settings.Problem() is { } problem ? throw new InvalidDataException($"{source}: {problem}.") : settings;
    }

    /// <summary>Reads the settings of a checkpoint folder: its <c>skillloc.json</c>, or else those of a Hugging Face classifier with the
    /// standard head and the labels of its <c>config.json</c>.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="hasTextPair">Whether rows have two texts, which a Hugging Face folder does not record.</param>
    /// <returns>The settings.</returns>
    /// <exception cref="FileNotFoundException">The folder holds no classifier.</exception>
    /// <exception cref="InvalidDataException">A file is not valid.</exception>
    /// <exception cref="NotSupportedException">The folder holds a Hugging Face regression.</exception>
    public static ClassifierSettings Load(string folder, bool hasTextPair = false)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        string path = Path.Combine(folder, FileName);
        bool isAlone = File.Exists(path) && !File.Exists(Path.Combine(folder, "config.json"));
        ModelConfig? config = isAlone ? null : CheckpointFolder.ReadConfig(folder);
        if (config is { IsSequenceClassifier: true } && !File.Exists(path))
        {
            ConfigFields.CheckClassifier(config);
        }

        return Find(folder, config, hasTextPair)
            ?? throw new FileNotFoundException(
                $"{path} is missing, and {folder} is no Hugging Face classifier with labels either: restore it, fine-tune again, or say by "
                    + "settings what the model shall do.",
                path
            );
    }

    /// <summary>As <see cref="Load"/>, but null if the folder does not declare a classifier.</summary>
    /// <exception cref="InvalidDataException">A file is not valid, or <c>skillloc.json</c> and <c>config.json</c> name different
    /// labels.</exception>
    internal static ClassifierSettings? Find(string folder, ModelConfig? config, bool hasTextPair = false)
    {
        string path = Path.Combine(folder, FileName);
        bool hasLabels = config is { IsSequenceClassifier: true, Labels.Count: > 1 };
        if (!File.Exists(path))
        {
            return hasLabels
                ? new()
                {
                    Head = HeadKind.SequenceClassification,
                    Labels = config!.Labels,
                    Thresholds = ConfigFields.IsMultiLabel(config) ? [.. config.Labels.Select(_ => LabelThresholds.Usual)] : null,
                    HasTextPair = hasTextPair,
                    SpecialTokens = SpecialTokenLayout.Checkpoint,
                }
                : null;
        }

        ClassifierSettings settings = FromJson(File.ReadAllText(path), path);
        return !hasLabels || (!settings.NeedsWords && settings.Labels.SequenceEqual(config!.Labels, StringComparer.Ordinal))
            ? settings
            : throw new InvalidDataException(
                $"{path} is of the head {settings.Head} and the labels {string.Join(", ", settings.Labels)}, and {config!.Source} of a "
                    + $"sequence classifier with the labels {string.Join(", ", config.Labels)}: another program changed the folder. If "
                    + $"{config.Source} is right, remove {FileName}; else restore what {config.Source} was."
            );
    }

    /// <summary>Serialises the settings as JSON.</summary>
    /// <returns>The text.</returns>
    public string ToJson() => JsonSerializer.Serialize(this, JsonText.OwnFiles);

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
    internal bool NeedsWords => Head is HeadKind.LabelWords or HeadKind.Generation;

    /// <summary>The tokens that are scored: for <see cref="HeadKind.LabelWords"/> one token per label or whole options, for
    /// <see cref="HeadKind.Generation"/> the answers; null for other heads and for free text.</summary>
    /// <exception cref="ArgumentException">A word is not a single token, or options cannot be distinguished by the requested
    /// scoring.</exception>
    internal (int[]? Words, int[][]? Options) LabelTokens(CheckpointTokenizer tokenizer)
    {
        if (TextToText is not null)
        {
            return (null, Answers((TextToTextEncoder)CreateEncoder(tokenizer)));
        }

        if (!NeedsWords)
        {
            return default;
        }

        Verbalizer words = LabelWords();
        if (AutoregressiveTemplate is null)
        {
            return (words.Resolve(tokenizer), null);
        }

        int[][] options = [.. words.Words.Select(tokenizer.Encode)];
        int[] first = Array.ConvertAll(options, option => option[0]);
        IGrouping<int, int>? collision = Enumerable
            .Range(0, first.Length)
            .GroupBy(label => first[label])
            .FirstOrDefault(group => group.Count() > 1);
        if (OptionScoring == OptionScoring.FirstToken && collision is not null)
        {
            throw new ArgumentException(
                $"The options {string.Join(", ", collision.Select(label => $"'{words.Words[label]}'"))} start with the same token "
                    + $"'{tokenizer.TokenOf(collision.Key)}', so their first tokens cannot tell them apart; choose other options, or "
                    + "score them by "
                    + $"{nameof(OptionScoring)}.{nameof(OptionScoring.WholeOption)}."
            );
        }

        bool whole = OptionScoring == OptionScoring.WholeOption || collision is not null;
        if (whole && Tuning is SoftPromptOptions)
        {
            throw new ArgumentException(
                $"A soft prompt is read at one place, where whole options cannot be scored: use "
                    + $"{nameof(OptionScoring)}.{OptionScoring.FirstToken} "
                    + "and options that start with different tokens."
            );
        }

        return whole ? (null, options) : (first, null);
    }

    /// <summary>Adapts the settings to a model: plain text for a causal model's head, and no rows longer than the model's
    /// positions.</summary>
    /// <exception cref="ArgumentException">The settings do not fit: a causal model needs an autoregressive prompt and others cannot use
    /// one; T5 needs a text-to-text task and an answer for each label.</exception>
    internal ClassifierSettings For(ModelConfig config)
    {
        ClassificationHead.Check(Head, config);
        if ((Head == HeadKind.Generation) != (TextToText is not null))
        {
            throw new ArgumentException(
                $"{nameof(TextToText)} and {nameof(HeadKind)}.{HeadKind.Generation} go together: the head is {Head}, and there is "
                    + $"{TextToText?.ToString() ?? "no text-to-text task"}."
            );
        }

        if (Tuning is SoftPromptOptions && Template is not null)
        {
            throw new ArgumentException(
                $"A soft prompt brings its own mask, so the template '{Template}' has no place beside it; leave {nameof(Template)} out."
            );
        }

        if (!config.IsCausal)
        {
            return AutoregressiveTemplate is null
                ? this
                : throw new ArgumentException(
                    $"The model of {config.Source} ({config.ModelType}) fills masks and cannot continue the text "
                        + $"'{AutoregressiveTemplate}'; "
                        + $"set {nameof(Template)} instead."
                );
        }

        if (Head == HeadKind.LabelWords && (AutoregressiveTemplate is null || Words is null))
        {
            throw new ArgumentException(
                $"The model of {config.Source} ({config.ModelType}) fills no masks: to score label words set "
                    + $"{nameof(AutoregressiveTemplate)}, "
                    + $"and {nameof(Words)} to its options."
            );
        }

        return AutoregressiveTemplate is null ? this with { AutoregressiveTemplate = HasTextPair ? PlainPair : PlainText } : this;
    }

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

    /// <summary>The answers of the labels as token ids; null for free text.</summary>
    private int[][]? Answers(TextToTextEncoder encoder)
    {
        if (Labels.Count == 0)
        {
            return null;
        }

        IReadOnlyList<string> answers = Words ?? Labels;
        if (answers.Count != Labels.Count)
        {
            throw new ArgumentException($"There are {Labels.Count} labels and {answers.Count} answers; every label needs one.");
        }

        int[][] targets = [.. answers.Select(encoder.EncodeAnswer)];
        for (int label = 0; label < targets.Length; label++)
        {
            int same = Array.FindIndex(targets, other => other.AsSpan().SequenceEqual(targets[label]));
            if (same < label)
            {
                throw new ArgumentException(
                    $"The answers '{answers[same]}' and '{answers[label]}' of the labels '{Labels[same]}' and '{Labels[label]}' are "
                        + "the same "
                        + "tokens, so they cannot tell the labels apart; give one of them another answer."
                );
            }
        }

        return targets;
    }
}
