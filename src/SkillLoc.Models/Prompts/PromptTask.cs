namespace SkillLoc.Models.Prompts;

/// <summary>A text classification task: how its rows are prompted, what its labels are called and how it is scored.</summary>
/// <param name="Name">The task's name, in lower case.</param>
/// <param name="Template">The template that its rows go into.</param>
/// <param name="Verbalizer">Its labels, in order, and their words.</param>
public sealed record PromptTask(string Name, PromptTemplate Template, Verbalizer Verbalizer) : TaskDefinition(Name)
{
    /// <summary>The usual length limit of a row, in tokens, for BERT and RoBERTa; for GPT-2 see <see cref="AutoregressivePrompt.MaxLength"/>.</summary>
    public const int UsualMaxLength = 128;

    private readonly AutoregressivePrompt? _autoregressive;

    /// <summary>How the task is scored.</summary>
    public PromptMetric Metric { get; init; }

    /// <summary>The score range of a regression task, whose two label words are its ends; null for classification.</summary>
    public ScoreRange? ScoreRange { get; init; }

    /// <summary>Whether labels are scores rather than classes (STS-B).</summary>
    public bool IsRegression => ScoreRange is not null;

    /// <summary>Whether rows have two sentences.</summary>
    public bool IsPair => Template.IsPair;

    /// <summary>Its labels, in order, and their words. A task that takes other labels drops its <see cref="Autoregressive"/> prompt.</summary>
    public Verbalizer Verbalizer
    {
        get;
        init
        {
            // The options stand in the order of the labels before.
            if (!value.Labels.SequenceEqual(field.Labels, StringComparer.Ordinal))
                _autoregressive = null;
            field = value;
        }
    } = Verbalizer;

    /// <summary>How a causal model (GPT-2) is asked, with the options in the order of the verbalizer's labels; null where it is not.</summary>
    /// <exception cref="ArgumentException">Its options or sentences are not as many as the task's labels or sentences.</exception>
    public AutoregressivePrompt? Autoregressive
    {
        get => _autoregressive;
        init
        {
            if (value is not null && value.Options.Count != Verbalizer.Count)
                throw new ArgumentException($"The task '{Name}' has {Verbalizer.Count} labels, and its autoregressive prompt {value.Options.Count} options.", nameof(value));
            if (value is not null && value.Template.IsPair != IsPair)
                throw new ArgumentException($"The task '{Name}' has {(IsPair ? "two sentences" : "one sentence")}, and its autoregressive template '{value.Template}' another number.", nameof(value));
            _autoregressive = value;
        }
    }

    /// <summary>The longest row, in tokens.</summary>
    public int MaxLength { get; init; } = UsualMaxLength;

    /// <summary>The most tokens of the first sentence; null for no limit of its own.</summary>
    public int? FirstSentenceLimit { get; init; }

    /// <summary>The most tokens of the second sentence; null for no limit of its own.</summary>
    public int? OtherSentenceLimit { get; init; }
}
