using Microsoft.ML;

namespace SkillLoc.Transforms;

/// <summary>What lazy views, their cursors and single rows score with.</summary>
internal interface IRowScorer
{
    /// <summary>Whose it is.</summary>
    Ownership Ownership { get; }

    /// <summary>The columns that are read, in the order of <see cref="RowTexts.Values"/>.</summary>
    IReadOnlyList<string> Inputs { get; }

    /// <summary>Tells when the context is cancelled; null where the scorer belongs to none.</summary>
    ComponentHost? Host { get; }

    DataViewSchema GetOutputSchema(DataViewSchema inputSchema);

    /// <summary>Scores rows together, at once or when their scores are first read.</summary>
    /// <param name="rows">The rows.</param>
    /// <param name="cancellation">Stops between batches.</param>
    IReadOnlyList<RowScores> Score(IReadOnlyList<RowTexts> rows, CancellationToken cancellation = default);

    /// <summary>Getters of the added columns, in their order.</summary>
    Delegate[] Getters(Func<RowScores> current);
}
