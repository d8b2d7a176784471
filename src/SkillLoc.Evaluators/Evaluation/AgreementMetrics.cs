using Microsoft.ML;

namespace SkillLoc.Evaluators;

/// <summary>The agreement of two models' predictions (Panigrahi et al. 2023, section 3.2).</summary>
public sealed record AgreementMetrics
{
    /// <summary>Number of rows.</summary>
    public required long Count { get; init; }

    /// <summary>The share of rows with the same predicted label.</summary>
    public required double Agreement { get; init; }

    /// <summary>
    /// Cohen's kappa (Cohen 1960): agreement beyond what the two models' label frequencies would give by chance, (agreement - chance) / (1
    /// - chance). NaN if both models predict the same single label for all rows.
    /// </summary>
    public required double Kappa { get; init; }

    /// <summary>The labels that either model predicted, in ordinal order.</summary>
    public required IReadOnlyList<string> Labels { get; init; }

    /// <summary>The number of rows of every pair of <see cref="Labels"/>, by the first model's label, then the second's.</summary>
    public required IReadOnlyList<AgreementCount> Counts { get; init; }

    /// <summary>The counts as rows, with the columns First, Second and Count.</summary>
    /// <param name="context">The context.</param>
    /// <returns>One row per pair of labels.</returns>
    public IDataView ToDataView(MLContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return context.Data.LoadFromEnumerable(Counts);
    }

    internal static AgreementMetrics Of(IEnumerable<(string First, string Second)> predictions)
    {
        var pairs = predictions.CountBy(pair => pair).ToDictionary(pair => pair.Key, pair => (long)pair.Value);
        string[] labels = [.. pairs.Keys.SelectMany(pair => new[] { pair.First, pair.Second }).Distinct().Order(StringComparer.Ordinal)];
        AgreementCount[] counts =
        [
            .. labels.SelectMany(first =>
                labels.Select(second => new AgreementCount(first, second, pairs.GetValueOrDefault((first, second))))
            ),
        ];
        double rows = counts.Sum(count => count.Count);
        double agreement = counts.Where(count => count.First == count.Second).Sum(count => count.Count) / rows;
        double chance = labels.Sum(label =>
            counts.Where(count => count.First == label).Sum(count => count.Count)
            / rows
            * (counts.Where(count => count.Second == label).Sum(count => count.Count) / rows)
        );
        return new()
        {
            Count = (long)rows,
            Agreement = agreement,
            Kappa = labels.Length == 1 ? double.NaN : (agreement - chance) / (1 - chance),
            Labels = labels,
            Counts = counts,
        };
    }
}

/// <summary>The number of rows with a pair of labels predicted by two models.</summary>
/// <param name="First">The label predicted by the first model.</param>
/// <param name="Second">The label predicted by the second model.</param>
/// <param name="Count">Number of rows.</param>
public sealed record AgreementCount(string First, string Second, long Count);
