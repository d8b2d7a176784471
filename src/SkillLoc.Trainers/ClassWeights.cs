using System.Globalization;

namespace SkillLoc.Trainers;

/// <summary>Weights of labels in the loss.</summary>
public sealed class ClassWeights
{
    private readonly IReadOnlyDictionary<string, double>? _byLabel;

    private ClassWeights(IReadOnlyDictionary<string, double>? byLabel) => _byLabel = byLabel;

    /// <summary>
    /// Balances labels: the weight of a row is rows / (labels x rows of its label), like "balanced" in scikit-learn. In a multi-label task,
    /// rows with and without a label are balanced: the positive weight is negatives / positives.
    /// </summary>
    public static ClassWeights Balanced { get; } = new(null);

    /// <summary>Creates custom weights.</summary>
    /// <param name="weights">Positive weights by label; missing labels have the weight 1. In a multi-label task, the weights of positive
    /// rows of a label relative to negative ones.</param>
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

    /// <summary>Returns the weights as text, by which runs are compared.</summary>
    /// <returns>The text.</returns>
    public override string ToString() => _byLabel is null
        ? "balanced"
        : string.Join(", ", _byLabel.OrderBy(pair => pair.Key, StringComparer.Ordinal)
            .Select(pair => string.Create(CultureInfo.InvariantCulture, $"{pair.Key}: {pair.Value:R}")));

    /// <summary>Returns one weight per label.</summary>
    /// <param name="labels">The labels.</param>
    /// <param name="balance">Returns the balanced weight of the label with an index.</param>
    /// <exception cref="ArgumentException">A weight has an unknown label.</exception>
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
