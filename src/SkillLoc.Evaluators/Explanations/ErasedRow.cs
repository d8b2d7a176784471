using SkillLoc.Models.Explanations;
using SkillLoc.Models.Prompts;

namespace SkillLoc.Evaluators;

/// <summary>An explained row of which tokens can be taken out.</summary>
internal sealed class ErasedRow
{
    private readonly EncodedText _row;
    private readonly double[] _scores;
    private readonly int _padId;

    /// <param name="row">The row with the places of its tokens.</param>
    /// <param name="explanation">Its explanation.</param>
    /// <param name="explainer">What explained it.</param>
    public ErasedRow(EncodedText row, TextExplanation explanation, TextExplainer explainer)
    {
        _row = row;
        _padId = explainer.PadId;
        _scores = [.. explanation.Tokens.Select(token => token.Score)];
        Tokens = [.. Enumerable.Range(0, row.Ids.Length).Where(i => row.Spans![i] is not null)];
        Label = explainer.IndexOf(explanation.Label);
        Probability = explanation.Probability;
    }

    /// <summary>The positions of the texts' tokens.</summary>
    public int[] Tokens { get; }

    /// <summary>The index of the explained label.</summary>
    public int Label { get; }

    /// <summary>The label's probability with all tokens.</summary>
    public double Probability { get; }

    /// <summary>The positions by their scores, the highest first.</summary>
    public int[] ByScore() => [.. Tokens.Index().OrderByDescending(token => _scores[token.Index]).Select(token => token.Item)];

    /// <summary>The positions in a random order.</summary>
    public int[] Shuffled(Random random)
    {
        int[] order = [.. Tokens];
        random.Shuffle(order);
        return order;
    }

    /// <summary>The row without the first of its tokens in an order.</summary>
    public EncodedText Without(int[] order, double share) => Erase([.. order.Take(Count(share))]);

    /// <summary>The row with only the first of its tokens in an order.</summary>
    public EncodedText WithOnly(int[] order, double share) => Erase([.. order.Skip(Count(share))]);

    private int Count(double share) => (int)Math.Ceiling((share * Tokens.Length) - 1e-9);

    private EncodedText Erase(HashSet<int> gone)
    {
        int[] left = [.. Enumerable.Range(0, _row.Ids.Length).Where(i => !gone.Contains(i))];
        if (left.Length == 0)
        {
            return new([_padId], _row.TokenTypes is null ? null : [0], 0);
        }

        // A causal model reads the last token, whichever that is.
        int position = _row.Position == _row.Ids.Length - 1 ? left.Length - 1 : _row.Position - gone.Count(place => place < _row.Position);
        return new(
            Array.ConvertAll(left, i => _row.Ids[i]),
            _row.TokenTypes is { } types ? Array.ConvertAll(left, i => types[i]) : null,
            position
        );
    }
}
