using SkillLoc.Models.Generation;
using SkillLoc.Models.Tokenization;

namespace SkillLoc.Models.Prompts;

/// <summary>
/// Puts rows before a model that writes its answers (T5), and answers as it should write them (methods, C.1): the task's name and the text,
/// and <c>&lt;extra_id_0&gt;</c> and the answer, both with the end token. Special tokens that a row or an answer spells stay text.
/// </summary>
internal sealed class TextToTextEncoder : ITextEncoder
{
    /// <summary>The token that answers begin with: T5 has learnt to write behind it what a text lacks.</summary>
    public const string Sentinel = "<extra_id_0>";

    private readonly TextToTextTask _task;
    private readonly CheckpointTokenizer _tokenizer;
    private readonly int _sentinel;
    private readonly int[] _start;

    /// <summary>Makes an encoder.</summary>
    /// <param name="task">The task, whose name rows begin with.</param>
    /// <param name="tokenizer">The checkpoint's tokenizer.</param>
    /// <param name="maxLength">The most tokens that a row becomes, the end token counted.</param>
    /// <exception cref="ArgumentException">The vocabulary has no <see cref="Sentinel"/>, or a limit leaves no room.</exception>
    public TextToTextEncoder(TextToTextTask task, CheckpointTokenizer tokenizer, int maxLength)
    {
        ArgumentNullException.ThrowIfNull(task);
        ArgumentNullException.ThrowIfNull(tokenizer);
        ArgumentOutOfRangeException.ThrowIfLessThan(maxLength, 2);
        _task = task;
        _tokenizer = tokenizer;
        _sentinel = tokenizer.TokenId(Sentinel) ?? throw new ArgumentException(
            $"The vocabulary has no '{Sentinel}', which answers begin with; T5's has, so tokenizer and model may not belong together.",
            nameof(tokenizer));
        _start = [.. task.HasLeadingStart ? tokenizer.Encode(TextToTextTask.LeadingStart) : [], _sentinel];
        MaxLength = maxLength;
        if (task.MaxOutputLength <= _start.Length + 1)
        {
            throw new ArgumentException(
                $"MaxOutputLength is {task.MaxOutputLength}, which leaves no room for an answer between '{Sentinel}' and the end token.", nameof(task));
        }
    }

    /// <inheritdoc/>
    public int MaxLength { get; }

    /// <summary>What of a row gives way when it is too long: its end, or, with <see cref="Truncation.Head"/>, its start with the task's
    /// name. The end token stays in any case.</summary>
    public Truncation Truncation { get; init; }

    /// <inheritdoc/>
    /// <remarks>The texts of a pair become one, with a space between.</remarks>
    public EncodedText Encode(string text, string? textPair)
    {
        ArgumentNullException.ThrowIfNull(text);
        string input = _task.InputOf(textPair is null ? text : $"{text} {textPair}");
        int[] ids = _tokenizer.EncodeFirst(input, Truncation == Truncation.Head ? int.MaxValue : MaxLength - 1);
        return new([.. ids[Math.Max(0, ids.Length - (MaxLength - 1))..], _tokenizer.SepId], TokenTypes: null, Position: 0);
    }

    /// <summary>What the model should write for an answer.</summary>
    /// <param name="answer">The answer.</param>
    /// <returns>Token ids, the sentinel and the end token counted at most <see cref="TextToTextTask.MaxOutputLength"/>; of a longer answer
    /// the end is cut.</returns>
    public int[] EncodeAnswer(string answer)
    {
        return [.. _start, .. _tokenizer.EncodeFirst(_task.AnswerOf(answer), _task.MaxOutputLength - _start.Length - 1), _tokenizer.SepId];
    }

    /// <summary>The answer that the model wrote.</summary>
    /// <param name="ids">Token ids, as <see cref="Backbones.T5ForConditionalGeneration.Generate"/> gives them.</param>
    /// <returns>Their text without special tokens and without spaces around it; where targets have a leading start, what is behind the
    /// sentinel.</returns>
    public string DecodeAnswer(int[] ids)
    {
        ArgumentNullException.ThrowIfNull(ids);
        return _tokenizer.Decode(_start.Length == 1 ? ids : ids[(Array.IndexOf(ids, _sentinel) + 1)..]);
    }
}
