namespace SkillLoc.Models.Generation;

/// <summary>The tasks of Ye et al. (2021), CrossFit, and of Qin et al. (2022), Exploring mode connectivity, with their metrics (appendix
/// H).</summary>
public static class TextToTextTasks
{
    private const int MostSimilar = 5;

    private static readonly TextToTextTask[] Tasks =
    [
        .. Of(TextMetric.Accuracy, """
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
            """),
        .. Of(TextMetric.ClassificationF1, """
            ade_corpus_v2-classification ag_news amazon_polarity anli circa climate_fever codah dbpedia_14 discovery emo emotion
            ethos-directed_vs_generalized ethos-disability ethos-gender ethos-national_origin ethos-race ethos-religion ethos-sexual_orientation
            financial_phrasebank hate_speech18 hate_speech_offensive hatexplain health_fact imdb liar onestop_english paws poem_sentiment
            rotten_tomatoes scicite scitail sick sms_spam tab_fact tab_fact_new trec trec-finegrained tweet_eval-emoji tweet_eval-emotion
            tweet_eval-hate tweet_eval-irony tweet_eval-offensive tweet_eval-sentiment tweet_eval-stance_abortion tweet_eval-stance_atheism
            tweet_eval-stance_climate tweet_eval-stance_feminist tweet_eval-stance_hillary wiki_auto wiki_qa yahoo_answers_topics yelp_polarity
            """),
        .. Of(TextMetric.ExactMatch, """
            acronym_identification ade_corpus_v2-dosage ade_corpus_v2-effect aslg_pc12 break-QDMR break-QDMR-high-level crawl_domain freebase_qa
            jeopardy kilt_ay2 kilt_hotpotqa kilt_nq kilt_trex kilt_zsre lama-conceptnet lama-google_re lama-squad lama-trex limit numer_sense proto_qa
            qa_srl search_qa spider squad-no_context superglue-multirc web_questions wikisql
            """),
        .. Of(TextMetric.QuestionAnsweringF1, """
            adversarialqa biomrc duorc hotpot_qa quoref ropes squad-with_context superglue-record tweet_qa
            """),
        .. Of(TextMetric.RougeL, """
            aeslc common_gen cos_e e2e_nlg_cleaned eli5-askh eli5-asks eli5-eli5 empathetic_dialogues gigaword kilt_wow multi_news reddit_tifu-title
            reddit_tifu-tldr samsum wiki_bio wiki_split xsum
            """),
        .. Of(TextMetric.PearsonCorrelation, """
            app_reviews mocha yelp_review_full
            """),
        .. Of(TextMetric.MatthewsCorrelation, """
            glue-cola
            """),
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
            + $"For a task of your own make a new {nameof(TextToTextTask)}(name, metric).", nameof(name));
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
            while (start + longest < first.Length && second.Contains(first.Substring(start, longest + 1), StringComparison.OrdinalIgnoreCase))
            {
                longest++;
            }
        }

        return longest;
    }

    private static IEnumerable<TextToTextTask> Of(TextMetric metric, string names) =>
        names.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries).Select(name => new TextToTextTask(name, metric));
}
