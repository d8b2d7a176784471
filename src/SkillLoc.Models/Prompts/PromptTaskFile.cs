using System.Text.Json.Serialization;
using SkillLoc.Models.Json;

namespace SkillLoc.Models.Prompts;

/// <summary>Reads tasks from JSON; see <see cref="PromptTasks.Load"/>.</summary>
internal static class PromptTaskFile
{
    /// <summary>Reads the tasks.</summary>
    /// <param name="json">An array of tasks.</param>
    /// <param name="source">Its name in error messages.</param>
    /// <exception cref="InvalidDataException">A task is wrong; the message names it and its property.</exception>
    public static IReadOnlyList<PromptTask> Read(string json, string source)
    {
        var tasks = Array.ConvertAll(JsonText.Read<Entry[]>(json, source), entry => entry.ToTask(source));
        if (tasks.Length == 0)
            throw new InvalidDataException($"{source} has no tasks.");
        if (tasks.GroupBy(task => task.Name, StringComparer.OrdinalIgnoreCase).FirstOrDefault(group => group.Count() > 1) is { } twice)
            throw new InvalidDataException($"{source}: the task '{twice.Key}' is there twice; names must differ in more than case.");
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

        public int MaxLength { get; init; } = PromptTask.UsualMaxLength;

        public int? FirstSentenceLimit { get; init; }

        public int? OtherSentenceLimit { get; init; }

        public PromptTask ToTask(string source)
        {
            if (string.IsNullOrWhiteSpace(Name))
                throw new InvalidDataException($"{source}: a task's name is empty.");
            if (Mapping.FirstOrDefault(entry => entry.Value is null).Key is { } unspoken)
                throw Wrong("mapping", $"the word of the label '{unspoken}' is null");
            Check(MaxLength, "max_length");
            Check(FirstSentenceLimit, "first_sentence_limit");
            Check(OtherSentenceLimit, "other_sentence_limit");
            if (ScoreRange is not null && Mapping.Count != 2)
                throw Wrong("mapping", $"a task with a score range has two words, for its lowest and its highest score, not {Mapping.Count}");
            if (Metric is { } metric && metric == PromptMetric.Correlation != ScoreRange is not null)
                throw Wrong("metric", ScoreRange is null ? "correlation needs a score_range" : "a task with a score range is judged by correlation");

            var task = new PromptTask(Name, Parse("template", () => PromptTemplate.Parse(Template)), Parse("mapping", () => new Verbalizer(Mapping)))
            {
                Metric = Metric ?? (ScoreRange is null ? PromptMetric.Accuracy : PromptMetric.Correlation),
                ScoreRange = ScoreRange,
                MaxLength = MaxLength,
                FirstSentenceLimit = FirstSentenceLimit,
                OtherSentenceLimit = OtherSentenceLimit,
            };
            return Autoregressive is null ? task : Parse("autoregressive", () => task with { Autoregressive = Autoregressive.ToPrompt(task.Verbalizer.Labels) });

            void Check(int? value, string property)
            {
                if (value < 1)
                    throw Wrong(property, $"it is {value} and must be at least 1");
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

            InvalidDataException Wrong(string property, string problem, Exception? inner = null) => new($"{source}, task '{Name}', {property}: {problem}", inner);
        }
    }

    /// <summary>The prompt of causal models: the text, and each label's option.</summary>
    private sealed record Continuation
    {
        public required string Template { get; init; }

        public required IReadOnlyDictionary<string, string> Options { get; init; }

        public int MaxLength { get; init; } = AutoregressivePrompt.UsualMaxLength;

        public AutoregressivePrompt ToPrompt(IReadOnlyList<string> labels)
        {
            if (MaxLength < 1)
                throw new ArgumentException($"its max_length is {MaxLength} and must be at least 1");
            if (Options.FirstOrDefault(entry => entry.Value is null).Key is { } missing)
                throw new ArgumentException($"its option for the label '{missing}' is null");
            return Options.Count == labels.Count && labels.All(Options.ContainsKey)
                ? new(Template, [.. labels.Select(label => Options[label])]) { MaxLength = MaxLength }
                : throw new ArgumentException($"its options are for {string.Join(", ", Options.Keys)}, and the mapping has {string.Join(", ", labels)}");
        }
    }
}
