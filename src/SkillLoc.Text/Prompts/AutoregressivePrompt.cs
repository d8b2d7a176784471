using System.Text;
using System.Text.RegularExpressions;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Tokenization;

namespace SkillLoc.Models.Prompts;

/// <summary>The prompt of a causal language model: a text to continue, and one continuation per label.</summary>
public sealed record AutoregressivePrompt
{
    /// <summary>The default maximum length of a row in tokens, as in the paper.</summary>
    public const int DefaultMaxLength = 256;

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
        {
            throw new ArgumentException($"A prompt needs at least two options, not {options.Count}.", nameof(options));
        }

        if (options.Any(string.IsNullOrEmpty))
        {
            throw new ArgumentException("The prompt has an empty option.", nameof(options));
        }

        if (options.GroupBy(option => option, StringComparer.Ordinal).FirstOrDefault(group => group.Count() > 1) is { } twice)
        {
            throw new ArgumentException($"The prompt has the option '{twice.Key}' twice.", nameof(options));
        }

        Options = [.. options];
    }

    /// <summary>The text that the model continues.</summary>
    public AutoregressiveTemplate Template { get; }

    /// <summary>The continuations in the order of the task's labels, each with its leading space.</summary>
    public IReadOnlyList<string> Options { get; }

    /// <summary>How the options are scored.</summary>
    public OptionScoring Scoring { get; init; }

    /// <summary>The maximum length of a row in tokens, the longest option included; 256 by default.</summary>
    public int MaxLength { get; init; } = DefaultMaxLength;
}

/// <summary>
/// A template for the text that a causal language model continues: <c>{0}</c> is the first and <c>{1}</c> the second sentence, and
/// everything else is literal, as in <c>"{0}" has a tone that is</c> (methods, A.6).
/// </summary>
public sealed partial class AutoregressiveTemplate
{
    private readonly string _source;

    private AutoregressiveTemplate(string source, IReadOnlyList<TemplatePiece> pieces)
    {
        _source = source;
        Pieces = pieces;
    }

    /// <summary>The pieces, in order: literals and sentences. A space before a sentence belongs to it.</summary>
    internal IReadOnlyList<TemplatePiece> Pieces { get; }

    /// <summary>Whether the template uses the row's second sentence.</summary>
    public bool IsPair => Pieces.OfType<TemplatePiece.Sentence>().Any(sentence => sentence.Index == 1);

    /// <summary>Reads a template.</summary>
    /// <param name="template">Text with <c>{0}</c> and, for pairs, <c>{1}</c>.</param>
    /// <returns>The template.</returns>
    /// <exception cref="FormatException">The text has no <c>{0}</c>.</exception>
    public static AutoregressiveTemplate Parse(string template)
    {
        ArgumentException.ThrowIfNullOrEmpty(template);
        var pieces = new List<TemplatePiece>();
        int start = 0;
        foreach (Match match in Placeholder().Matches(template))
        {
            if (match.Index > start)
            {
                pieces.Add(new TemplatePiece.Literal(template[start..match.Index]));
            }

            int index = match.Value.Contains('0', StringComparison.Ordinal) ? 0 : 1;
            pieces.Add(new TemplatePiece.Sentence(index, LeadingSpace: match.Value[0] == ' ', FirstLetter.AsIs, DropsLastCharacter: false));
            start = match.Index + match.Length;
        }
        if (start < template.Length)
        {
            pieces.Add(new TemplatePiece.Literal(template[start..]));
        }

        return pieces.Exists(piece => piece is TemplatePiece.Sentence { Index: 0 })
            ? new AutoregressiveTemplate(template, pieces)
            : throw new FormatException(
                $"Template '{template}': it has no '{{0}}', where the row's sentence goes ('{{1}}' is the second sentence's place)."
            );
    }

    /// <summary>The template as it was written.</summary>
    /// <returns>The text that <see cref="Parse"/> read.</returns>
    public override string ToString() => _source;

    [GeneratedRegex(" ?\\{[01]\\}", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 10_000)]
    private static partial Regex Placeholder();
}

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
        {
            throw new ArgumentException("A text to be continued needs a byte-level BPE tokenizer, such as GPT-2's.", nameof(tokenizer));
        }

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
    public EncodedText Encode(string text, string? textPair) => Encode(text, textPair, traces: false);

    /// <inheritdoc/>
    public EncodedText Trace(string text, string? textPair) => Encode(text, textPair, traces: true);

    private EncodedText Encode(string text, string? textPair, bool traces)
    {
        ArgumentNullException.ThrowIfNull(text);
        var whole = new StringBuilder();
        var parts = new List<Part>();
        var sentences = new List<(int Start, int End)>();
        int bytes = 0;
        foreach (TemplatePiece piece in _template.Pieces)
        {
            string part = piece switch
            {
                TemplatePiece.Sentence sentence => sentence.Apply(
                    (sentence.Index == 0 ? text : textPair)
                        ?? throw new InvalidDataException(
                            $"Template '{_template}' needs a second sentence, and the row has none; name the column that holds it."
                        )
                ),
                TemplatePiece.Literal literal => literal.Text,
                _ => throw new InvalidOperationException(
                    $"Template '{_template}' has a piece of another kind than a sentence and a literal."
                ),
            };
            int length = Encoding.UTF8.GetByteCount(part);
            if (piece is TemplatePiece.Sentence)
            {
                sentences.Add((bytes, bytes + length));
            }

            bytes += length;
            parts.Add(new(part, whole.Length, piece as TemplatePiece.Sentence));
            whole.Append(part);
        }

        int[] ids = _tokenizer.EncodeFirst(whole.ToString(), Truncation == Truncation.Tail ? MaxLength : int.MaxValue);
        TokenSpan?[]? spans = traces ? Spans(_tokenizer.Locate(whole.ToString(), ids), parts) : null;
        if (ids.Length > MaxLength)
        {
            EncodedText cut = Cut(ids, parts, sentences, bytes, spans);
            (ids, spans) = (cut.Ids, cut.Spans);
        }
        else if (ids.Length == 0)
        {
            (ids, spans) = ([_tokenizer.PadId], traces ? [null] : null);
        }

        return new EncodedText(ids, TokenTypes: null, ids.Length - 1) { Spans = spans };
    }

    private static TokenSpan?[] Spans(IEnumerable<Range> places, List<Part> parts) =>
        [
            .. places.Select(place =>
                parts.Find(part => part.Sentence is not null && part.Start <= place.Start.Value && place.End.Value <= part.End)
                    is { Sentence: { } sentence } part
                    ? TokenSpan.Shifted(
                        [place],
                        sentence.Index,
                        part.Start + (sentence.LeadingSpace ? 1 : 0),
                        part.Text.Length - (sentence.LeadingSpace ? 1 : 0)
                    )[0]
                    : null
            ),
        ];

    // A token is a sentence's when all of its bytes are; one that reaches into the template is the template's.
    private EncodedText Cut(int[] ids, List<Part> parts, List<(int Start, int End)> sentences, int bytes, TokenSpan?[]? spans)
    {
        // A byte-level token has one character for each byte. A space that the tokenizer put before the text comes first.
        int[] lengths = Array.ConvertAll(ids, id => _tokenizer.TokenOf(id).Length);
        int end = bytes - lengths.Sum();
        var sequence = new TokenSequence(Truncation, MaxLength);
        if (end is not (0 or -1))
        {
            // A tokenizer that changes texts does not tell which of them a token is of, so each is encoded alone.
            foreach (Part part in parts)
            {
                int[] own = _tokenizer.Encode(part.Text);
                TokenSpan?[]? places = spans is null ? null : Spans(_tokenizer.Locate(part.Text, own), [part with { Start = 0 }]);
                sequence.AddRange(own, type: 0, part.Sentence is not null, places);
            }

            return sequence.ToEncodedText(withTypes: false);
        }

        int start = 0;
        int? owner = null;
        for (int i = 0; i < ids.Length; i++)
        {
            int from = end;
            end += lengths[i];
            int place = sentences.FindIndex(sentence => sentence.Start <= from && end <= sentence.End);
            if (i > 0 && place != owner)
            {
                sequence.AddRange(new ArraySegment<int>(ids, start, i - start), type: 0, isSentence: owner >= 0, spans?[start..i]);
                start = i;
            }
            owner = place;
        }
        sequence.AddRange(new ArraySegment<int>(ids, start, ids.Length - start), type: 0, isSentence: owner >= 0, spans?[start..]);
        return sequence.ToEncodedText(withTypes: false);
    }

    /// <summary>A part of a prompt that was filled in.</summary>
    /// <param name="Text">The part.</param>
    /// <param name="Start">Where it begins in the whole, in UTF-16 units.</param>
    /// <param name="Sentence">The sentence that it is; null for a literal.</param>
    private sealed record Part(string Text, int Start, TemplatePiece.Sentence? Sentence)
    {
        public int End => Start + Text.Length;
    }
}
