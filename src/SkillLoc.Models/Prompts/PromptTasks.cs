namespace SkillLoc.Models.Prompts;

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
    private static readonly AutoregressivePrompt TrueFalseNeither =
        new(" {0}\n question: {1} true, false, or neither?\n answer:", " false", " true", " neither");
    private static readonly AutoregressivePrompt Question = new(
        " {0} The answer to this question will be",
        " a description.", " an entity.", " an abbreviation.", " a person.", " a location.", " a number.");
    private static readonly AutoregressivePrompt Summary = new(" summary: {0}\n topic:", " World", " Sports", " Business", " Science");

    private static readonly PromptTask[] Tasks =
    [
        Task("cola", ThisIs, "{'0':'incorrect','1':'correct'}") with { Metric = PromptMetric.MatthewsCorrelation },
        Task("sst-2", ItWas, Sentiment) with { Autoregressive = Tone },
        Task("imdb", ItWas, Sentiment) with { Autoregressive = Tone, FirstSentenceLimit = 110 },
        Task("mrpc", SameMeaning, NoYes) with { Autoregressive = FalseTrue, Metric = PromptMetric.AccuracyAndF1 },
        Task("qqp", SameMeaning, NoYes) with { Autoregressive = FalseTrue, Metric = PromptMetric.AccuracyAndF1 },
        Task("sts-b", SameMeaning, NoYes) with { Metric = PromptMetric.Correlation, ScoreRange = new(0, 5) },
        Task("mnli", Entails, Inference) with { Autoregressive = TrueFalseNeither, FirstSentenceLimit = 110, MaxLength = 256 },
        Task("anli", Entails, Inference) with { MaxLength = 256 },
        Task("snli", Entails, Inference) with { Autoregressive = TrueFalseNeither, MaxLength = 256 },
        Task("qnli", Entails, Entailment) with { Autoregressive = TrueFalse },
        Task("rte", Entails, Entailment) with { Autoregressive = TrueFalse, FirstSentenceLimit = 240, MaxLength = 256 },
        Task("mr", ItWas, Sentiment) with { Autoregressive = Tone, FirstSentenceLimit = 110, OtherSentenceLimit = 50 },
        Task("sst-5", ItWas, "{'0':'terrible','1':'bad','2':'okay','3':'good','4':'great'}") with { FirstSentenceLimit = 110, OtherSentenceLimit = 20 },
        Task("subj", ThisIs, "{'0':'subjective','1':'objective'}") with { Autoregressive = Subjectivity, FirstSentenceLimit = 110, OtherSentenceLimit = 50 },
        Task("trec", Topic, "{'0':'Description','1':'Entity','2':'Expression','3':'Human','4':'Location','5':'Number'}") with { Autoregressive = Question, FirstSentenceLimit = 110 },
        Task("ag_news", Topic, "{'0':'World','1':'Sports','2':'Business','3':'Tech'}") with { Autoregressive = Summary, FirstSentenceLimit = 110 },
        Task("cr", ItWas, Sentiment) with { Autoregressive = Tone, FirstSentenceLimit = 110, OtherSentenceLimit = 50 },
        Task("mpqa", ItWas, Sentiment) with { Autoregressive = Tone, FirstSentenceLimit = 110 },
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
            ?? throw new ArgumentException($"There is no task '{name}'. Known are {string.Join(", ", Tasks.Select(task => task.Name))}; another task needs a template and a verbalizer of its own.", nameof(name));
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
        return PromptTaskFile.Read(File.ReadAllText(path), path);
    }

    private static PromptTask Task(string name, string template, string mapping) =>
        new(name, PromptTemplate.Parse(template), Verbalizer.ParseMapping(mapping));
}
