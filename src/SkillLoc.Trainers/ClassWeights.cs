using System.Globalization;

namespace SkillLoc.Trainers;

/// <summary>How much the rows of each label count in the loss.</summary>
public sealed class ClassWeights
{
    private readonly IReadOnlyDictionary<string, double>? _byLabel;

    private ClassWeights(IReadOnlyDictionary<string, double>? byLabel) => _byLabel = byLabel;

    /// <summary>
    /// Every label counts as much as every other: a row weighs rows / (labels x rows of its label), as scikit-learn's "balanced" does. Of a
    /// multi-label task the rows that have a label count as much as those that have not: the positive ones weigh negatives / positives.
    /// </summary>
    public static ClassWeights Balanced { get; } = new(null);

    /// <summary>Weights of one's own.</summary>
    /// <param name="weights">Positive weights by label; a label that is missing has the weight 1. Of a multi-label task how much rows that
    /// have the label count against those that have not.</param>
    /// <returns>The weights.</returns>
    /// <exception cref="ArgumentException">There is no weight, or one is not positive and finite.</exception>
    public static ClassWeights ByLabel(IReadOnlyDictionary<string, double> weights)
    {
        ArgumentNullException.ThrowIfNull(weights);
        if (weights.Count == 0)
        {
            throw new ArgumentException("There are no weights.", nameof(weights));
        }

        foreach ((string label, double weight) in weights)
        {
            if (!(weight > 0 && double.IsFinite(weight)))
            {
                throw new ArgumentException(
                    string.Create(CultureInfo.InvariantCulture, $"The weight of the label '{label}' is {weight}; it must be positive and finite."),
                    nameof(weights));
            }
        }

        return new(new Dictionary<string, double>(weights, StringComparer.Ordinal));
    }

    /// <summary>The weights as text, which runs are compared by.</summary>
    /// <returns>The text.</returns>
    public override string ToString() => _byLabel is null
        ? "balanced"
        : string.Join(", ", _byLabel.OrderBy(pair => pair.Key, StringComparer.Ordinal)
            .Select(pair => string.Create(CultureInfo.InvariantCulture, $"{pair.Key}: {pair.Value:R}")));

    /// <summary>One weight for each label.</summary>
    /// <param name="labels">The labels.</param>
    /// <param name="balance">Gives the balanced weight of a label, by its index.</param>
    /// <exception cref="ArgumentException">A weight is of none of the labels.</exception>
    internal double[] Of(IReadOnlyList<string> labels, Func<int, double> balance)
    {
        if (_byLabel is null)
        {
            return [.. Enumerable.Range(0, labels.Count).Select(balance)];
        }

        foreach (string unknown in _byLabel.Keys.Except(labels, StringComparer.Ordinal))
        {
            throw new ArgumentException(
                $"Options.ClassWeights has a weight for '{unknown}', which is none of the labels {string.Join(", ", labels.Select(label => $"'{label}'"))}.");
        }

        return [.. labels.Select(label => _byLabel.GetValueOrDefault(label, 1))];
    }
}
