using System.Diagnostics.CodeAnalysis;
using SkillLoc.Models.Tokenization;

namespace SkillLoc.Models.Prompts;

/// <summary>Encodes the text of a row as token ids. Implementations are thread-safe.</summary>
internal interface ITextEncoder
{
    /// <summary>The maximum length of a row in tokens.</summary>
    int MaxLength { get; }

    /// <summary>Encodes a row.</summary>
    /// <param name="text">The first sentence.</param>
    /// <param name="textPair">The second sentence, or null.</param>
    /// <returns>At most <see cref="MaxLength"/> ids, without padding.</returns>
    EncodedText Encode(string text, string? textPair);

    /// <summary>Encodes a row as <see cref="Encode"/> does, and says what each token was made of (<see cref="EncodedText.Spans"/>).</summary>
    /// <param name="text">The first sentence.</param>
    /// <param name="textPair">The second sentence, or null.</param>
    EncodedText Trace(string text, string? textPair);
}

/// <summary>An encoded row without padding.</summary>
/// <param name="Ids">Token ids <c>[length]</c>.</param>
/// <param name="TokenTypes">Segment ids <c>[length]</c>, or null if the model has none.</param>
/// <param name="Position">The scored position: that of the mask, 0 for heads on the first token, or the last position of a causal model's
/// text.</param>
[SuppressMessage("Performance", "CA1819:Properties should not return arrays", Justification = "Batches copy the ids in bulk.")]
public sealed record EncodedText(int[] Ids, int[]? TokenTypes, int Position)
{
    /// <summary>For each token what it was made of, null for one of the prompt; null where that was not asked for.</summary>
    internal TokenSpan?[]? Spans { get; init; }
}

/// <summary>A part of a row: tokens that are the same in every row, or a sentence.</summary>
/// <param name="Ids">The tokens; null for a sentence.</param>
/// <param name="Sentence">The sentence; null for tokens.</param>
/// <param name="Type">The segment.</param>
internal sealed record RowPart(int[]? Ids, TemplatePiece.Sentence? Sentence, int Type);

/// <summary>How rows that exceed the length limit are truncated.</summary>
public enum Truncation
{
    /// <summary>Cuts the ends of the sentences, the longest first, and keeps the template with its mask and separators.</summary>
    Sentences,

    /// <summary>Cuts the end of the sequence, whatever the tokens are.</summary>
    Tail,

    /// <summary>Cuts the start of the sequence, whatever the tokens are.</summary>
    Head,
}

/// <summary>Builds a sequence from runs of tokens, of which sentences may be cut.</summary>
internal sealed class TokenSequence(Truncation truncation, int maxLength)
{
    private readonly List<Run> _runs = [];
    private int? _position;

    /// <summary>The number of leading tokens of a sentence that can affect the sequence.</summary>
    /// <param name="sentences">The number of sentences; which of several is cut depends on their lengths.</param>
    public int NeededOf(int sentences) =>
        truncation switch
        {
            Truncation.Tail => maxLength,
            Truncation.Sentences when sentences == 1 => maxLength,
            _ => int.MaxValue,
        };

    /// <summary>Appends a token of the template.</summary>
    public void Add(int id, int type, bool isPosition = false)
    {
        if (isPosition)
        {
            _position = _runs.Count;
        }

        _runs.Add(new Run(new[] { id }, type, isSentence: false));
    }

    /// <summary>Appends tokens of the template or of a sentence.</summary>
    public void AddRange(ArraySegment<int> ids, int type, bool isSentence, TokenSpan?[]? spans = null) =>
        _runs.Add(new Run(ids, type, isSentence) { Spans = spans });

    /// <summary>Returns the sequence, truncated to the limit.</summary>
    /// <param name="withTypes">Whether to include segment ids.</param>
    /// <exception cref="InvalidDataException">The scored position was cut off, or the template alone exceeds the limit.</exception>
    public EncodedText ToEncodedText(bool withTypes)
    {
        int length = _runs.Sum(run => run.Ids.Count);
        if (truncation == Truncation.Sentences && length > maxLength)
        {
            CutSentences(length - maxLength);
            length = maxLength;
        }

        (int first, int count) =
            truncation == Truncation.Head
                ? (Math.Max(0, length - maxLength), Math.Min(length, maxLength))
                : (0, Math.Min(length, maxLength));
        int[] ids = new int[length];
        int[]? types = withTypes ? new int[length] : null;
        TokenSpan?[]? spans = _runs.Exists(run => run.Spans is not null) ? new TokenSpan?[length] : null;
        int position = 0;
        for (int i = 0, offset = 0; i < _runs.Count; offset += _runs[i].Ids.Count, i++)
        {
            _runs[i].Ids.CopyTo(ids, offset);
            types?.AsSpan(offset, _runs[i].Ids.Count).Fill(_runs[i].Type);
            _runs[i].Spans?.AsSpan(0, _runs[i].Ids.Count).CopyTo(spans.AsSpan(offset));
            if (i == _position)
            {
                position = offset - first;
            }
        }

        if (position < 0 || (_position is not null && position >= count))
        {
            throw new InvalidDataException(
                $"Cut to its {(truncation == Truncation.Head ? "last" : "first")} {maxLength} tokens, the row loses its mask; "
                    + $"use {nameof(Truncation)}.{nameof(Truncation.Sentences)}, a larger MaxLength, or a sentence limit."
            );
        }

        return new EncodedText(ids[first..(first + count)], types?[first..(first + count)], position)
        {
            Spans = spans?[first..(first + count)],
        };
    }

    // The longest sentences shrink together until the surplus is gone.
    private void CutSentences(int surplus)
    {
        Run[] sentences = _runs.Where(run => run.IsSentence).ToArray();
        int budget = sentences.Sum(run => run.Ids.Count) - surplus;
        if (budget < 0)
        {
            throw new InvalidDataException(
                $"The template alone is {-budget} tokens longer than the limit of {maxLength}; raise MaxLength."
            );
        }

        int left = sentences.Length;
        foreach (Run? run in sentences.OrderBy(run => run.Ids.Count))
        {
            run.Ids = run.Ids[..Math.Min(run.Ids.Count, budget / left)];
            budget -= run.Ids.Count;
            left--;
        }
    }

    private sealed class Run(ArraySegment<int> ids, int type, bool isSentence)
    {
        public ArraySegment<int> Ids { get; set; } = ids;

        public int Type { get; } = type;

        public bool IsSentence { get; } = isSentence;

        public TokenSpan?[]? Spans { get; init; }
    }
}

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

    /// <summary>The parts of a row, in order, for who builds rows elsewhere.</summary>
    /// <param name="isPair">Whether rows have two texts.</param>
    public IEnumerable<RowPart> Parts(bool isPair) =>
        (isPair ? _format.Pair : _format.Single).Select(part =>
            part.Id is { } id
                ? new RowPart([id], null, part.Type)
                : new(null, new TemplatePiece.Sentence(part.IsSecond ? 1 : 0, false, FirstLetter.AsIs, false), part.Type)
        );

    /// <inheritdoc/>
    /// <remarks>A row without tokens becomes the padding token, which in GPT-2 is the end-of-text token.</remarks>
    public EncodedText Encode(string text, string? textPair) => Encode(text, textPair, traces: false);

    /// <inheritdoc/>
    public EncodedText Trace(string text, string? textPair) => Encode(text, textPair, traces: true);

    private EncodedText Encode(string text, string? textPair, bool traces)
    {
        ArgumentNullException.ThrowIfNull(text);
        var sequence = new TokenSequence(Truncation, MaxLength);
        int needed = sequence.NeededOf(textPair is null ? 1 : 2);
        foreach (SequenceFormat.Part part in textPair is null ? _format.Single : _format.Pair)
        {
            if (part.Id is { } special)
            {
                sequence.Add(special, part.Type);
            }
            else
            {
                string sentence = part.IsSecond ? textPair! : text;
                int[] ids = _tokenizer.EncodeFirst(sentence, needed);
                TokenSpan?[]? spans = traces
                    ? TokenSpan.Shifted(_tokenizer.Locate(sentence, ids), part.IsSecond ? 1 : 0, 0, sentence.Length)
                    : null;
                sequence.AddRange(ids, part.Type, isSentence: true, spans);
            }
        }
        var row = sequence.ToEncodedText(_tokenizer.UsesTokenTypes);
        if (row.Ids.Length == 0)
        {
            row = new([_tokenizer.PadId], row.TokenTypes is null ? null : [0], 0) { Spans = traces ? [null] : null };
        }

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
