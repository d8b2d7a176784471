using System.Text.Json;
using System.Text.Json.Serialization;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Generation;
using SkillLoc.Models.Hub;
using SkillLoc.Models.Json;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tokenization;
using SkillLoc.Models.Tuning;

namespace SkillLoc.Models.Classification;

/// <summary>The settings that, with the weights, define a classifier; saved beside them as <c>skillloc.json</c>.</summary>
public sealed record ClassifierSettings : ScoringSettings
{
    /// <summary>The file's name in a checkpoint folder.</summary>
    public const string FileName = "skillloc.json";

    /// <summary>The parameter-efficient tuning method; null if the model's own weights are trained. A soft prompt excludes a
    /// <see cref="ScoringSettings.Template"/>.</summary>
    [JsonPropertyOrder(1)]
    public TuningOptions? Tuning { get; init; }

    /// <summary>The parameters that fine-tuning trained, which are those that a graft considers; null if unknown.</summary>
    [JsonPropertyOrder(1)]
    public ParameterSelection? Trained { get; init; }

    /// <summary>Reads settings.</summary>
    /// <param name="json">The output of <see cref="ToJson"/>.</param>
    /// <param name="source">Its name in error messages.</param>
    /// <returns>The settings.</returns>
    /// <exception cref="InvalidDataException">The text is not valid settings JSON.</exception>
    public static ClassifierSettings FromJson(string json, string source)
    {
        ArgumentNullException.ThrowIfNull(json);
        return FromJson(JsonText.Bytes(json, source), source);
    }

    private static ClassifierSettings FromJson(ReadOnlySpan<byte> json, string source) =>
        Valid(JsonText.Read<ClassifierSettings>(json, source, JsonText.OwnFiles), source);

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
        folder = CheckpointHub.Resolve(folder);
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

        ClassifierSettings settings = FromJson(JsonText.ReadFile(path).Span, path);
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
                $"The template '{Template}' cannot be combined with a soft prompt, which has its own mask; set {nameof(Template)} to null."
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
