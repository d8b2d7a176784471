using Microsoft.ML;
using SkillLoc.Evaluators;
using SkillLoc.Transforms;

namespace SkillLoc;

/// <summary>Catalog methods that evaluate explanations.</summary>
public static class SkillLocExplanationEvaluators
{
    /// <summary>
    /// Measures whether the tokens' scores are faithful to the model: comprehensiveness and sufficiency at several shares of the tokens,
    /// against random tokens (DeYoung et al. 2020, section 4). Tokens are taken out of the sequence; the prompt stays.
    /// </summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="explainer">What explains.</param>
    /// <param name="rows">Rows with the text columns; labels are not needed.</param>
    /// <param name="shares">The shares of each row's tokens, above 0 and up to 1; null for 0.01, 0.05, 0.1, 0.2 and 0.5, as in the
    /// paper.</param>
    /// <param name="controls">Number of random orders, 2 or more.</param>
    /// <param name="seed">Seed of the random orders; null draws one from the context.</param>
    /// <param name="most">The most rows that are read.</param>
    /// <param name="cancellation">Stops between passes with an <see cref="OperationCanceledException"/>.</param>
    /// <returns>The measures.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A share is not above 0 and at most 1, there are fewer than 2 random orders, or a
    /// text column is missing.</exception>
    /// <exception cref="ArgumentException">There is no share.</exception>
    /// <exception cref="InvalidOperationException">There is no row with tokens, or one cannot be encoded.</exception>
    public static ExplanationMetrics EvaluateExplanations(
        this EvaluationCatalog catalog,
        TextExplanationTransformer explainer,
        IDataView rows,
        IReadOnlyList<double>? shares = null,
        int controls = 5,
        int? seed = null,
        int most = int.MaxValue,
        CancellationToken cancellation = default
    )
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(explainer);
        ArgumentNullException.ThrowIfNull(rows);
        ArgumentOutOfRangeException.ThrowIfLessThan(controls, 2);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(most);
        shares ??= [0.01, 0.05, 0.1, 0.2, 0.5];
        if (shares.Count == 0)
        {
            throw new ArgumentException("There is no share of the tokens.", nameof(shares));
        }

        foreach (double share in shares)
        {
            if (!(share > 0 && share <= 1))
            {
                throw new ArgumentOutOfRangeException(nameof(shares), share, "A share of the tokens must be above 0 and at most 1.");
            }
        }

        return ExplanationMetrics.Of(catalog.Context, explainer, rows, shares, controls, seed, most, cancellation);
    }
}
