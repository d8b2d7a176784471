using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using SkillLoc.Models.Tokenization;

namespace SkillLoc.Models.Prompts;

/// <summary>
/// A template that turns a row into a sequence with one mask, in the language of LM-BFF: <c>*cls**sent_0*_It_was*mask*.*sep+*</c> reads
/// <c>&lt;s&gt;…It was&lt;mask&gt;.&lt;/s&gt;</c>.
/// </summary>
/// <remarks>
/// The string is split at <c>*</c>. A piece is a special token (<c>cls</c>, <c>mask</c>, <c>sep</c>, <c>sep+</c>), a label's word
/// (<c>label_0</c>), a sentence (<c>sent_0</c>, <c>sent_1</c>; <c>+sent_0</c> with a space before it; <c>sentl_0</c> and
/// <c>sentu_0</c> with its first letter in lower or upper case; <c>sent-_0</c> without its last character; <c>+sentl_0</c>,
/// <c>+sentu_0</c>, <c>sentl-_0</c>), or else literal text in which <c>_</c> is a space.
/// Gao, Fisch and Chen (2021), Making pre-trained language models better few-shot learners, section 4 (methods, A.2).
/// </remarks>
public sealed partial class PromptTemplate
{
    private readonly string _source;

    private PromptTemplate(string source, IReadOnlyList<TemplatePiece> pieces)
    {
        _source = source;
        Pieces = pieces;
    }

    /// <summary>The pieces, in order.</summary>
    internal IReadOnlyList<TemplatePiece> Pieces { get; }

    /// <summary>Whether the template uses the row's second sentence.</summary>
    public bool IsPair => Pieces.OfType<TemplatePiece.Sentence>().Any(sentence => sentence.Index == 1);

    /// <summary>Whether the mask stands before all sentences.</summary>
    internal bool MaskComesFirst =>
        Pieces.First(piece => piece is TemplatePiece.Sentence or TemplatePiece.Special { Token: SpecialPiece.Mask })
        is TemplatePiece.Special;

    /// <summary>Reads a template.</summary>
    /// <param name="template">A string in the template language.</param>
    /// <returns>The template.</returns>
    /// <exception cref="FormatException">The string has no mask, several masks, or a variable that does not exist.</exception>
    public static PromptTemplate Parse(string template)
    {
        ArgumentException.ThrowIfNullOrEmpty(template);
        TemplatePiece[] pieces = template
            .Split('*')
            .Where(piece => piece.Length > 0)
            .Select(piece => ParsePiece(piece, template))
            .ToArray();
        int masks = pieces.Count(piece => piece is TemplatePiece.Special { Token: SpecialPiece.Mask });
        if (masks != 1)
        {
            throw Wrong(template, $"it has {masks} masks; it needs exactly one '*mask*'");
        }

        return new PromptTemplate(template, pieces);
    }

    /// <summary>The template as it was written.</summary>
    /// <returns>The text that <see cref="Parse"/> read.</returns>
    public override string ToString() => _source;

    private static TemplatePiece ParsePiece(string piece, string template)
    {
        switch (piece)
        {
            case "cls":
                return new TemplatePiece.Special(SpecialPiece.Cls);
            case "mask":
                return new TemplatePiece.Special(SpecialPiece.Mask);
            case "sep":
                return new TemplatePiece.Special(SpecialPiece.Sep);
            case "sep+":
                return new TemplatePiece.Special(SpecialPiece.SepAndNextSegment);
        }

        if (Variable().Match(piece) is not { Success: true } match)
        {
            return new TemplatePiece.Literal(piece.Replace('_', ' '));
        }

        if (!int.TryParse(match.Groups["index"].Value, NumberStyles.None, CultureInfo.InvariantCulture, out int index))
        {
            throw Wrong(template, $"'*{piece}*' needs a number after its underscore, as in '*sent_0*'");
        }

        switch (match.Groups["name"].Value)
        {
            case "label":
                return new TemplatePiece.Label(index);
            case "labelx":
                throw Wrong(template, $"'*{piece}*' names a demonstration's label, and there are no demonstrations");
            case var name when index > 1:
                throw Wrong(template, $"'*{piece}*' names sentence {index}; rows have sentences 0 ('*{name}_0*') and 1 ('*{name}_1*')");
            case "sent":
                return new TemplatePiece.Sentence(index, LeadingSpace: false, FirstLetter.AsIs, DropsLastCharacter: false);
            case "+sent":
                return new TemplatePiece.Sentence(index, LeadingSpace: true, FirstLetter.AsIs, DropsLastCharacter: false);
            case "sent-":
                return new TemplatePiece.Sentence(index, LeadingSpace: false, FirstLetter.AsIs, DropsLastCharacter: true);
            case "sentl":
                return new TemplatePiece.Sentence(index, LeadingSpace: false, FirstLetter.Lower, DropsLastCharacter: false);
            case "+sentl":
                return new TemplatePiece.Sentence(index, LeadingSpace: true, FirstLetter.Lower, DropsLastCharacter: false);
            case "sentl-":
                return new TemplatePiece.Sentence(index, LeadingSpace: false, FirstLetter.Lower, DropsLastCharacter: true);
            case "sentu":
                return new TemplatePiece.Sentence(index, LeadingSpace: false, FirstLetter.Upper, DropsLastCharacter: false);
            case "+sentu":
                return new TemplatePiece.Sentence(index, LeadingSpace: true, FirstLetter.Upper, DropsLastCharacter: false);
            default:
                throw Wrong(
                    template,
                    $"there is no variable '*{piece}*'; sentences are sent, +sent, sent-, sentl, +sentl, sentl-, sentu and +sentu"
                );
        }
    }

    private static FormatException Wrong(string template, string problem) => new($"Template '{template}': {problem}.");

    [GeneratedRegex(
        "^(?<name>labelx?|\\+?sent[a-z]?[-+]?)_(?<index>.*)$",
        RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant,
        matchTimeoutMilliseconds: 10_000
    )]
    private static partial Regex Variable();
}

/// <summary>One piece of a <see cref="PromptTemplate"/>.</summary>
internal abstract record TemplatePiece
{
    private TemplatePiece() { }

    /// <summary>A special token.</summary>
    /// <param name="Token">The token.</param>
    public sealed record Special(SpecialPiece Token) : TemplatePiece;

    /// <summary>The word of a label.</summary>
    /// <param name="Index">The label's index in the verbalizer.</param>
    public sealed record Label(int Index) : TemplatePiece;

    /// <summary>Literal text, with its spaces.</summary>
    /// <param name="Text">The text.</param>
    public sealed record Literal(string Text) : TemplatePiece;

    /// <summary>A sentence of the row.</summary>
    /// <param name="Index">0 for the text, 1 for the text pair.</param>
    /// <param name="LeadingSpace">Whether a space precedes it.</param>
    /// <param name="FirstLetter">How its first letter is changed.</param>
    /// <param name="DropsLastCharacter">Whether its last character, usually a full stop, is dropped.</param>
    public sealed record Sentence(int Index, bool LeadingSpace, FirstLetter FirstLetter, bool DropsLastCharacter) : TemplatePiece
    {
        /// <summary>Applies the changes to a sentence.</summary>
        /// <param name="text">The row's sentence.</param>
        /// <returns>The text to encode.</returns>
        public string Apply(string text)
        {
            ArgumentNullException.ThrowIfNull(text);
            if (DropsLastCharacter && text.Length > 0)
            {
                Rune.DecodeLastFromUtf16(text, out _, out int length);
                text = text[..^length];
            }
            if (
                FirstLetter != FirstLetter.AsIs
                && text.Length > 0
                && Rune.DecodeFromUtf16(text, out Rune first, out int firstLength) == System.Buffers.OperationStatus.Done
            )
            {
                Rune letter = FirstLetter == FirstLetter.Lower ? Rune.ToLowerInvariant(first) : Rune.ToUpperInvariant(first);
                text = string.Concat(letter.ToString(), text.AsSpan(firstLength));
            }
            return LeadingSpace ? " " + text : text;
        }
    }
}

/// <summary>How a template changes the first letter of a sentence.</summary>
public enum FirstLetter
{
    /// <summary><c>sent_i</c>: unchanged.</summary>
    AsIs,

    /// <summary><c>sentl_i</c>: lower case.</summary>
    Lower,

    /// <summary><c>sentu_i</c>: upper case.</summary>
    Upper,
}

/// <summary>A special token that a template inserts.</summary>
public enum SpecialPiece
{
    /// <summary><c>cls</c>: the token that starts a sequence.</summary>
    Cls,

    /// <summary><c>mask</c>: the token whose prediction is the label.</summary>
    Mask,

    /// <summary><c>sep</c>: the separator.</summary>
    Sep,

    /// <summary><c>sep+</c>: the separator, after which the next segment (token type) begins.</summary>
    SepAndNextSegment,
}

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

        foreach (TemplatePiece piece in template.Pieces)
        {
            if (piece is TemplatePiece.Special special)
            {
                _ = IdOf(special.Token);
            }
            else if (piece is TemplatePiece.Label label && label.Index >= _labelWords.Length)
            {
                throw new ArgumentException(
                    $"Template '{template}' names label {label.Index}, but there are {_labelWords.Length} labels.",
                    nameof(template)
                );
            }
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
    public EncodedText Encode(string text, string? textPair) => Encode(text, textPair, traces: false);

    /// <inheritdoc/>
    public EncodedText Trace(string text, string? textPair) => Encode(text, textPair, traces: true);

    private EncodedText Encode(string text, string? textPair, bool traces)
    {
        ArgumentNullException.ThrowIfNull(text);
        var sequence = new TokenSequence(Truncation, MaxLength);
        int needed = sequence.NeededOf(_sentences);
        int segment = 0;
        foreach (TemplatePiece piece in _template.Pieces)
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
                    string? own = sentence.Index == 0 ? text : textPair;
                    int[] ids = EncodeSentence(sentence, own, needed);
                    TokenSpan?[]? spans = traces
                        ? TokenSpan.Shifted(
                            _tokenizer.Locate(sentence.Apply(own!), ids),
                            sentence.Index,
                            sentence.LeadingSpace ? 1 : 0,
                            own!.Length
                        )
                        : null;
                    sequence.AddRange(ids, segment, isSentence: true, spans);
                    break;
            }
        }
        return sequence.ToEncodedText(_tokenizer.UsesTokenTypes);
    }

    /// <summary>The parts of a row, in order, for who builds rows elsewhere.</summary>
    public IEnumerable<RowPart> Parts()
    {
        int segment = 0;
        foreach (TemplatePiece piece in _template.Pieces)
        {
            yield return piece switch
            {
                TemplatePiece.Special special => new([IdOf(special.Token)], null, segment),
                TemplatePiece.Label label => new([_labelWords[label.Index]], null, segment),
                TemplatePiece.Literal literal => new(EncodeLiteral(literal.Text), null, segment),
                TemplatePiece.Sentence sentence => new(null, sentence, segment),
                _ => throw new InvalidOperationException($"Template '{_template}' has a piece of an unknown kind."),
            };
            segment += piece is TemplatePiece.Special { Token: SpecialPiece.SepAndNextSegment } ? 1 : 0;
        }
    }

    // A literal of one character is that vocabulary entry, where there is one.
    private int[] EncodeLiteral(string literal)
    {
        Rune.DecodeFromUtf16(literal, out _, out int length);
        return length == literal.Length && _tokenizer.TokenId(literal) is { } id ? [id] : _tokenizer.Encode(literal);
    }

    private int[] EncodeSentence(TemplatePiece.Sentence sentence, string? text, int needed)
    {
        if (text is null)
        {
            throw new InvalidDataException(
                $"Template '{_template}' needs a second sentence, and the row has none; name the column that holds it."
            );
        }

        int? limit = sentence.Index == 0 ? FirstSentenceLimit : OtherSentenceLimit;
        return _tokenizer.EncodeFirst(sentence.Apply(text), Math.Min(needed, limit ?? int.MaxValue));
    }

    private int IdOf(SpecialPiece token) =>
        token switch
        {
            SpecialPiece.Cls => _tokenizer.ClsId,
            SpecialPiece.Mask => _tokenizer.MaskId,
            _ => _tokenizer.SepId,
        };
}
