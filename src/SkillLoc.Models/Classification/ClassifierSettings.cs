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

/// <summary>Everything beside weights that a classifier needs to score text; saved with it as <c>skillloc.json</c>.</summary>
public sealed record ClassifierSettings
{
    /// <summary>The file's name in a checkpoint folder.</summary>
    public const string FileName = "skillloc.json";

    // What a causal model reads where it is given no prompt.
    private const string PlainText = "{0}", PlainPair = "{0}\n{1}";

    private readonly int? _maxLength;

    /// <summary>The task's name, for people; may be empty.</summary>
    public string Task { get; init; } = "";

    /// <summary>What makes logits of hidden states.</summary>
    public HeadKind Head { get; init; }

    /// <summary>The prompt template; null for heads on the first token, for a soft prompt, and where label words are read at the first
    /// token (methods, B.4).</summary>
    public string? Template { get; init; }

    /// <summary>
    /// The text that a causal model continues, with <c>{0}</c> and <c>{1}</c> for the sentences (see <see cref="Prompts.AutoregressiveTemplate"/>);
    /// null for masked language models. Where it is null, a causal model's <see cref="HeadKind.SequenceClassification"/> reads plain text,
    /// the texts of a pair on two lines.
    /// </summary>
    public string? AutoregressiveTemplate { get; init; }

    /// <summary>How a causal model scores its options.</summary>
    public OptionScoring OptionScoring { get; init; }

    /// <summary>
    /// The task of a model that writes its answers, for <see cref="HeadKind.Generation"/>: the name that rows begin with, the longest
    /// answer, and the metric of what was written. The longest row is <see cref="MaxLength"/>, by default the task's.
    /// </summary>
    public TextToTextTask? TextToText { get; init; }

    /// <summary>The labels in the order of the probabilities; for a regression the two ends of its range; none where a model writes
    /// free text.</summary>
    public required IReadOnlyList<string> Labels { get; init; }

    /// <summary>
    /// For each label its word, for <see cref="HeadKind.LabelWords"/> and for <c>*label_i*</c> in templates; beside an
    /// <see cref="AutoregressiveTemplate"/> its option, with the space that it starts with; with <see cref="HeadKind.Generation"/> its
    /// answer, which is the label itself where this is null.
    /// </summary>
    public IReadOnlyList<string>? Words { get; init; }

    /// <summary>
    /// The range of the scores that a regression predicts, with <see cref="HeadKind.LabelWords"/> and two labels; null for classes.
    /// </summary>
    public ScoreRange? ScoreRange { get; init; }

    /// <summary>
    /// Of a multi-label task, where a row may have any number of the labels, the probability from which each is predicted; null where
    /// exactly one is right.
    /// </summary>
    public IReadOnlyList<float>? Thresholds { get; init; }

    /// <summary>Whether a row may have any number of the labels.</summary>
    [JsonIgnore]
    public bool IsMultiLabel => Thresholds is not null;

    /// <summary>True when rows have two texts.</summary>
    public bool HasTextPair { get; init; }

    /// <summary>The longest row in tokens; by default 128, or of a <see cref="TextToText"/> task its
    /// <see cref="TextToTextTask.MaxInputLength"/>.</summary>
    public int MaxLength
    {
        get => _maxLength ?? TextToText?.MaxInputLength ?? PromptTask.UsualMaxLength;
        init => _maxLength = value;
    }

    /// <summary>The first text is cut to this many tokens; null does not cut.</summary>
    public int? FirstSentenceLimit { get; init; }

    /// <summary>Other texts are cut to this many tokens; null does not cut.</summary>
    public int? OtherSentenceLimit { get; init; }

    /// <summary>What gives way when a row is too long.</summary>
    public Truncation Truncation { get; init; }

    /// <summary>Which special tokens stand around texts where there is no template; a Hugging Face classifier has its own.</summary>
    public SpecialTokenLayout SpecialTokens { get; init; }

    /// <summary>How predictions are judged when a best epoch is chosen.</summary>
    public PromptMetric Metric { get; init; }

    /// <summary>The parameter-efficient method that tunes the model; null where its own weights train. With a soft prompt rows are plain
    /// text, so that there is no <see cref="Template"/>.</summary>
    public TuningOptions? Tuning { get; init; }

    /// <summary>Which parameters fine-tuning could change; a graft considers the same. Null when that is not known.</summary>
    public ParameterSelection? Trained { get; init; }

    /// <summary>Reads settings.</summary>
    /// <param name="json">What <see cref="ToJson"/> gave.</param>
    /// <param name="source">Where it came from, for error messages.</param>
    /// <returns>The settings.</returns>
    /// <exception cref="InvalidDataException">It is not the JSON of settings.</exception>
    public static ClassifierSettings FromJson(string json, string source)
    {
        ArgumentNullException.ThrowIfNull(json);
        ClassifierSettings settings = JsonText.Read<ClassifierSettings>(json, source, JsonText.OwnFiles);
        return settings.Problem() is { } problem ? throw new InvalidDataException($"{source}: {problem}.") : settings;
    }

    /// <summary>Reads the settings of a classifier's checkpoint folder: those that SkillLoc saved with it, or else those of a Hugging Face
    /// classifier, which has the standard head and the labels of its <c>config.json</c>.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="hasTextPair">Whether rows have two texts, which a Hugging Face folder does not say.</param>
    /// <returns>The settings.</returns>
    /// <exception cref="FileNotFoundException">The folder holds no classifier.</exception>
    /// <exception cref="InvalidDataException">A file is not valid.</exception>
    /// <exception cref="NotSupportedException">It is a Hugging Face regression.</exception>
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

        return Find(folder, config, hasTextPair) ?? throw new FileNotFoundException(
            $"{path} is missing, and {folder} is no Hugging Face classifier with labels either: restore it, fine-tune again, or say by "
            + "settings what the model shall do.",
            path);
    }

    /// <summary>The same as <see cref="Load"/>, or null where the folder does not say that it is a classifier.</summary>
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
                + $"{config.Source} is right, remove {FileName}; else restore what {config.Source} was.");
    }

    /// <summary>Writes the settings as JSON.</summary>
    /// <returns>The text.</returns>
    public string ToJson() => JsonSerializer.Serialize(this, JsonText.OwnFiles);

    /// <summary>The encoder that these settings describe.</summary>
    /// <param name="tokenizer">The checkpoint's tokenizer.</param>
    /// <returns>An encoder of the text-to-text task, the template or the autoregressive template, or a plain one where there is none.</returns>
    /// <exception cref="ArgumentException">The longest option leaves no room for text, or the settings do not fit the tokenizer.</exception>
    internal ITextEncoder CreateEncoder(CheckpointTokenizer tokenizer)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        if (TextToText is not null)
        {
            return new TextToTextEncoder(TextToText, tokenizer, MaxLength) { Truncation = Truncation };
        }

        if (SpecialTokens == SpecialTokenLayout.Checkpoint && Template is null && (AutoregressiveTemplate is null or PlainText or PlainPair))
        {
            return new SequenceEncoder(tokenizer, MaxLength, SpecialTokens) { Truncation = Truncation, ScoresLast = AutoregressiveTemplate is not null };
        }

        if (AutoregressiveTemplate is not null)
        {
            int room = MaxLength - (Words is null ? 0 : Words.Max(option => tokenizer.Encode(option).Length));
            return room > 0
                ? new AutoregressiveEncoder(Prompts.AutoregressiveTemplate.Parse(AutoregressiveTemplate), tokenizer, room) { Truncation = Truncation }
                : throw new ArgumentException($"A limit of {MaxLength} tokens leaves no room for text before the longest option; raise MaxLength.");
        }

        return Template is null
            ? new SequenceEncoder(tokenizer, MaxLength) { Truncation = Truncation }
            : new TemplateEncoder(PromptTemplate.Parse(Template), tokenizer, Words is null ? [] : LabelWords().Resolve(tokenizer), MaxLength)
            {
                FirstSentenceLimit = FirstSentenceLimit,
                OtherSentenceLimit = OtherSentenceLimit,
                Truncation = Truncation,
            };
    }

    /// <summary>The verbalizer, in the order of the labels.</summary>
    /// <returns>Label to word.</returns>
    /// <exception cref="InvalidOperationException">There are no label words.</exception>
    public Verbalizer LabelWords() => Words is null
        ? throw new InvalidOperationException("These settings have no label words.")
        : new Verbalizer(Labels.Zip(Words, KeyValuePair.Create));

    /// <summary>Whether the language-model head is read.</summary>
    internal bool NeedsWords => Head is HeadKind.LabelWords or HeadKind.Generation;

    /// <summary>What <see cref="HeadKind.LabelWords"/> scores: one token for each label, or whole options; and the answers of
    /// <see cref="HeadKind.Generation"/>. Nothing for other heads, and for free text.</summary>
    /// <exception cref="ArgumentException">A word is not one token, or the options cannot be told apart as asked.</exception>
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
        IGrouping<int, int>? collision = Enumerable.Range(0, first.Length).GroupBy(label => first[label]).FirstOrDefault(group => group.Count() > 1);
        if (OptionScoring == OptionScoring.FirstToken && collision is not null)
        {
            throw new ArgumentException(
                $"The options {string.Join(", ", collision.Select(label => $"'{words.Words[label]}'"))} start with the same token "
                + $"'{tokenizer.TokenOf(collision.Key)}', so their first tokens cannot tell them apart; choose other options, or score them by "
                + $"{nameof(OptionScoring)}.{nameof(OptionScoring.WholeOption)}.");
        }

        bool whole = OptionScoring == OptionScoring.WholeOption || collision is not null;
        if (whole && Tuning is SoftPromptOptions)
        {
            throw new ArgumentException(
                $"A soft prompt is read at one place, where whole options cannot be scored: use {nameof(OptionScoring)}.{OptionScoring.FirstToken} "
                + "and options that start with different tokens.");
        }

        return whole ? (null, options) : (first, null);
    }

    /// <summary>These settings as a model can take them: plain text for a causal model's head, no row longer than the model's positions.</summary>
    /// <exception cref="ArgumentException">It cannot: a causal model needs an autoregressive prompt, and others cannot take one; a model
    /// that writes needs a text-to-text task and an answer for each label.</exception>
    internal ClassifierSettings For(ModelConfig config)
    {
        ClassificationHead.Check(Head, config);
        if ((Head == HeadKind.Generation) != (TextToText is not null))
        {
            throw new ArgumentException(
                $"{nameof(TextToText)} and {nameof(HeadKind)}.{HeadKind.Generation} go together: the head is {Head}, and there is "
                + $"{TextToText?.ToString() ?? "no text-to-text task"}.");
        }

        if (Tuning is SoftPromptOptions && Template is not null)
        {
            throw new ArgumentException(
                $"A soft prompt brings its own mask, so the template '{Template}' has no place beside it; leave {nameof(Template)} out.");
        }

        if (!config.IsCausal)
        {
            return AutoregressiveTemplate is null ? this : throw new ArgumentException(
                $"The model of {config.Source} ({config.ModelType}) fills masks and cannot continue the text '{AutoregressiveTemplate}'; "
                + $"set {nameof(Template)} instead.");
        }

        if (Head == HeadKind.LabelWords && (AutoregressiveTemplate is null || Words is null))
        {
            throw new ArgumentException(
                $"The model of {config.Source} ({config.ModelType}) fills no masks: to score label words set {nameof(AutoregressiveTemplate)}, "
                + $"and {nameof(Words)} to its options.");
        }

        return AutoregressiveTemplate is null ? this with { AutoregressiveTemplate = HasTextPair ? PlainPair : PlainText } : this;
    }

    /// <summary>What is wrong with these settings whatever the model, by the name that the file has for it; null where nothing is.</summary>
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
                return $"'thresholds' are of a multi-label task, which the head '{JsonNamingPolicy.SnakeCaseLower.ConvertName(Head.ToString())}' does not do";
            }

            if (Thresholds.Count != Labels.Count || Thresholds.Any(threshold => !(threshold >= 0 && threshold <= 1)))
            {
                return $"'thresholds' must be one number in [0, 1] for each of the {Labels.Count} labels";
            }
        }

        foreach ((string name, int? value) in new[] { ("max_length", MaxLength), ("first_sentence_limit", FirstSentenceLimit), ("other_sentence_limit", OtherSentenceLimit) })
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

    /// <summary>The labels' answers as targets; null for free text.</summary>
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
                    $"The answers '{answers[same]}' and '{answers[label]}' of the labels '{Labels[same]}' and '{Labels[label]}' are the same "
                    + "tokens, so they cannot tell the labels apart; give one of them another answer.");
            }
        }

        return targets;
    }
}
