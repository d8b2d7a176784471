using SkillLoc.Models.Generation;
using SkillLoc.Models.Tokenization;

namespace SkillLoc.Models.Prompts;

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

    /// <summary>How rows that exceed the limit are truncated: at their end, or with <see cref="Truncation.Head"/> at their start, task name
    /// included. The end token is always kept.</summary>
    public Truncation Truncation { get; init; }

    /// <inheritdoc/>
    /// <remarks>The texts of a pair are joined with a space.</remarks>
    public EncodedText Encode(string text, string? textPair)
    {
        ArgumentNullException.ThrowIfNull(text);
        string input = _task.InputOf(textPair is null ? text : $"{text} {textPair}");
        int[] ids = _tokenizer.EncodeFirst(input, Truncation == Truncation.Head ? int.MaxValue : MaxLength - 1);
        return new([.. ids[Math.Max(0, ids.Length - (MaxLength - 1))..], _tokenizer.SepId], TokenTypes: null, Position: 0);
    }

    /// <summary>Encodes an answer as a target.</summary>
    /// <param name="answer">The answer.</param>
    /// <returns>At most <see cref="TextToTextTask.MaxOutputLength"/> token ids, sentinel and end token included; longer answers are cut at
    /// the end.</returns>
    public int[] EncodeAnswer(string answer)
    {
        return [.. _start, .. _tokenizer.EncodeFirst(_task.AnswerOf(answer), _task.MaxOutputLength - _start.Length - 1), _tokenizer.SepId];
    }

    /// <summary>Decodes a generated answer.</summary>
    /// <param name="ids">Token ids, from <see cref="Backbones.T5ForConditionalGeneration.Generate"/>.</param>
    /// <returns>The trimmed text without special tokens; if targets have a leading start, the part after the sentinel.</returns>
    public string DecodeAnswer(int[] ids)
    {
        ArgumentNullException.ThrowIfNull(ids);
        return _tokenizer.Decode(_start.Length == 1 ? ids : ids[(Array.IndexOf(ids, _sentinel) + 1)..]);
    }
}
