using System.Text.Json.Serialization;
using SkillLoc.Models.Prompts;

namespace SkillLoc.Models.Generation;

/// <summary>
/// A task whose rows an encoder-decoder model (T5) answers with text (methods, C.1). The encoder reads <see cref="InputOf"/>; the
/// decoder learns <c>&lt;extra_id_0&gt;</c>, the answer as <see cref="AnswerOf"/> gives it, and <c>&lt;/s&gt;</c>.
/// </summary>
/// <param name="Name">The task's name, which the model reads before each text; the last component of its folder's path.</param>
/// <param name="Metric">How its answers are judged.</param>
public sealed record TextToTextTask(string Name, TextMetric Metric) : TaskDefinition(Name)
{
    /// <summary>The usual <see cref="MaxInputLength"/>.</summary>
    public const int UsualMaxInputLength = 512;

    /// <summary>The usual <see cref="MaxOutputLength"/>.</summary>
    public const int UsualMaxOutputLength = 64;

    /// <summary>What <see cref="HasLeadingStart"/> puts before a text.</summary>
    public const string LeadingStart = "<s> ";

    /// <summary>The task's name, which the model reads before each text.</summary>
    /// <exception cref="ArgumentException">It is empty or blank.</exception>
    public override string Name
    {
        get;
        init => field = CheckedName(value);
    } = CheckedName(Name);

    /// <summary>The most tokens that the encoder reads of a row, <c>&lt;/s&gt;</c> included; what is beyond them is cut off.</summary>
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

    /// <summary>The most tokens of a target, <c>&lt;extra_id_0&gt;</c> and <c>&lt;/s&gt;</c> included, and of what is generated.</summary>
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

    /// <summary>Whether texts, the task's name with them, and answers are learned in lower case. Metrics see answers as they are.</summary>
    public bool Lowercase { get; init; }

    /// <summary>
    /// Whether <see cref="LeadingStart"/> precedes what the encoder reads, and the target before its <c>&lt;extra_id_0&gt;</c>
    /// (<c>append_another_bos</c> of the paper's code). T5 has no such token; it is text as any other.
    /// </summary>
    public bool HasLeadingStart { get; init; }

    /// <summary>What the encoder reads for a row's text: a space, the task's name in square brackets, a space and the text.</summary>
    /// <param name="text">The row's text.</param>
    /// <returns>For example <c> [glue-mnli] premise: ...</c>, in lower case and after <see cref="LeadingStart"/> where the task has it so.</returns>
    public string InputOf(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        string input = $" [{Name}] {text}";
        return (HasLeadingStart ? LeadingStart : "") + (Lowercase ? input.ToLowerInvariant() : input);
    }

    /// <summary>The answer as the decoder learns it, after <c>&lt;extra_id_0&gt;</c>.</summary>
    /// <param name="answer">The row's answer.</param>
    /// <returns>The answer, in lower case where the task has it so.</returns>
    public string AnswerOf(string answer)
    {
        ArgumentNullException.ThrowIfNull(answer);
        return Lowercase ? answer.ToLowerInvariant() : answer;
    }

    private static string CheckedName(string name) =>
        string.IsNullOrWhiteSpace(name) ? throw new ArgumentException("A task needs a name, which the model reads before each text.", nameof(name)) : name;
}
