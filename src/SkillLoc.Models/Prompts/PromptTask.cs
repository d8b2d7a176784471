namespace SkillLoc.Models.Prompts;

/// <summary>A text classification task: how its rows are prompted, what its labels are called and how it is scored.</summary>
/// <param name="Name">The task's name, in lower case.</param>
/// <param name="Template">The template that its rows go into.</param>
/// <param name="Verbalizer">Its labels, in order, and their words.</param>
public sealed record PromptTask(string Name, PromptTemplate Template, Verbalizer Verbalizer)
{
    /// <summary>The usual length limit of a row, in tokens, for BERT and RoBERTa; the paper gives GPT-2 256.</summary>
    public const int UsualMaxLength = 128;

    /// <summary>How the task is scored.</summary>
    public PromptMetric Metric { get; init; }

    /// <summary>The score range of a regression task, whose two label words are its ends; null for classification.</summary>
    public ScoreRange? ScoreRange { get; init; }

    /// <summary>Whether labels are scores rather than classes (STS-B).</summary>
    public bool IsRegression => ScoreRange is not null;

    /// <summary>Whether rows have two sentences.</summary>
    public bool IsPair => Template.IsPair;

    /// <summary>The longest row, in tokens.</summary>
    public int MaxLength { get; init; } = UsualMaxLength;

    /// <summary>The most tokens of the first sentence; null for no limit of its own.</summary>
    public int? FirstSentenceLimit { get; init; }

    /// <summary>The most tokens of the second sentence; null for no limit of its own.</summary>
    public int? OtherSentenceLimit { get; init; }
}
