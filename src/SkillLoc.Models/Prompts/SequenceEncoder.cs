using SkillLoc.Models.Tokenization;

namespace SkillLoc.Models.Prompts;

/// <summary>Encodes rows without a prompt: the texts with special tokens.</summary>
internal sealed class SequenceEncoder : ITextEncoder
{
    private readonly CheckpointTokenizer _tokenizer;
    private readonly SequenceFormat _format;

    /// <summary>Creates an encoder.</summary>
    /// <param name="tokenizer">The checkpoint's tokenizer.</param>
    /// <param name="maxLength">The maximum length of a row in tokens.</param>
    /// <param name="layout">The layout of special tokens around the texts.</param>
    /// <exception cref="InvalidOperationException">The layout is plain, and the vocabulary has no start or no separator token.</exception>
    public SequenceEncoder(CheckpointTokenizer tokenizer, int maxLength, SpecialTokenLayout layout = SpecialTokenLayout.Plain)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(maxLength);
        _tokenizer = tokenizer;
        _format = layout == SpecialTokenLayout.Checkpoint ? tokenizer.Format : SequenceFormat.Bert(tokenizer.ClsId, tokenizer.SepId);
        MaxLength = maxLength;
    }

    /// <inheritdoc/>
    public int MaxLength { get; }

    /// <summary>How rows that exceed the limit are truncated.</summary>
    public Truncation Truncation { get; init; }

    /// <summary>Whether the last token is scored, as in causal models, instead of the first.</summary>
    public bool ScoresLast { get; init; }

    /// <inheritdoc/>
    /// <remarks>A row without tokens becomes the padding token, which in GPT-2 is the end-of-text token.</remarks>
    public EncodedText Encode(string text, string? textPair)
    {
        ArgumentNullException.ThrowIfNull(text);
        var sequence = new TokenSequence(Truncation, MaxLength);
        var needed = sequence.NeededOf(textPair is null ? 1 : 2);
        foreach (var part in textPair is null ? _format.Single : _format.Pair)
        {
            if (part.Id is { } special)
                sequence.Add(special, part.Type);
            else
                sequence.AddRange(_tokenizer.EncodeFirst(part.IsSecond ? textPair! : text, needed), part.Type, isSentence: true);
        }
        var row = sequence.ToEncodedText(_tokenizer.UsesTokenTypes);
        if (row.Ids.Length == 0)
            row = new([_tokenizer.PadId], row.TokenTypes is null ? null : [0], 0);
        return ScoresLast ? row with { Position = row.Ids.Length - 1 } : row;
    }
}

/// <summary>The layout of special tokens around texts without a prompt.</summary>
public enum SpecialTokenLayout
{
    /// <summary>The start token, then each text followed by a separator, as in LM-BFF's code.</summary>
    Plain,

    /// <summary>
    /// As in the checkpoint's Python tokenizer: the post-processor of <c>tokenizer.json</c>, else the default of the family (RoBERTa: two
    /// separators between the texts of a pair, T5: an end token after each text, GPT-2: none).
    /// </summary>
    Checkpoint,
}
