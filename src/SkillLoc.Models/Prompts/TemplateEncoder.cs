using System.Text;
using SkillLoc.Models.Tokenization;

namespace SkillLoc.Models.Prompts;

/// <summary>Encodes rows with a template. Each piece is encoded separately; only the template inserts special tokens.</summary>
internal sealed class TemplateEncoder : ITextEncoder
{
    private readonly PromptTemplate _template;
    private readonly CheckpointTokenizer _tokenizer;
    private readonly int[] _labelWords;
    private readonly int _sentences;

    /// <summary>Creates an encoder.</summary>
    /// <param name="template">The template.</param>
    /// <param name="tokenizer">The checkpoint's tokenizer.</param>
    /// <param name="labelWords">The label words' ids, in label order (<see cref="Verbalizer.Resolve(CheckpointTokenizer)"/>).</param>
    /// <param name="maxLength">The maximum length of a row in tokens.</param>
    /// <exception cref="ArgumentException">The template names a label without a word.</exception>
    /// <exception cref="InvalidOperationException">The vocabulary lacks a special token that the template inserts.</exception>
    public TemplateEncoder(PromptTemplate template, CheckpointTokenizer tokenizer, IReadOnlyList<int> labelWords, int maxLength)
    {
        ArgumentNullException.ThrowIfNull(template);
        ArgumentNullException.ThrowIfNull(tokenizer);
        ArgumentNullException.ThrowIfNull(labelWords);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(maxLength);
        _template = template;
        _tokenizer = tokenizer;
        _labelWords = [.. labelWords];
        MaxLength = maxLength;
        _sentences = template.Pieces.Count(piece => piece is TemplatePiece.Sentence);

        foreach (var piece in template.Pieces)
        {
            if (piece is TemplatePiece.Special special)
                _ = IdOf(special.Token);
            else if (piece is TemplatePiece.Label label && label.Index >= _labelWords.Length)
                throw new ArgumentException($"Template '{template}' names label {label.Index}, but there are {_labelWords.Length} labels.", nameof(template));
        }
    }

    /// <inheritdoc/>
    public int MaxLength { get; }

    /// <summary>The maximum number of tokens of the first sentence; null for no separate limit.</summary>
    public int? FirstSentenceLimit { get; init; }

    /// <summary>The maximum number of tokens of the second sentence; null for no separate limit.</summary>
    public int? OtherSentenceLimit { get; init; }

    /// <summary>How rows that exceed the limit are truncated.</summary>
    public Truncation Truncation { get; init; }

    /// <inheritdoc/>
    /// <exception cref="InvalidDataException">
    /// The template needs a second sentence and the row has none, the mask was cut off, or the template alone exceeds the limit.
    /// </exception>
    public EncodedText Encode(string text, string? textPair)
    {
        ArgumentNullException.ThrowIfNull(text);
        var sequence = new TokenSequence(Truncation, MaxLength);
        var needed = sequence.NeededOf(_sentences);
        var segment = 0;
        foreach (var piece in _template.Pieces)
        {
            switch (piece)
            {
                case TemplatePiece.Special special:
                    sequence.Add(IdOf(special.Token), segment, isPosition: special.Token == SpecialPiece.Mask);
                    segment += special.Token == SpecialPiece.SepAndNextSegment ? 1 : 0;
                    break;
                case TemplatePiece.Label label:
                    sequence.Add(_labelWords[label.Index], segment);
                    break;
                case TemplatePiece.Literal literal:
                    sequence.AddRange(EncodeLiteral(literal.Text), segment, isSentence: false);
                    break;
                case TemplatePiece.Sentence sentence:
                    sequence.AddRange(EncodeSentence(sentence, sentence.Index == 0 ? text : textPair, needed), segment, isSentence: true);
                    break;
            }
        }
        return sequence.ToEncodedText(_tokenizer.UsesTokenTypes);
    }

    // A literal of one character is that vocabulary entry, where there is one.
    private int[] EncodeLiteral(string literal)
    {
        Rune.DecodeFromUtf16(literal, out _, out var length);
        return length == literal.Length && _tokenizer.TokenId(literal) is { } id ? [id] : _tokenizer.Encode(literal);
    }

    private int[] EncodeSentence(TemplatePiece.Sentence sentence, string? text, int needed)
    {
        if (text is null)
            throw new InvalidDataException($"Template '{_template}' needs a second sentence, and the row has none; name the column that holds it.");
        var limit = sentence.Index == 0 ? FirstSentenceLimit : OtherSentenceLimit;
        return _tokenizer.EncodeFirst(sentence.Apply(text), Math.Min(needed, limit ?? int.MaxValue));
    }

    private int IdOf(SpecialPiece token) => token switch
    {
        SpecialPiece.Cls => _tokenizer.ClsId,
        SpecialPiece.Mask => _tokenizer.MaskId,
        _ => _tokenizer.SepId,
    };
}
