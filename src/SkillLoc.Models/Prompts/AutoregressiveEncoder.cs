using System.Text;
using SkillLoc.Models.Tokenization;

namespace SkillLoc.Models.Prompts;

/// <summary>
/// Encodes rows as a text that a causal model continues. The text is encoded as a whole, without special tokens; its last token is scored
/// and predicts the label.
/// </summary>
internal sealed class AutoregressiveEncoder : ITextEncoder
{
    private readonly AutoregressiveTemplate _template;
    private readonly CheckpointTokenizer _tokenizer;

    /// <summary>Creates an encoder.</summary>
    /// <param name="template">The template.</param>
    /// <param name="tokenizer">The checkpoint's tokenizer, a byte-level BPE.</param>
    /// <param name="maxLength">The maximum length of a row in tokens, without the option that may follow.</param>
    /// <exception cref="ArgumentException">The tokenizer is not a byte-level BPE.</exception>
    public AutoregressiveEncoder(AutoregressiveTemplate template, CheckpointTokenizer tokenizer, int maxLength)
    {
        ArgumentNullException.ThrowIfNull(template);
        ArgumentNullException.ThrowIfNull(tokenizer);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(maxLength);
        if (!tokenizer.DistinguishesLeadingSpace)
            throw new ArgumentException("A text to be continued needs a byte-level BPE tokenizer, such as GPT-2's.", nameof(tokenizer));
        _template = template;
        _tokenizer = tokenizer;
        MaxLength = maxLength;
    }

    /// <inheritdoc/>
    public int MaxLength { get; }

    /// <summary>
    /// How rows that exceed the limit are truncated. <see cref="Truncation.Tail"/> cuts the end of the template, and with it the question.
    /// </summary>
    public Truncation Truncation { get; init; }

    /// <inheritdoc/>
    /// <remarks>A row that is empty including the template becomes the end-of-text token, which precedes texts in GPT-2.</remarks>
    /// <exception cref="InvalidDataException">The template needs a second sentence and the row has none, or the template alone exceeds the
    /// limit.</exception>
    public EncodedText Encode(string text, string? textPair)
    {
        ArgumentNullException.ThrowIfNull(text);
        var whole = new StringBuilder();
        var parts = new List<(string Text, bool IsSentence)>();
        var sentences = new List<(int Start, int End)>();
        var bytes = 0;
        foreach (var piece in _template.Pieces)
        {
            var part = piece switch
            {
                TemplatePiece.Sentence sentence => sentence.Apply((sentence.Index == 0 ? text : textPair) ?? throw new InvalidDataException(
                    $"Template '{_template}' needs a second sentence, and the row has none; name the column that holds it.")),
                TemplatePiece.Literal literal => literal.Text,
                _ => throw new InvalidOperationException($"Template '{_template}' has a piece of another kind than a sentence and a literal."),
            };
            var length = Encoding.UTF8.GetByteCount(part);
            if (piece is TemplatePiece.Sentence)
                sentences.Add((bytes, bytes + length));
            bytes += length;
            parts.Add((part, piece is TemplatePiece.Sentence));
            whole.Append(part);
        }

        var ids = _tokenizer.EncodeFirst(whole.ToString(), Truncation == Truncation.Tail ? MaxLength : int.MaxValue);
        if (ids.Length > MaxLength)
            ids = Cut(ids, parts, sentences, bytes);
        else if (ids.Length == 0)
            ids = [_tokenizer.PadId];
        return new EncodedText(ids, TokenTypes: null, ids.Length - 1);
    }

    // A token is a sentence's when all of its bytes are; one that reaches into the template is the template's.
    private int[] Cut(int[] ids, List<(string Text, bool IsSentence)> parts, List<(int Start, int End)> sentences, int bytes)
    {
        // A byte-level token has one character for each byte. A space that the tokenizer put before the text comes first.
        var lengths = Array.ConvertAll(ids, id => _tokenizer.TokenOf(id).Length);
        var end = bytes - lengths.Sum();
        var sequence = new TokenSequence(Truncation, MaxLength);
        if (end is not (0 or -1))
        {
            // A tokenizer that changes texts does not tell which of them a token is of, so each is encoded alone.
            foreach (var (text, isSentence) in parts)
                sequence.AddRange(_tokenizer.Encode(text), type: 0, isSentence);
            return sequence.ToEncodedText(withTypes: false).Ids;
        }

        var start = 0;
        int? owner = null;
        for (var i = 0; i < ids.Length; i++)
        {
            var from = end;
            end += lengths[i];
            var place = sentences.FindIndex(sentence => sentence.Start <= from && end <= sentence.End);
            if (i > 0 && place != owner)
            {
                sequence.AddRange(new ArraySegment<int>(ids, start, i - start), type: 0, isSentence: owner >= 0);
                start = i;
            }
            owner = place;
        }
        sequence.AddRange(new ArraySegment<int>(ids, start, ids.Length - start), type: 0, isSentence: owner >= 0);
        return sequence.ToEncodedText(withTypes: false).Ids;
    }
}
