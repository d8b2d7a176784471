namespace SkillLoc.Models.Prompts;

/// <summary>A text classification task: template, label words and metric.</summary>
/// <param name="Name">The task's name, in lower case.</param>
/// <param name="Template">The template of its rows.</param>
/// <param name="Verbalizer">Its labels, in order, and their words.</param>
public sealed record PromptTask(string Name, PromptTemplate Template, Verbalizer Verbalizer) : TaskDefinition(Name)
{
    /// <summary>The default maximum length of a row in tokens, for BERT and RoBERTa; for GPT-2 see
    /// <see cref="AutoregressivePrompt.MaxLength"/>.</summary>
    public const int UsualMaxLength = 128;

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
                _autoregressive = null;
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
                throw new ArgumentException($"The task '{Name}' has {Verbalizer.Count} labels, and its autoregressive prompt {value.Options.Count} options.", nameof(value));
            if (value is not null && value.Template.IsPair != IsPair)
                throw new ArgumentException($"The task '{Name}' has {(IsPair ? "two sentences" : "one sentence")}, and its autoregressive template '{value.Template}' another number.", nameof(value));
            _autoregressive = value;
        }
    }

    /// <summary>The maximum length of a row in tokens; 128 by default.</summary>
    public int MaxLength { get; init; } = UsualMaxLength;

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
