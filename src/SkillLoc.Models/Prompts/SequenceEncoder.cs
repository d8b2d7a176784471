using SkillLoc.Models.Tokenization;

namespace SkillLoc.Models.Prompts;

/// <summary>Rows without a prompt: the start token, then each sentence with a separator after it.</summary>
public sealed class SequenceEncoder : ITextEncoder
{
    private readonly CheckpointTokenizer _tokenizer;

    /// <summary>Makes an encoder.</summary>
    /// <param name="tokenizer">The checkpoint's tokenizer.</param>
    /// <param name="maxLength">The most tokens that a row becomes.</param>
    public SequenceEncoder(CheckpointTokenizer tokenizer, int maxLength)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(maxLength);
        _tokenizer = tokenizer;
        MaxLength = maxLength;
    }

    /// <inheritdoc/>
    public int MaxLength { get; }

    /// <summary>What is cut when a row is too long.</summary>
    public Truncation Truncation { get; init; }

    /// <inheritdoc/>
    public EncodedText Encode(string text, string? textPair)
    {
        ArgumentNullException.ThrowIfNull(text);
        var sequence = new TokenSequence(Truncation, MaxLength);
        var needed = sequence.NeededOf(textPair is null ? 1 : 2);
        sequence.Add(_tokenizer.ClsId, type: 0);
        AddSentence(text, type: 0);
        if (textPair is not null)
            AddSentence(textPair, type: 1);
        return sequence.ToEncodedText(_tokenizer.UsesTokenTypes);

        void AddSentence(string sentence, int type)
        {
            sequence.AddRange(_tokenizer.EncodeFirst(sentence, needed), type, isSentence: true);
            sequence.Add(_tokenizer.SepId, type);
        }
    }
}
