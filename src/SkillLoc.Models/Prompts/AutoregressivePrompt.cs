using SkillLoc.Models.Classification;

namespace SkillLoc.Models.Prompts;

/// <summary>The prompt of a causal language model: a text to continue, and one continuation per label.</summary>
public sealed record AutoregressivePrompt
{
    /// <summary>The default maximum length of a row in tokens, as in the paper.</summary>
    public const int UsualMaxLength = 256;

    /// <summary>Creates a prompt.</summary>
    /// <param name="template">The text, with <c>{0}</c> for the first and <c>{1}</c> for the second sentence.</param>
    /// <param name="options">The continuations in the order of the task's labels, each with its leading space.</param>
    /// <exception cref="FormatException">The template has no <c>{0}</c>.</exception>
    /// <exception cref="ArgumentException">There are fewer than two options, one is empty, or one occurs twice.</exception>
    public AutoregressivePrompt(string template, params IReadOnlyList<string> options)
    {
        ArgumentNullException.ThrowIfNull(options);
        Template = AutoregressiveTemplate.Parse(template);
        if (options.Count < 2)
            throw new ArgumentException($"A prompt needs at least two options, not {options.Count}.", nameof(options));
        if (options.Any(string.IsNullOrEmpty))
            throw new ArgumentException("The prompt has an empty option.", nameof(options));
        if (options.GroupBy(option => option, StringComparer.Ordinal).FirstOrDefault(group => group.Count() > 1) is { } twice)
            throw new ArgumentException($"The prompt has the option '{twice.Key}' twice.", nameof(options));
        Options = [.. options];
    }

    /// <summary>The text that the model continues.</summary>
    public AutoregressiveTemplate Template { get; }

    /// <summary>The continuations in the order of the task's labels, each with its leading space.</summary>
    public IReadOnlyList<string> Options { get; }

    /// <summary>How the options are scored.</summary>
    public OptionScoring Scoring { get; init; }

    /// <summary>The maximum length of a row in tokens, the longest option included; 256 by default.</summary>
    public int MaxLength { get; init; } = UsualMaxLength;
}
