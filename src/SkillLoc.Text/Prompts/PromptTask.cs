using System.Text.Json.Serialization;
using SkillLoc.Models.Json;

namespace SkillLoc.Models.Prompts;

/// <summary>A text classification task: template, label words and metric.</summary>
/// <param name="Name">The task's name, in lower case.</param>
/// <param name="Template">The template of its rows.</param>
/// <param name="Verbalizer">Its labels, in order, and their words.</param>
public sealed record PromptTask(string Name, PromptTemplate Template, Verbalizer Verbalizer) : TaskDefinition(Name)
{
    /// <summary>The default maximum length of a row in tokens, for BERT and RoBERTa; for GPT-2 see
    /// <see cref="AutoregressivePrompt.MaxLength"/>.</summary>
    public const int DefaultMaxLength = 128;

    private readonly AutoregressivePrompt? _autoregressive;

    /// <summary>The metric of the task; accuracy by default.</summary>
    public PromptMetric Metric { get; init; }

    /// <summary>The score range of a regression task, whose two label words stand for its ends; null (default) for
    /// classification.</summary>
    public ScoreRange? ScoreRange { get; init; }

    /// <summary>Whether labels are scores rather than classes (STS-B).</summary>
    public bool IsRegression => ScoreRange is not null;

    /// <summary>Whether rows have two sentences.</summary>
    public bool IsPair => Template.IsPair;

    /// <summary>Its labels, in order, and their words. A task that takes other labels drops its <see cref="Autoregressive"/>
    /// prompt.</summary>
    public Verbalizer Verbalizer
    {
        get;
        init
        {
            // The options stand in the order of the labels before.
            if (!value.Labels.SequenceEqual(field.Labels, StringComparer.Ordinal))
            {
                _autoregressive = null;
            }

            field = value;
        }
    } = Verbalizer;

    /// <summary>The prompt for causal models (GPT-2), with options in the order of the verbalizer's labels; null if there is
    /// none.</summary>
    /// <exception cref="ArgumentException">The number of options or sentences differs from the number of labels or sentences of the
    /// task.</exception>
    public AutoregressivePrompt? Autoregressive
    {
        get => _autoregressive;
        init
        {
            if (value is not null && value.Options.Count != Verbalizer.Count)
            {
                throw new ArgumentException(
                    $"The task '{Name}' has {Verbalizer.Count} labels, and its autoregressive prompt {value.Options.Count} options.",
                    nameof(value)
                );
            }

            if (value is not null && value.Template.IsPair != IsPair)
            {
                throw new ArgumentException(
                    $"The task '{Name}' has {(IsPair ? "two sentences" : "one sentence")}, and its autoregressive template "
                        + $"'{value.Template}' another number.",
                    nameof(value)
                );
            }

            _autoregressive = value;
        }
    }

    /// <summary>The maximum length of a row in tokens; 128 by default.</summary>
    public int MaxLength { get; init; } = DefaultMaxLength;

    /// <summary>The maximum number of tokens of the first sentence; null (default) for no separate limit.</summary>
    public int? FirstSentenceLimit { get; init; }

    /// <summary>The maximum number of tokens of the second sentence; null (default) for no separate limit.</summary>
    public int? OtherSentenceLimit { get; init; }
}

/// <summary>The metric of a task.</summary>
public enum PromptMetric
{
    /// <summary>The share of rows predicted right.</summary>
    Accuracy,

    /// <summary>Accuracy and F1 of label 1 (MRPC, QQP).</summary>
    AccuracyAndF1,

    /// <summary>Matthews correlation (CoLA).</summary>
    MatthewsCorrelation,

    /// <summary>Pearson and Spearman correlation (STS-B).</summary>
    Correlation,
}

/// <summary>
/// The definition of a task: a <see cref="PromptTask"/> with label words, or a <see cref="Generation.TextToTextTask"/> with generated
/// answers (T5).
/// </summary>
/// <param name="Name">The task's name.</param>
public abstract record TaskDefinition(string Name)
{
    /// <summary>The task's name.</summary>
    public virtual string Name { get; init; } = Name;
}

/// <summary>The tasks of Panigrahi et al. (2023), Task-specific skill localization in fine-tuned language models, with their
/// prompts.</summary>
public static class PromptTasks
{
    private const string ItWas = "*cls**sent_0*_It_was*mask*.*sep+*";
    private const string ThisIs = "*cls**sent_0*_This_is*mask*.*sep+*";
    private const string SameMeaning = "*cls**sent_0**mask*,*+sentl_1**sep+*";
    private const string Entails = "*cls**sent-_0*?*mask*,*+sentl_1**sep+*";
    private const string Topic = "*cls**mask*:*+sent_0**sep+*";
    private const string Sentiment = "{'0':'terrible','1':'great'}";
    private const string NoYes = "{'0':'No','1':'Yes'}";
    private const string Entailment = "{'entailment':'Yes','not_entailment':'No'}";
    private const string Inference = "{'contradiction':'No','entailment':'Yes','neutral':'Maybe'}";

    // Options stand in the order of the labels above, which the paper's code lists otherwise for subj and trec (methods, A.6).
    private static readonly AutoregressivePrompt Tone = new("\"{0}\" has a tone that is", " negative", " positive");
    private static readonly AutoregressivePrompt Subjectivity = new("\"{0}\" has a tone that is", " subject", " object");
    private static readonly AutoregressivePrompt FalseTrue = new(" {0}\n question: {1} true or false?\n answer:", " false", " true");
    private static readonly AutoregressivePrompt TrueFalse = new(" {0}\n question: {1} true or false?\n answer:", " true", " false");
    private static readonly AutoregressivePrompt TrueFalseNeither = new(
        " {0}\n question: {1} true, false, or neither?\n answer:",
        " false",
        " true",
        " neither"
    );
    private static readonly AutoregressivePrompt Question = new(
        " {0} The answer to this question will be",
        " a description.",
        " an entity.",
        " an abbreviation.",
        " a person.",
        " a location.",
        " a number."
    );
    private static readonly AutoregressivePrompt Summary = new(" summary: {0}\n topic:", " World", " Sports", " Business", " Science");

    private static readonly PromptTask[] Tasks =
    [
        Task("cola", ThisIs, "{'0':'incorrect','1':'correct'}") with
        {
            Metric = PromptMetric.MatthewsCorrelation,
        },
        Task("sst-2", ItWas, Sentiment) with
        {
            Autoregressive = Tone,
        },
        Task("imdb", ItWas, Sentiment) with
        {
            Autoregressive = Tone,
            FirstSentenceLimit = 110,
        },
        Task("mrpc", SameMeaning, NoYes) with
        {
            Autoregressive = FalseTrue,
            Metric = PromptMetric.AccuracyAndF1,
        },
        Task("qqp", SameMeaning, NoYes) with
        {
            Autoregressive = FalseTrue,
            Metric = PromptMetric.AccuracyAndF1,
        },
        Task("sts-b", SameMeaning, NoYes) with
        {
            Metric = PromptMetric.Correlation,
            ScoreRange = new(0, 5),
        },
        Task("mnli", Entails, Inference) with
        {
            Autoregressive = TrueFalseNeither,
            FirstSentenceLimit = 110,
            MaxLength = 256,
        },
        Task("anli", Entails, Inference) with
        {
            MaxLength = 256,
        },
        Task("snli", Entails, Inference) with
        {
            Autoregressive = TrueFalseNeither,
            MaxLength = 256,
        },
        Task("qnli", Entails, Entailment) with
        {
            Autoregressive = TrueFalse,
        },
        Task("rte", Entails, Entailment) with
        {
            Autoregressive = TrueFalse,
            FirstSentenceLimit = 240,
            MaxLength = 256,
        },
        Task("mr", ItWas, Sentiment) with
        {
            Autoregressive = Tone,
            FirstSentenceLimit = 110,
            OtherSentenceLimit = 50,
        },
        Task("sst-5", ItWas, "{'0':'terrible','1':'bad','2':'okay','3':'good','4':'great'}") with
        {
            FirstSentenceLimit = 110,
            OtherSentenceLimit = 20,
        },
        Task("subj", ThisIs, "{'0':'subjective','1':'objective'}") with
        {
            Autoregressive = Subjectivity,
            FirstSentenceLimit = 110,
            OtherSentenceLimit = 50,
        },
        Task("trec", Topic, "{'0':'Description','1':'Entity','2':'Expression','3':'Human','4':'Location','5':'Number'}") with
        {
            Autoregressive = Question,
            FirstSentenceLimit = 110,
        },
        Task("ag_news", Topic, "{'0':'World','1':'Sports','2':'Business','3':'Tech'}") with
        {
            Autoregressive = Summary,
            FirstSentenceLimit = 110,
        },
        Task("cr", ItWas, Sentiment) with
        {
            Autoregressive = Tone,
            FirstSentenceLimit = 110,
            OtherSentenceLimit = 50,
        },
        Task("mpqa", ItWas, Sentiment) with
        {
            Autoregressive = Tone,
            FirstSentenceLimit = 110,
        },
    ];

    /// <summary>All tasks, in the order of the paper's scripts.</summary>
    public static IReadOnlyList<PromptTask> All { get; } = Array.AsReadOnly(Tasks);

    /// <summary>Finds a task.</summary>
    /// <param name="name">The task's name; case is ignored.</param>
    /// <returns>The task.</returns>
    /// <exception cref="ArgumentException">No task has this name; the message lists the known ones.</exception>
    public static PromptTask Find(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        return Array.Find(Tasks, task => string.Equals(task.Name, name, StringComparison.OrdinalIgnoreCase))
            ?? throw new ArgumentException(
                $"There is no task '{name}'. Known are {string.Join(", ", Tasks.Select(task => task.Name))}; another task needs a "
                    + "template and a verbalizer of its own.",
                nameof(name)
            );
    }

    /// <summary>Reads custom tasks from a JSON file.</summary>
    /// <param name="path">
    /// An array of objects with <c>name</c>, <c>template</c> and <c>mapping</c> (an object from labels to words, in order) and optionally
    /// <c>metric</c> (<c>accuracy</c>, <c>accuracy_and_f1</c>, <c>matthews_correlation</c>, <c>correlation</c>), <c>score_range</c>
    /// (<c>[0, 5]</c>, for a regression), <c>max_length</c>, <c>first_sentence_limit</c>, <c>other_sentence_limit</c>, and for causal
    /// models <c>autoregressive</c>: an object with <c>template</c>, <c>options</c> (from labels to continuations) and <c>max_length</c>.
    /// </param>
    /// <returns>The tasks, in the file's order.</returns>
    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    /// <exception cref="InvalidDataException">
    /// The file is invalid: a property is missing, unknown or wrong. The message names the file, the task or line, and the property.
    /// </exception>
    public static IReadOnlyList<PromptTask> Load(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        return PromptTaskFile.Read(JsonText.ReadFile(path).Span, path);
    }

    private static PromptTask Task(string name, string template, string mapping) =>
        new(name, PromptTemplate.Parse(template), Verbalizer.ParseMapping(mapping));
}

/// <summary>Reads tasks from JSON; see <see cref="PromptTasks.Load"/>.</summary>
internal static class PromptTaskFile
{
    /// <summary>Reads the tasks.</summary>
    /// <param name="json">An array of tasks, in UTF-8.</param>
    /// <param name="source">Its name in error messages.</param>
    /// <exception cref="InvalidDataException">A task is wrong; the message names it and its property.</exception>
    public static IReadOnlyList<PromptTask> Read(ReadOnlySpan<byte> json, string source)
    {
        PromptTask[] tasks = Array.ConvertAll(JsonText.Read<Entry[]>(json, source), entry => entry.ToTask(source));
        if (tasks.Length == 0)
        {
            throw new InvalidDataException($"{source} has no tasks.");
        }

        if (tasks.GroupBy(task => task.Name, StringComparer.OrdinalIgnoreCase).FirstOrDefault(group => group.Count() > 1) is { } twice)
        {
            throw new InvalidDataException($"{source}: the task '{twice.Key}' is there twice; names must differ in more than case.");
        }

        return Array.AsReadOnly(tasks);
    }

    private sealed record Entry
    {
        public required string Name { get; init; }

        public required string Template { get; init; }

        public required OrderedDictionary<string, string> Mapping { get; init; }

        [JsonConverter(typeof(NameConverter<PromptMetric>))]
        public PromptMetric? Metric { get; init; }

        [JsonConverter(typeof(ScoreRangeConverter))]
        public ScoreRange? ScoreRange { get; init; }

        public Continuation? Autoregressive { get; init; }

        public int MaxLength { get; init; } = PromptTask.DefaultMaxLength;

        public int? FirstSentenceLimit { get; init; }

        public int? OtherSentenceLimit { get; init; }

        public PromptTask ToTask(string source)
        {
            if (string.IsNullOrWhiteSpace(Name))
            {
                throw new InvalidDataException($"{source}: a task's name is empty.");
            }

            if (Mapping.FirstOrDefault(entry => entry.Value is null).Key is { } unspoken)
            {
                throw Wrong("mapping", $"the word of the label '{unspoken}' is null");
            }

            Check(MaxLength, "max_length");
            Check(FirstSentenceLimit, "first_sentence_limit");
            Check(OtherSentenceLimit, "other_sentence_limit");
            if (ScoreRange is not null && Mapping.Count != 2)
            {
                throw Wrong(
                    "mapping",
                    $"a task with a score range has two words, for its lowest and its highest score, not {Mapping.Count}"
                );
            }

            if (Metric is { } metric && metric == PromptMetric.Correlation != ScoreRange is not null)
            {
                throw Wrong(
                    "metric",
                    ScoreRange is null ? "correlation needs a score_range" : "a task with a score range has the metric correlation"
                );
            }

            var task = new PromptTask(
                Name,
                Parse("template", () => PromptTemplate.Parse(Template)),
                Parse("mapping", () => new Verbalizer(Mapping))
            )
            {
                Metric = Metric ?? (ScoreRange is null ? PromptMetric.Accuracy : PromptMetric.Correlation),
                ScoreRange = ScoreRange,
                MaxLength = MaxLength,
                FirstSentenceLimit = FirstSentenceLimit,
                OtherSentenceLimit = OtherSentenceLimit,
            };
            return Autoregressive is null
                ? task
                : Parse("autoregressive", () => task with { Autoregressive = Autoregressive.ToPrompt(task.Verbalizer.Labels) });

            void Check(int? value, string property)
            {
                if (value < 1)
                {
                    throw Wrong(property, $"it is {value} and must be at least 1");
                }
            }

            T Parse<T>(string property, Func<T> parse)
            {
                try
                {
                    return parse();
                }
                catch (Exception e) when (e is ArgumentException or FormatException)
                {
                    throw Wrong(property, e.Message, e);
                }
            }

            InvalidDataException Wrong(string property, string problem, Exception? inner = null) =>
                new($"{source}, task '{Name}', {property}: {problem}", inner);
        }
    }

    /// <summary>The prompt of causal models: the text, and each label's option.</summary>
    private sealed record Continuation
    {
        public required string Template { get; init; }

        public required IReadOnlyDictionary<string, string> Options { get; init; }

        public int MaxLength { get; init; } = AutoregressivePrompt.DefaultMaxLength;

        public AutoregressivePrompt ToPrompt(IReadOnlyList<string> labels)
        {
            if (MaxLength < 1)
            {
                throw new ArgumentException($"its max_length is {MaxLength} and must be at least 1");
            }

            if (Options.FirstOrDefault(entry => entry.Value is null).Key is { } missing)
            {
                throw new ArgumentException($"its option for the label '{missing}' is null");
            }

            return Options.Count == labels.Count && labels.All(Options.ContainsKey)
                ? new(Template, [.. labels.Select(label => Options[label])]) { MaxLength = MaxLength }
                : throw new ArgumentException(
                    $"its options are for {string.Join(", ", Options.Keys)}, and the mapping has {string.Join(", ", labels)}"
                );
        }
    }
}
