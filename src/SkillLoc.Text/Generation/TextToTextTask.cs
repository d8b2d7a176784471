using System.Text.Json.Serialization;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tokenization;

namespace SkillLoc.Models.Generation;

/// <summary>
/// A text-to-text task for an encoder-decoder model (T5; methods, C.1). The encoder's input is <see cref="InputOf"/>; the target is
/// <c>&lt;extra_id_0&gt;</c>, <see cref="AnswerOf"/> and <c>&lt;/s&gt;</c>.
/// </summary>
/// <param name="Name">The task's name, which precedes each text; the last component of its folder's path.</param>
/// <param name="Metric">The metric of its answers.</param>
public sealed record TextToTextTask(string Name, TextMetric Metric) : TaskDefinition(Name)
{
    /// <summary>The default of <see cref="MaxInputLength"/>.</summary>
    public const int DefaultMaxInputLength = 512;

    /// <summary>The default of <see cref="MaxOutputLength"/>.</summary>
    public const int DefaultMaxOutputLength = 64;

    /// <summary>The text that <see cref="HasLeadingStart"/> prepends.</summary>
    public const string LeadingStart = "<s> ";

    /// <summary>The task's name, which precedes each text.</summary>
    /// <exception cref="ArgumentException">It is empty or blank.</exception>
    public override string Name
    {
        get;
        init => field = CheckedName(value);
    } = CheckedName(Name);

    /// <summary>Maximum length of an input in tokens, <c>&lt;/s&gt;</c> included; longer inputs are truncated. 512 by default.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is below 1.</exception>
    public int MaxInputLength
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, 1, nameof(MaxInputLength));
            field = value;
        }
    } = DefaultMaxInputLength;

    /// <summary>Maximum length of a target in tokens, <c>&lt;extra_id_0&gt;</c> and <c>&lt;/s&gt;</c> included, and of generated text. 64
    /// by default.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is below 1.</exception>
    public int MaxOutputLength
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, 1, nameof(MaxOutputLength));
            field = value;
        }
    } = DefaultMaxOutputLength;

    /// <summary>For a classification the answer to each label; null takes the labels themselves.</summary>
    [JsonIgnore]
    public IReadOnlyDictionary<string, string>? Answers { get; init; }

    /// <summary>Whether to convert inputs, including the task's name, and targets to lower case; false by default. Metrics use the original
    /// answers.</summary>
    public bool Lowercase { get; init; }

    /// <summary>
    /// Whether to prepend <see cref="LeadingStart"/> to inputs and targets (<c>append_another_bos</c> in the paper's code); false by
    /// default. T5 has no such token, so it is ordinary text.
    /// </summary>
    public bool HasLeadingStart { get; init; }

    /// <summary>Returns the encoder's input for a text: a space, the task's name in square brackets, a space and the text.</summary>
    /// <param name="text">The row's text.</param>
    /// <returns>For example <c> [glue-mnli] premise: ...</c>, in lower case and with <see cref="LeadingStart"/> if the task says
    /// so.</returns>
    public string InputOf(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        string input = $" [{Name}] {text}";
        return (HasLeadingStart ? LeadingStart : "") + (Lowercase ? input.ToLowerInvariant() : input);
    }

    /// <summary>Returns the answer as it follows <c>&lt;extra_id_0&gt;</c> in the target.</summary>
    /// <param name="answer">The row's answer.</param>
    /// <returns>The answer, in lower case if the task says so.</returns>
    public string AnswerOf(string answer)
    {
        ArgumentNullException.ThrowIfNull(answer);
        return Lowercase ? answer.ToLowerInvariant() : answer;
    }

    private static string CheckedName(string name) =>
        string.IsNullOrWhiteSpace(name)
            ? throw new ArgumentException("A task needs a name, which the model reads before each text.", nameof(name))
            : name;
}

/// <summary>The tasks of Ye et al. (2021), CrossFit, and of Qin et al. (2022), Exploring mode connectivity, with their metrics (appendix
/// H).</summary>
public static class TextToTextTasks
{
    private const int MostSimilar = 5;

    private static readonly TextToTextTask[] Tasks =
    [
        .. Of(
            TextMetric.Accuracy,
            """
            ai2_arc aqua_rat art blimp-anaphor_gender_agreement blimp-anaphor_number_agreement blimp-determiner_noun_agreement_with_adj_irregular_1
            blimp-ellipsis_n_bar_1 blimp-ellipsis_n_bar_2 blimp-existential_there_quantifiers_1 blimp-irregular_past_participle_adjectives
            blimp-sentential_negation_npi_licensor_present blimp-sentential_negation_npi_scope blimp-wh_questions_object_gap boolq commonsense_qa
            cosmos_qa crows_pairs definite_pronoun_resolution dream glue-mnli glue-mnli_anli_allforget10000 glue-mnli_anli_allforget15000
            glue-mnli_anli_allforget5000 glue-mnli_anli_easy10000 glue-mnli_anli_easy5000 glue-mnli_anli_easy5000_new glue-mnli_anli_forgeteasy10000
            glue-mnli_anli_forgeteasy5000 glue-mnli_anli_forgethard10000 glue-mnli_anli_forgethard5000 glue-mnli_anli_hard10000
            glue-mnli_anli_hard5000 glue-mnli_anli_hard5000_new glue-mnli_anli_mix10000 glue-mnli_anli_mix15000 glue-mnli_anli_mix5000
            glue-mnli_anli_mix5000_new glue-mrpc glue-qnli glue-qqp glue-rte glue-sst2 glue-wnli google_wellformed_query hellaswag kilt_fever math_qa
            mc_taco medical_questions_pairs openbookqa piqa qasc quail quarel quartz-no_knowledge quartz-with_knowledge race-high race-middle sciq
            social_i_qa superglue-cb superglue-copa superglue-rte superglue-wic superglue-wsc swag wino_grande wiqa
            """
        ),
        .. Of(
            TextMetric.ClassificationF1,
            """
            ade_corpus_v2-classification ag_news amazon_polarity anli circa climate_fever codah dbpedia_14 discovery emo emotion
            ethos-directed_vs_generalized ethos-disability ethos-gender ethos-national_origin ethos-race ethos-religion ethos-sexual_orientation
            financial_phrasebank hate_speech18 hate_speech_offensive hatexplain health_fact imdb liar onestop_english paws poem_sentiment
            rotten_tomatoes scicite scitail sick sms_spam tab_fact tab_fact_new trec trec-finegrained tweet_eval-emoji tweet_eval-emotion
            tweet_eval-hate tweet_eval-irony tweet_eval-offensive tweet_eval-sentiment tweet_eval-stance_abortion tweet_eval-stance_atheism
            tweet_eval-stance_climate tweet_eval-stance_feminist tweet_eval-stance_hillary wiki_auto wiki_qa yahoo_answers_topics yelp_polarity
            """
        ),
        .. Of(
            TextMetric.ExactMatch,
            """
            acronym_identification ade_corpus_v2-dosage ade_corpus_v2-effect aslg_pc12 break-QDMR break-QDMR-high-level crawl_domain freebase_qa
            jeopardy kilt_ay2 kilt_hotpotqa kilt_nq kilt_trex kilt_zsre lama-conceptnet lama-google_re lama-squad lama-trex limit numer_sense proto_qa
            qa_srl search_qa spider squad-no_context superglue-multirc web_questions wikisql
            """
        ),
        .. Of(
            TextMetric.QuestionAnsweringF1,
            """
            adversarialqa biomrc duorc hotpot_qa quoref ropes squad-with_context superglue-record tweet_qa
            """
        ),
        .. Of(
            TextMetric.RougeL,
            """
            aeslc common_gen cos_e e2e_nlg_cleaned eli5-askh eli5-asks eli5-eli5 empathetic_dialogues gigaword kilt_wow multi_news reddit_tifu-title
            reddit_tifu-tldr samsum wiki_bio wiki_split xsum
            """
        ),
        .. Of(
            TextMetric.PearsonCorrelation,
            """
            app_reviews mocha yelp_review_full
            """
        ),
        .. Of(
            TextMetric.MatthewsCorrelation,
            """
            glue-cola
            """
        ),
    ];

    private static readonly Dictionary<string, TextToTextTask> ByName = Tasks.ToDictionary(task => task.Name, StringComparer.Ordinal);

    /// <summary>All tasks, grouped by metric.</summary>
    public static IReadOnlyList<TextToTextTask> All { get; } = Array.AsReadOnly(Tasks);

    /// <summary>Finds a task.</summary>
    /// <param name="name">The task's name, such as <c>glue-mnli</c>; case matters, since it is part of the input.</param>
    /// <returns>The task, with the default lengths.</returns>
    /// <exception cref="ArgumentException">No task has this name; the message names similar ones and says how to create one.</exception>
    public static TextToTextTask Find(string name)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        if (ByName.TryGetValue(name, out TextToTextTask? task))
        {
            return task;
        }

        string[] similar = [.. Similar(name).Take(MostSimilar)];
        throw new ArgumentException(
            $"There is no task '{name}'{(similar.Length > 0 ? $"; similar are {string.Join(", ", similar)}" : "")}. "
                + $"For a task of your own make a new {nameof(TextToTextTask)}(name, metric).",
            nameof(name)
        );
    }

    /// <summary>The names that share the longest substring with a name, at least half of it, ignoring case; the closest in length
    /// first.</summary>
    private static IEnumerable<string> Similar(string name) =>
        from task in Tasks
        let shared = LongestCommonRun(name, task.Name)
        where 2 * shared >= name.Length
        orderby shared descending, Math.Abs(task.Name.Length - name.Length)
        select task.Name;

    private static int LongestCommonRun(string first, string second)
    {
        int longest = 0;
        for (int start = 0; start < first.Length; start++)
        {
            while (
                start + longest < first.Length && second.Contains(first.Substring(start, longest + 1), StringComparison.OrdinalIgnoreCase)
            )
            {
                longest++;
            }
        }

        return longest;
    }

    private static IEnumerable<TextToTextTask> Of(TextMetric metric, string names) =>
        names.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries).Select(name => new TextToTextTask(name, metric));
}

/// <summary>
/// Encodes rows and answers for a text-to-text model (T5; methods, C.1): the input is the task's name and the text, the target
/// <c>&lt;extra_id_0&gt;</c> and the answer, both with the end token. Special tokens spelled in a row or an answer stay text.
/// </summary>
internal sealed class TextToTextEncoder : ITextEncoder
{
    /// <summary>The first token of targets, after which T5 was trained to write what a text lacks.</summary>
    public const string Sentinel = "<extra_id_0>";

    private readonly TextToTextTask _task;
    private readonly CheckpointTokenizer _tokenizer;
    private readonly int _sentinel;
    private readonly int[] _start;

    /// <summary>Creates an encoder.</summary>
    /// <param name="task">The task, whose name precedes each row.</param>
    /// <param name="tokenizer">The checkpoint's tokenizer.</param>
    /// <param name="maxLength">The maximum length of a row in tokens, end token included.</param>
    /// <exception cref="ArgumentException">The vocabulary has no <see cref="Sentinel"/>, or a limit is too small.</exception>
    public TextToTextEncoder(TextToTextTask task, CheckpointTokenizer tokenizer, int maxLength)
    {
        ArgumentNullException.ThrowIfNull(task);
        ArgumentNullException.ThrowIfNull(tokenizer);
        ArgumentOutOfRangeException.ThrowIfLessThan(maxLength, 2);
        _task = task;
        _tokenizer = tokenizer;
        _sentinel =
            tokenizer.TokenId(Sentinel)
            ?? throw new ArgumentException(
                $"The vocabulary has no '{Sentinel}', which answers begin with; T5's has, so tokenizer and model may not belong together.",
                nameof(tokenizer)
            );
        _start = [.. task.HasLeadingStart ? tokenizer.Encode(TextToTextTask.LeadingStart) : [], _sentinel];
        MaxLength = maxLength;
        if (task.MaxOutputLength <= _start.Length + 1)
        {
            throw new ArgumentException(
                $"MaxOutputLength is {task.MaxOutputLength}, which leaves no room for an answer between '{Sentinel}' and the end token.",
                nameof(task)
            );
        }
    }

    /// <inheritdoc/>
    public int MaxLength { get; }

    /// <summary>How rows that exceed the limit are truncated: at their end, or with <see cref="Truncation.Head"/> at their start, task name
    /// included. The end token is always kept.</summary>
    public Truncation Truncation { get; init; }

    /// <summary>What stands between the texts of a pair, which are joined.</summary>
    public const string Between = " ";

    /// <summary>The parts of a row, in order, for who builds rows elsewhere: the joined text behind <see cref="Before"/>, and the end
    /// token.</summary>
    public IEnumerable<RowPart> Parts() =>
        [new(null, new TemplatePiece.Sentence(0, false, FirstLetter.AsIs, false), 0), new([_tokenizer.SepId], null, 0)];

    /// <summary>The text before each row's; null where a row's text is changed, too.</summary>
    public string? Before => _task.Lowercase ? null : _task.InputOf("");

    /// <inheritdoc/>
    /// <remarks>The texts of a pair are joined with a space.</remarks>
    public EncodedText Encode(string text, string? textPair)
    {
        ArgumentNullException.ThrowIfNull(text);
        return Row(EncodeInput(Joined(text, textPair)));
    }

    /// <inheritdoc/>
    public EncodedText Trace(string text, string? textPair)
    {
        ArgumentNullException.ThrowIfNull(text);
        string joined = Joined(text, textPair),
            input = _task.InputOf(joined);
        int[] ids = EncodeInput(joined);
        int before = input.Length - joined.Length;
        TokenSpan?[] spans =
        [
            .. _tokenizer
                .Locate(input, ids)
                .Select(span =>
                {
                    int start = span.Start.Value - before,
                        end = span.End.Value - before;
                    return start < 0 ? (TokenSpan?)null
                        : start <= text.Length ? new TokenSpan(0, start, Math.Min(end, text.Length) - start)
                        : new TokenSpan(1, start - text.Length - 1, end - start);
                }),
            null,
        ];
        EncodedText row = Row(ids);
        return row with { Spans = spans[^row.Ids.Length..] };
    }

    private static string Joined(string text, string? textPair) => textPair is null ? text : text + Between + textPair;

    private int[] EncodeInput(string joined) =>
        _tokenizer.EncodeFirst(_task.InputOf(joined), Truncation == Truncation.Head ? int.MaxValue : MaxLength - 1);

    private EncodedText Row(int[] ids) =>
        new([.. ids[Math.Max(0, ids.Length - (MaxLength - 1))..], _tokenizer.SepId], TokenTypes: null, Position: 0);

    /// <summary>Encodes an answer as a target.</summary>
    /// <param name="answer">The answer.</param>
    /// <returns>At most <see cref="TextToTextTask.MaxOutputLength"/> token ids, sentinel and end token included; longer answers are cut at
    /// the end.</returns>
    public int[] EncodeAnswer(string answer)
    {
        return [.. _start, .. _tokenizer.EncodeFirst(_task.AnswerOf(answer), _task.MaxOutputLength - _start.Length - 1), _tokenizer.SepId];
    }

    /// <summary>Decodes a generated answer.</summary>
    /// <param name="ids">Token ids, from <c>T5ForConditionalGeneration.Generate</c>.</param>
    /// <returns>The trimmed text without special tokens; if targets have a leading start, the part after the sentinel.</returns>
    public string DecodeAnswer(int[] ids)
    {
        ArgumentNullException.ThrowIfNull(ids);
        return _tokenizer.Decode(_start.Length == 1 ? ids : ids[(Array.IndexOf(ids, _sentinel) + 1)..]);
    }
}
