using System.Text.Json.Serialization;
using SkillLoc.Models.Prompts;

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
    public const int UsualMaxInputLength = 512;

    /// <summary>The default of <see cref="MaxOutputLength"/>.</summary>
    public const int UsualMaxOutputLength = 64;

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
    } = UsualMaxInputLength;

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
    } = UsualMaxOutputLength;

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
        string.IsNullOrWhiteSpace(name) ? throw new ArgumentException("A task needs a name, which the model reads before each text.", nameof(name)) : name;
}
