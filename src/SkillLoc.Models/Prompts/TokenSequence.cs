namespace SkillLoc.Models.Prompts;

/// <summary>Builds a sequence from runs of tokens, of which sentences may be cut.</summary>
internal sealed class TokenSequence(Truncation truncation, int maxLength)
{
    private readonly List<Run> _runs = [];
    private int? _position;

    /// <summary>The number of leading tokens of a sentence that can affect the sequence.</summary>
    /// <param name="sentences">The number of sentences; which of several is cut depends on their lengths.</param>
    public int NeededOf(int sentences) => truncation switch
    {
        Truncation.Tail => maxLength,
        Truncation.Sentences when sentences == 1 => maxLength,
        _ => int.MaxValue,
    };

    /// <summary>Appends a token of the template.</summary>
    public void Add(int id, int type, bool isPosition = false)
    {
        if (isPosition)
            _position = _runs.Count;
        _runs.Add(new Run(new[] { id }, type, isSentence: false));
    }

    /// <summary>Appends tokens of the template or of a sentence.</summary>
    public void AddRange(ArraySegment<int> ids, int type, bool isSentence) => _runs.Add(new Run(ids, type, isSentence));

    /// <summary>Returns the sequence, truncated to the limit.</summary>
    /// <param name="withTypes">Whether to include segment ids.</param>
    /// <exception cref="InvalidDataException">The scored position was cut off, or the template alone exceeds the limit.</exception>
    public EncodedText ToEncodedText(bool withTypes)
    {
        var length = _runs.Sum(run => run.Ids.Count);
        if (truncation == Truncation.Sentences && length > maxLength)
        {
            CutSentences(length - maxLength);
            length = maxLength;
        }

        var (first, count) = truncation == Truncation.Head ? (Math.Max(0, length - maxLength), Math.Min(length, maxLength)) : (0, Math.Min(length, maxLength));
        var ids = new int[length];
        var types = withTypes ? new int[length] : null;
        var position = 0;
        for (int i = 0, offset = 0; i < _runs.Count; offset += _runs[i].Ids.Count, i++)
        {
            _runs[i].Ids.CopyTo(ids, offset);
            types?.AsSpan(offset, _runs[i].Ids.Count).Fill(_runs[i].Type);
            if (i == _position)
                position = offset - first;
        }

        if (position < 0 || (_position is not null && position >= count))
            throw new InvalidDataException(
                $"Cut to its {(truncation == Truncation.Head ? "last" : "first")} {maxLength} tokens, the row loses its mask; "
                + $"use {nameof(Truncation)}.{nameof(Truncation.Sentences)}, a larger MaxLength, or a sentence limit.");
        return new EncodedText(ids[first..(first + count)], types?[first..(first + count)], position);
    }

    // The longest sentences shrink together until the surplus is gone.
    private void CutSentences(int surplus)
    {
        var sentences = _runs.Where(run => run.IsSentence).ToArray();
        var budget = sentences.Sum(run => run.Ids.Count) - surplus;
        if (budget < 0)
            throw new InvalidDataException($"The template alone is {-budget} tokens longer than the limit of {maxLength}; raise MaxLength.");

        var left = sentences.Length;
        foreach (var run in sentences.OrderBy(run => run.Ids.Count))
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
    }
}
